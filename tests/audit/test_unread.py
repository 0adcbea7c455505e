"""Keys of an audit file that nothing reads are said to have no effect, and only these."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.planning.matrix import build_matrix
from leakaudit.audit.planning.unused_settings import unused_settings
from leakaudit.audit_file import parse_audit
from leakaudit.cli.commands.plan import plan
from leakaudit.data import Splits
from leakaudit_defenses.dp_gaussian import DpGaussian

SPLITS = Splits(train=("a", "b"), validation=("c",), auxiliary=("d",), victims=("e",))
MEETINGS = {
    "decoder-inversion": "curious-server",
    "mask-inference": "curious-site",
    "gradient-inversion": "aggregator",
    "learned-update-inversion": "aggregator-of-rounds",
    "feature-space-hijacking": "malicious-server",
}


def told(audit: dict[str, Any], attack: str, threat: str = "", **keys: Any) -> tuple[str, ...]:
    """What is said of an audit of one attack."""
    changed = {**copy.deepcopy(audit), "attacks": [attack], **keys}
    changed["threats"] = {threat or MEETINGS[attack]: [attack]}
    config = parse_audit(json.dumps(changed).encode(), "audit", folder=Path("/"))
    return unused_settings(config, build_matrix(config, "fingerprint", SPLITS))


@pytest.mark.parametrize("attack", MEETINGS)
def test_defaults_are_never_cautioned_about(tiny_audit: dict[str, Any], attack: str) -> None:
    assert told(tiny_audit, attack) == ()
    assert told(tiny_audit, attack, releases=1, gradient_batch=1, round_steps=4) == ()


@pytest.mark.parametrize(
    ("key", "value", "readers", "words"),
    [
        ("releases", 3, {"decoder-inversion"}, "releases: 3 has no effect: no threat of this"),
        (
            "gradient_batch",
            [1, 2],
            {"gradient-inversion", "learned-update-inversion"},
            "gradient_batch: [1, 2] has no effect: no attack that this audit makes reads grad",
        ),
        (
            "gradient_batch",
            2,
            {"gradient-inversion", "learned-update-inversion"},
            "gradient_batch: 2 has no effect",
        ),
        (
            "gradient_checkpoints",
            [0],
            {"gradient-inversion", "learned-update-inversion", "mask-inference"},
            "gradient_checkpoints: [0] has no effect: no attack that this audit makes reads gr",
        ),
        (
            "round_steps",
            2,
            {"learned-update-inversion"},
            "round_steps: 2 has no effect: no attack that this audit makes reads weight upd",
        ),
    ],
)
def test_a_key_has_no_effect_where_nothing_reads_it(
    tiny_audit: dict[str, Any], key: str, value: Any, readers: set[str], words: str
) -> None:
    tiny_audit["defenses"] = ["gaussian-noise"]
    for attack in MEETINGS:
        found = told(tiny_audit, attack, **{key: value})
        if attack in readers:
            assert found == (), attack
        else:
            (line,) = found
            assert line.startswith(words), attack


def test_an_attack_that_can_not_be_made_reads_nothing(tiny_audit: dict[str, Any]) -> None:
    (line,) = told(tiny_audit, "cafe", "aggregator", gradient_batch=2)
    assert line.startswith("gradient_batch: 2 has no effect")


def test_a_defense_that_is_made_for_the_releases_reads_them(tiny_audit: dict[str, Any]) -> None:
    for made_for in ("dp-gaussian", ["gaussian-noise", "dp-gaussian"]):
        assert told(tiny_audit, "gradient-inversion", releases=3, defenses=[made_for]) == ()
    entries: list[Any] = ["quantization", "nopeek", ["quantization", "gaussian-noise"]]
    for entry in entries:
        assert len(told(tiny_audit, "gradient-inversion", releases=3, defenses=[entry])) == 1, entry


def test_no_code_of_a_defense_runs_before_the_run(
    tiny_audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: Any, **__: Any) -> None:
        raise SystemExit(0)

    for name in ("fit", "guarantee"):
        monkeypatch.setattr(DpGaussian, name, leave)
    assert told(tiny_audit, "mask-inference", releases=3, defenses=["dp-gaussian"]) == ()


def test_a_plan_says_so_on_stderr_and_goes_on(
    tiny_audit: dict[str, Any],
    write_audit: Callable[[Path, dict[str, Any]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audit = write_audit(tmp_path / "audit.yaml", {**tiny_audit, "round_steps": 7})
    assert plan(audit, out=tmp_path / "runs") == 0
    printed = capsys.readouterr()
    assert " ".join(printed.err.split()) == (
        "leakaudit: caution: round_steps: 7 has no effect: no attack that this audit makes reads "
        "weight updates"
    )
    assert "caution" not in printed.out
    assert "trainings: " in printed.out
