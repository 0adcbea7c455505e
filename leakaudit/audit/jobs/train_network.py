"""One job: train a network under its defense, and measure what it is worth."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence

import torch
from safetensors.torch import save_file

from leakaudit.audit.jobs.release_check import digest_of_middles
from leakaudit.audit.jobs.tampering import untouched
from leakaudit.audit.planning.facts import target_facts
from leakaudit.audit.scoring.claims import checked_claim, recorded_guarantee
from leakaudit.audit.storage.run_folder import TARGET_FILE, RunStore, volatile_facts
from leakaudit.audit.storage.system import (
    WEIGHTS_FILE,
    People,
    Task,
    noise_to_signal,
    people_of,
    releases_per_patient,
    untrained_system,
    utility_of,
)
from leakaudit.contracts import Progress
from leakaudit.data.splits import victims_of
from leakaudit.errors import CellError
from leakaudit.measure import utility as dice
from leakaudit.records import State, TargetRecord
from leakaudit.target.checkpoints import copy_epoch
from leakaudit.target.effects import Effects
from leakaudit.target.training import TrainingData, train
from leakaudit.threat.releasing import digest_of, together
from leakaudit.threat.system import images_of, masks_of
from leakaudit.types import SiteLevels


def train_target(task: Task, progress: Progress) -> None:
    """Train a target, measure what it is worth, and store both."""
    started = time.time()
    store, plan = RunStore(task.root), task.target
    people = people_of(task)
    system = untrained_system(task, people)
    victims = people.load(task.splits.victims)
    untrained = utility_of(system, victims)
    data = _training_data(people, task.splits.train, plan.spec.channels)
    validation = people.load(task.splits.validation)
    scratch = store.scratch(plan.key)
    with untouched(f"defense {plan.defense_name}", defense=system.defense):
        history = train(
            system.network,
            system.defense,
            data,
            plan.settings,
            seed=plan.seed,
            device=system.device,
            folder=scratch,
            progress=progress,
            validate=lambda _: utility_of(system, validation).mean.mean,
        )
    sums = [epoch["effects"] for epoch in history]
    training = Effects.summed(system.defense, "training", sums)
    inference = Effects(system.defense, "inference")
    released: list[SiteLevels] = []
    utility = utility_of(system, victims, released)
    trained_on = people.load(victims_of(task.splits, "training", plan.seed))
    total, by_level = noise_to_signal(system, victims, inference)
    releases = releases_per_patient(task, people)
    checked = checked_claim(
        plan.defense,
        system.defense,
        system.defense.guarantee(releases, reproducible=True),
        sites=len(plan.sites),
        releases=releases,
    )
    phases = (training, inference)
    off = [*(one.idle() for one in phases), *(one.too_quiet(releases) for one in phases)]
    idle = next(filter(None, [*off, checked.contradiction]), "")
    record = TargetRecord(
        **target_facts(plan),
        fitted_defense=(system.defense.configured,),
        utility=dice.beside_untrained(utility, untrained),
        untrained_dice=untrained.mean.mean,
        above_untrained=dice.gained(utility, untrained),
        noise_to_signal=total,
        noise_to_signal_by_level=by_level,
        guarantee=recorded_guarantee(checked.claim, idle),
        effects=tuple(effect for phase in phases for effect in phase.records()),
        idle=idle,
        state=State.OK,
        released=digest_of(together(released)),
        released_of_training=digest_of_middles(system, trained_on),
        volatile=volatile_facts(started, device=str(system.device)),
    )
    weights = {
        name: t.detach().cpu().contiguous() for name, t in system.network.state_dict().items()
    }
    with store.commit("targets", plan.key) as folder:
        save_file(weights, folder / WEIGHTS_FILE)
        for epoch in plan.settings.kept:
            copy_epoch(scratch, epoch, folder)
        (folder / TARGET_FILE).write_text(record.model_dump_json(indent=1))
        (folder / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in history))
    shutil.rmtree(scratch, ignore_errors=True)


def _training_data(people: People, ids: Sequence[str], channels: tuple[int, ...]) -> TrainingData:
    """All tumour-bearing slices; a large cohort is never in memory twice."""
    chosen = {p.id: list(p.tumour_slices) for p in people.each(ids)}
    slices = sum(len(indices) for indices in chosen.values())
    if not slices:
        raise CellError("no slice of any training patient bears a tumour")
    images, masks = torch.empty(0), torch.empty(0)
    start = 0
    owners = [number for number, each in enumerate(chosen.values()) for _ in each]
    for patient in people.each(ids):
        of_patient = images_of(patient)[chosen[patient.id]], masks_of(patient)[chosen[patient.id]]
        if not start:
            images, masks = (part.new_empty(slices, *part.shape[1:]) for part in of_patient)
        end = start + len(of_patient[0])
        images[start:end], masks[start:end] = of_patient
        start = end
    return TrainingData(
        views=tuple(images.split(list(channels), dim=1)),
        masks=masks,
        patients=torch.tensor(owners),
    )
