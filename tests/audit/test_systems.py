"""What a network is worth is never made up, and a job gets what it was promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.audit.jobs.train_network import _training_data
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.runner import _jobs, _limits
from leakaudit.audit.scoring.caveats import caveats
from leakaudit.audit.storage.patient_file import share
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.audit.storage.system import People, people_of, untrained_system, utility_of
from leakaudit.audit_file import parse_audit
from leakaudit.config import PluginUse, expand
from leakaudit.contracts import AttackFacts, Defense, Evidence
from leakaudit.data import phantom_cohort
from leakaudit.errors import CellError
from leakaudit.randomness import normal_like
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.threat.system import System
from leakaudit.types import Levels
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_patients, tiny_system

SPEC = SplitUNetSpec(channels=(4,), cut_level=0, shared_skips=(), features=(4, 4, 4, 4, 4, 4))


def spoil(network: SplitUNet) -> None:
    with torch.no_grad():
        next(network.server.parameters()).fill_(torch.nan)


@pytest.mark.parametrize(
    ("change", "fails"), [(spoil, True), (lambda network: None, False)], ids=["NaN", "finite"]
)
def test_a_network_whose_output_is_not_finite_has_no_dice(
    change: Callable[[SplitUNet], object], fails: bool
) -> None:
    network = build(SPEC, 0).eval()
    change(network)
    system = System(
        network=network,
        initial=build(SPEC, 0).eval(),
        defense=expand("defense", PluginUse(name="identity"))[0][1],
        seed=0,
        device=torch.device("cpu"),
    )
    patients = phantom_cohort(patients=4, slices=2, size=32, seed=0, spatial_dims=2).patients
    if fails:
        with pytest.raises(CellError, match="not finite"):
            utility_of(system, patients)
    else:
        assert utility_of(system, patients).mean.n == 4


def test_a_training_without_a_tumour_slice_says_so(tmp_path: Path) -> None:
    cohort = phantom_cohort(patients=4, slices=2, size=32, seed=0, spatial_dims=2)
    healthy = tuple(replace(p, masks=np.zeros_like(p.masks)) for p in cohort.patients)
    people = People(share(replace(cohort, patients=healthy), tmp_path), [cohort.modalities])
    with pytest.raises(CellError, match="no slice of any training patient bears a tumour"):
        _training_data(people, [healthy[0].id], (4,))
    mixed = (*healthy[:1], *cohort.patients[1:])
    people = People(share(replace(cohort, patients=mixed), tmp_path), [cohort.modalities])
    data = _training_data(people, [one.id for one in mixed[:2]], (4,))
    assert len(data.masks) == len(cohort.patients[1].tumour_slices)
    assert bool(data.masks.flatten(1).any(dim=1).all())


def test_draws_are_keyed_by_the_patients_images(tiny_audit: dict[str, Any], tmp_path: Path) -> None:
    def draws_of(patients: int) -> int:
        data = {**tiny_audit["data"], "phantom": {"patients": patients, "slices": 2, "seed": 0}}
        audit = json.dumps({**tiny_audit, "data": data}).encode()
        plan = plan_audit(parse_audit(audit, "audit", folder=Path("/")))
        store = RunStore(tmp_path / str(patients))
        store.prepare()
        task = _jobs(plan, store)[0].argument
        return untrained_system(task, people_of(task)).draws

    assert draws_of(8) == draws_of(8) != draws_of(9)


@pytest.mark.parametrize(("budgets", "gigabytes"), [({"gigabytes_per_job": 1.5}, 1.5), ({}, 2.0)])
def test_a_job_is_allowed_what_the_audit_says_or_its_share_of_the_machine(
    tiny_audit: dict[str, Any], budgets: dict[str, Any], gigabytes: float
) -> None:
    audit = {**tiny_audit, "budgets": {"workers": 256, "minutes_per_job": 0.5, **budgets}}
    config = parse_audit(json.dumps(audit).encode(), "audit", folder=Path("/"))
    limits = _limits(config)  # 256 workers: a share below the least that a job is denied
    assert limits.seconds == 30
    assert limits.memory == int(gigabytes * 1e9)


class Silent(Defense):
    """Adds noise, and does not say so."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level + noise for level, noise in zip(levels, drawn, strict=True))


