"""Every capability is explained: in a sentence, with who holds it and which attacks need it."""

from __future__ import annotations

import pytest

from leakaudit.cli.commands.catalog import show
from leakaudit.contracts import Attack, Capability
from leakaudit.registry import usable
from leakaudit.threat.presets import PRESETS


@pytest.mark.parametrize("capability", list(Capability))
def test_each_is_explained_with_who_holds_and_who_needs_it(
    capability: Capability, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert show(capability.value) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert max(map(len, printed.out.splitlines())) <= 80
    head, _, told = printed.out.partition("\n\n")
    assert head == f"{capability} (capability)"
    meaning, read, granted, needed = (" ".join(part.split()) for part in told.split("\n\n"))
    assert meaning == capability.row.words
    holds = capability.row.holds.replace("`", "")
    assert read == f"an attack reads observation.{capability.row.attribute}: {holds}"
    assert meaning.endswith(".")
    holders = [name for name, one in PRESETS.items() if capability in one.capabilities]
    assert granted == f"granted by: {', '.join(holders) or 'no threat'}"
    for plugin in usable("attack")[0]:
        assert issubclass(plugin.cls, Attack)
        listed = plugin.name in needed.removeprefix("needed by: ").split(", ")
        assert listed == (capability in plugin.make({}).needs()), plugin.name


def test_what_nobody_holds_is_used_by_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    show("masks")
    assert capsys.readouterr().out.endswith(
        "granted by: no threat\n\nneeded by: no installed attack\n"
    )


@pytest.mark.parametrize("threat", PRESETS)
def test_a_threat_says_what_it_holds_in_the_words_of_its_capabilities(
    threat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(threat)
    told = " ".join(capsys.readouterr().out.split())
    preset = PRESETS[threat]
    for capability in Capability:
        assert (f"{capability}: {capability.row.words}" in told) == (
            capability in preset.capabilities
        )
    assert preset.who in told
    assert preset.limits in told
    for capability in preset.capabilities:
        assert capability.row.words in preset.words
