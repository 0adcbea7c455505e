"""No cheat of an attack runs where a patient is, reads what is there, or scores by it."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import leakaudit.asking as asking
from leakaudit.asking import attack_use, facts_of, kinds_of
from leakaudit.audit.jobs.attack_process import attempt_at
from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.contracts import AttackFacts, Capability, Observation, Reconstruction, SystemLayout
from leakaudit.errors import AttackFailed, ConfigError, LeakauditError, PluginError
from leakaudit.isolation.sandbox import Confinement, confinement_of
from leakaudit.registry import installed
from tests.audit.test_isolation import attack_process
from tests.tiny import tiny_patients

pytestmark = pytest.mark.slow  # every test starts whole processes

MODULE = "tests.audit.sly"
WAYS = (
    *("short", "asks_short", "gaps", "backwards", "huge", "pickled", "no_such_function"),
    *("too_many_notes", "unknown_field", "flagged"),
)
# What runs when an attack is imported, made, asked, run and sent back.
HOOKS = {
    *("import", "thread", "default factory", "post init", "get needs", "needs", "shuffled", "run"),
    *("get number", "torch function"),
}
LAYOUT = SystemLayout(
    channels=(2, 2), crossing=(0,), features=(4, 4, 4, 8, 8, 4), spatial=(32, 32), victims=2
)


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Attacks that leave marks, installed; where they leave them."""
    information = tmp_path / "sly-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sly\nVersion: 1.0\n")
    lines = [f"sly = {MODULE}:Sly", f"partial = {MODULE}:Partial", f"speaks = {MODULE}:Speaks"]
    lines += [f"roundabout = {MODULE}:holder.anything"]
    (information / "entry_points.txt").write_text("\n".join(["[leakaudit.attacks]", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    with tempfile.TemporaryDirectory(prefix="leakaudit-test-marks-", dir="/tmp") as folder:
        yield Path(folder)
    installed.cache_clear()
    asking._answers.clear()


def left_here(marks: Path) -> set[str]:
    """Hooks that ran in this process, which holds the patients."""
    return {each.stem for each in marks.iterdir() if each.suffix == f".{os.getpid()}"}


def left_anywhere(marks: Path) -> set[str]:
    return {each.stem for each in marks.iterdir()}


def known(name: str, parameters: dict[str, Any] | None = None) -> AttackFacts:
    (answer,) = facts_of([attack_use(name, parameters)])
    assert isinstance(answer, AttackFacts), answer
    return answer


def zeros() -> Observation:
    released = tuple((torch.zeros(2, 4, 32, 32),) for _ in range(2))

    def query(images: torch.Tensor, generator: torch.Generator) -> object:
        raise AssertionError("asked with what no message filled")

    held: dict[Capability, object] = {
        Capability.ACTIVATIONS: released,
        Capability.ENCODER_QUERIES: query,
    }
    return Observation(threat="x", layout=LAYOUT, held=held)


def confined() -> Confinement:
    return confinement_of([MODULE, "leakaudit_attacks"], hidden=[])


def run(facts: AttackFacts, isolation: str = "namespaces") -> Reconstruction:
    with attack_process(confined(), isolation) as where:
        found = attempt_at(where, facts, zeros(), seed=1, progress=lambda done, total: None)
    return found.reconstruction


def test_every_hook_runs_where_the_attack_does_and_none_beside_the_patients(
    marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unconfined(modules: Sequence[str], *, hidden: Sequence[Path]) -> Confinement:
        return replace(confinement_of(modules, hidden=hidden), cuda=True)

    patients = tiny_patients(2)  # this process holds some
    monkeypatch.setattr(asking, "confinement_of", unconfined)  # so that marks can be left
    facts = known("sly")
    result = run(facts, "process")
    assert left_anywhere(marks) >= HOOKS
    assert left_here(marks) == set()
    assert MODULE not in sys.modules
    # What is known of it is data, which it cannot answer for.
    assert {type(each) for each in (facts.recovers, repr(facts), facts.kind.nist)} == {str}
    assert repr(facts) == "Sly(number=1)"
    assert facts == known("sly")
    assert hash(facts) == hash(known("sly"))
    assert type(result.images) is torch.Tensor
    assert type(result.objective_first) is float
    assert [type(note) for note in result.notes] == [str]
    assert result.notes == ("a note with [U+001B][2J and <script>",)
    assert left_here(marks) == set()
    assert patients


def test_the_marks_would_be_found_here(marks: Path) -> None:
    try:
        sly = importlib.import_module(MODULE)
        made = sly.Sly()
        assert repr(made)
        assert made == made.shuffled()
        assert left_here(marks) >= {"import", "default factory", "post init", "repr", "eq"}
    finally:
        sys.modules.pop(MODULE, None)


def test_a_function_among_the_parameters_is_refused(marks: Path) -> None:
    (answer,) = facts_of([attack_use("partial")])
    assert isinstance(answer, PluginError)
    assert "Partial.function is a partial; an attack is configured by numbers" in str(answer)
    with pytest.raises(ConfigError, match="sly: number is a function"):
        attack_use("sly", {"number": run})
    assert left_here(marks) == set()


def test_an_entry_point_that_runs_code_runs_it_elsewhere(marks: Path) -> None:
    facts = known("roundabout")
    assert facts.kind.class_name == "Sly"
    assert left_here(marks) == set()
    assert MODULE not in sys.modules


def test_no_words_of_an_attack_are_more_than_words(marks: Path) -> None:
    (kind,) = kinds_of(["sly"])
    assert not isinstance(kind, LeakauditError)
    assert type(kind.doc) is type(kind.summary) is str
    assert left_here(marks) == set()


@pytest.mark.parametrize("how", WAYS)
def test_a_message_past_the_wire_fails_the_cell_and_brings_nothing_back(
    how: str, marks: Path
) -> None:
    facts = known("speaks", {"how": how})
    with pytest.raises((AttackFailed, OSError)) as failed:
        run(facts)
    assert "ended early with exit code 0" not in str(failed.value)  # the message was read
    assert left_here(marks) == set()


def test_on_a_release_of_zeros_no_cheat_beats_the_blind_floor(marks: Path) -> None:
    victims, auxiliary = tiny_patients(2), tiny_patients(3, seed=9)
    names = ("T1w", "T1gd", "T2w", "FLAIR")
    others = iter([*tiny_patients(2), *tiny_patients(3, seed=5)])
    scorer = ImageScorer(victims, auxiliary, others, names=names)
    leaked = scorer.figures(run(known("sly")))["leakage"]
    assert leaked.advantage.mean <= 0
    assert leaked.ssim_brain.mean <= leaked.blind_floor