class Boasting(Silent):
    """Says that the variance of its noise is a hundred, and it is one."""

    variance = 100.0

    def evidence(self, released: Levels) -> Evidence:
        return Evidence(
            values=released,
            variances=tuple(torch.full_like(level, self.variance) for level in released),
        )


class Modest(Boasting):
    variance = 0.01


class Keyed(Defense):
    """Puts positions into a fresh order, and sends the order along in the first channel."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[:, :1], generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        sent = []
        for level, scores in zip(levels, drawn, strict=True):
            order = scores.flatten(2).argsort(dim=2)
            shuffled = level.flatten(2).gather(2, order.expand(-1, level.shape[1], -1))
            sent.append(torch.cat([scores.flatten(2), shuffled[:, 1:]], dim=1).view_as(level))
        return tuple(sent)


class Keyless(Keyed):
    """The same without the key: nothing undoes the order."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        sent = super().apply(levels, drawn)
        return tuple(level[:, 1:2].expand_as(level) for level in sent)


class DeadLevels(Silent):
    """Noise on what is 0 for everybody: many values are made of the draw alone, and no key."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        kept = tuple(level * (level > level.mean()) for level in levels)
        return super().apply(kept, drawn)


class FreshSign(Silent):
    """One drawn sign for each level of a release."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[:, :1, :1, :1], generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level * one.sign() for level, one in zip(levels, drawn, strict=True))


class QuietInBatches(Silent):
    """Noise only where somebody looks at one sample alone."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return super().apply(levels, drawn) if len(levels[0]) == 1 else levels


def attack_named(name: str) -> AttackFacts:
    found = expand("attack", PluginUse(name=name))[0][1]
    assert isinstance(found, AttackFacts)
    return found


@pytest.mark.parametrize(
    ("name", "defense", "kinds"),
    [
        ("unsplit", Silent(), {"evidence"}),
        ("unsplit", Boasting(), {"evidence"}),
        ("unsplit", Modest(), {"evidence"}),
        ("unsplit", Identity(), set()),
        ("activation-inversion", Silent(), set()),
        ("activation-inversion", Keyed(), {"key"}),
        ("decoder-inversion", Keyed(), {"key"}),
        ("decoder-inversion", Keyless(), set()),
        ("decoder-inversion", DeadLevels(), set()),
        ("decoder-inversion", FreshSign(), {"few draws"}),
        ("decoder-inversion", QuietInBatches(), {"unsteady"}),
        ("feature-space-hijacking", Keyed(), {"key"}),
        ("gradient-inversion", Keyed(), {"own draws"}),
        ("gradient-inversion", Identity(), set()),
        ("learned-gradient-inversion", Keyed(), set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cell_is_doubted_where_its_attack_does_not_see_what_crosses(
    name: str, defense: Defense, kinds: set[str]
) -> None:
    (patient,) = tiny_patients(1)
    found = caveats(attack_named(name), tiny_system(defense), patient)
    assert {doubt.kind for doubt in found} == kinds


@pytest.mark.parametrize(
    "name", ["identity", "gaussian-noise", "activation-dropout", "dp-gaussian", "quantization"]
)
def test_what_a_built_in_defense_says_of_itself_raises_no_doubt(name: str) -> None:
    (patient,) = tiny_patients(1)
    defense = expand("defense", PluginUse(name=name))[0][1]
    assert isinstance(defense, Defense)
    for attack in ("unsplit", "decoder-inversion"):
        assert caveats(attack_named(attack), tiny_system(defense), patient) == ()
