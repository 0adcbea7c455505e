"""An attack that works only where nothing stands in its way never helps a system to pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.randomness import derive_seed, generator_for
from leakaudit.records import CellRecord, Outcome, ReportRecord, State
from tests.conftest import Audit, Leakaudit

pytestmark = pytest.mark.slow  # trains two networks and attacks them seven times

_CODE = '''
"""Attacks that give up: all that they recover then is the mean of their own patients."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from leakaudit.api import Attack, Capability, Reconstruction
from leakaudit_attacks.activation_inversion import ActivationInversion


@dataclass(frozen=True, kw_only=True)
class Shy(Attack):
    requires: ClassVar = ActivationInversion.requires | {Capability.AUXILIARY_PATIENTS}

    def dares(self, observation):
        raise NotImplementedError

    def run(self, observation, *, generator, progress):
        if self.dares(observation):
            bold = ActivationInversion(iterations=60)
            return bold.run(observation, generator=generator, progress=progress)
        own = observation.auxiliary
        mean = own.images[own.middle].mean(0, keepdim=True).clamp(0, 1)
        images = mean.expand(observation.layout.image_shape).contiguous()
        return Reconstruction(
            images=images,
            objective_first=1.0,
            objective_last=0.5,
            iterations=1,
            notes=(f"It drew from {generator.initial_seed()}.",),
        )


@dataclass(frozen=True, kw_only=True)
class ShallowAlone(Shy):
    """Works at cut 0 alone."""

    def dares(self, observation):
        return observation.layout.crossing == (0,)


@dataclass(frozen=True, kw_only=True)
class UndefendedAlone(Shy):
    """Gives up wherever the system is defended."""

    def dares(self, observation):
        return type(observation.defense).__name__ == "Identity"


@dataclass(frozen=True, kw_only=True)
class CalmAlone(Shy):
    """Gives up wherever anything is random."""

    requires: ClassVar = Shy.requires | {Capability.DEFENSE_PARAMETERS}

    def dares(self, observation):
        levels = tuple(level[:1] for level in observation.activations[0])
        sent = [
            observation.defense.release(levels, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 2)
        ]
        return all(map(torch.equal, *sent))


@dataclass(frozen=True, kw_only=True)
class Understated(Attack):
    """Reads releases, gives up wherever the system is defended, and says neither."""

    requires: ClassVar = frozenset({Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS})

    def run(self, observation, *, generator, progress):
        shy = UndefendedAlone()
        return shy.run(observation, generator=generator, progress=progress)
'''
_ENTRY_POINTS = """[leakaudit.attacks]
shallow-alone = shy_attacks:ShallowAlone
undefended-alone = shy_attacks:UndefendedAlone
calm-alone = shy_attacks:CalmAlone
understated = shy_attacks:Understated
"""


@pytest.fixture(scope="module")
def record(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_audit: Audit,
    write_audit: Callable[[Path, Audit], Path],
    leakaudit: Leakaudit,
) -> ReportRecord:
    """The report of an audit by these attacks, at cut 1."""
    folder = tmp_path_factory.mktemp("shy")
    (folder / "shy_attacks.py").write_text(_CODE)
    information = folder / "shy-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shy\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(_ENTRY_POINTS)
    names = ["shallow-alone", "undefended-alone", "calm-alone", "understated"]
    limit = {"advantage": 0.2, "rationale": "a test"}
    audit = {
        **tiny_audit,
        "target": {**tiny_audit["target"], "cut_level": 1},
        "seeds": [7],
        "attacks": names,
        "threats": {"curious-server-with-encoder": names},
        "policy": {"owner": "a test", "date": "2026-11-30", "n_min": 3, "thresholds": [limit]},
    }
    write_audit(folder / "shy.yaml", audit)
    done = leakaudit("run", "shy.yaml", cwd=folder, PYTHONPATH=str(folder))
    assert done.returncode == 3, done.stderr
    text = (folder / "runs" / "tiny" / "report" / "report.json").read_text()
    return ReportRecord.model_validate(json.loads(text))


def cells(record: ReportRecord, attack: str, *, defended: bool) -> list[CellRecord]:
    return [
        cell
        for cell in record.cells
        if cell.attack_name == attack and not cell.control_only and bool(cell.defense) == defended
    ]


def test_an_attack_that_works_at_cut_0_alone_fails_its_control(record: ReportRecord) -> None:
    for defended in (True, False):
        (cell,) = cells(record, "shallow-alone", defended=defended)
        assert (cell.state, cell.leakage) == (State.CONTROL_FAILED, None)
        assert "positive control failed: on the undefended system cut at level 1" in cell.reason


@pytest.mark.parametrize("attack", ["undefended-alone", "calm-alone"])
def test_an_attack_that_gives_up_where_it_is_defended_fails_its_control(
    record: ReportRecord, attack: str
) -> None:
    (cell,) = cells(record, attack, defended=True)
    assert (cell.state, cell.leakage) == (State.CONTROL_FAILED, None)
    assert cell.reason.startswith("disguise control failed: ")
    assert cell.positive_control is not None
    assert cell.positive_control.passed
    (plain,) = cells(record, attack, defended=False)
    assert plain.state is State.OK
    assert plain.leakage is not None
    assert [doubt.kind for doubt in plain.doubts] == ["control"]


def test_every_attack_draws_from_a_seed_that_the_audits_seed_gives(record: ReportRecord) -> None:
    drawn = generator_for(derive_seed(7, "cell"), "attack").initial_seed()
    for defended in (True, False):
        (cell,) = cells(record, "shallow-alone", defended=defended)
        assert cell.seed == 7
        assert f"It drew from {drawn}." in cell.notes


def test_their_silence_never_becomes_a_pass(record: ReportRecord) -> None:
    assert record.verdict is not None
    assert record.verdict.outcome is Outcome.INCONCLUSIVE
    (setting,) = record.verdict.settings
    assert len(setting.missing) == 4
    assert all("control-failed" in one for one in setting.missing)


def test_an_attack_that_understates_what_it_needs_is_shown_no_releases(
    record: ReportRecord,
) -> None:
    (plain,) = cells(record, "understated", defended=False)
    assert (plain.state, plain.leakage) == (State.FAILED, None)
    assert "grants no 'activations'" in plain.reason
    # Where it gives up it reads nothing, and so runs; but nothing shows that it works anywhere.
    (defended,) = cells(record, "understated", defended=True)
    assert (defended.state, defended.leakage) == (State.CONTROL_FAILED, None)
    assert defended.reason.startswith("positive control failed: ")
