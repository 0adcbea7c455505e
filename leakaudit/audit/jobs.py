"""The two kinds of work a child process does: train a target, run a cell.

A job writes its result folder whole or raises. Only here do the truth and the reconstructions
meet, after the attack has returned.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from leakaudit.audit.matrix import CellPlan, TargetPlan
from leakaudit.audit.store import RunStore
from leakaudit.contracts import Attempt, Capability, PrivacyGuarantee, Progress, ReleaseSetting
from leakaudit.data import Cohort, Patient, Splits, brain_mask
from leakaudit.errors import CellError
from leakaudit.measure import controls, fidelity, identity, statistics
from leakaudit.measure import utility as dice
from leakaudit.randomness import derive_seed
from leakaudit.records import (
    CellRecord,
    Control,
    Cost,
    Guarantee,
    Leakage,
    PatientScore,
    State,
    TargetRecord,
    Utility,
)
from leakaudit.target.protocol import Activations, LabelSite, segmentation_loss
from leakaudit.target.training import TrainingData, build, choose_device, train
from leakaudit.threat.observing import System, images_of, masks_of, observe, release_patient

_WEIGHTS = "weights.safetensors"
TARGET_FILE = "target.json"
CELL_FILE = "cell.json"
RECONSTRUCTIONS = "reconstructions.safetensors"


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """What a job needs to know; crosses to the child by pickle.

    Args:
        root: the run directory.
        cohort: all patients, in memory only.
        splits: who plays which part.
        device: ``auto``, ``cpu`` or ``cuda``.
        target: the network to train or to attack.
        cell: the attack, for a cell.
    """

    root: Path
    cohort: Cohort
    splits: Splits
    device: str
    target: TargetPlan
    cell: CellPlan | None = None


def train_target(task: Task, progress: Progress) -> None:
    """Train a target, measure what it is worth, and store both."""
    started = time.time()
    store, plan = RunStore(task.root), task.target
    people = _people(task)
    system = _untrained(task, people)
    victims = people.of(task.splits.victims)
    untrained = _utility(system, victims).mean.mean
    training = people.of(task.splits.train)
    images = torch.cat([_tumour_bearing(images_of(p), p) for p in training])
    masks = torch.cat([_tumour_bearing(masks_of(p), p) for p in training])
    data = TrainingData(views=tuple(images.split(list(plan.spec.channels), dim=1)), masks=masks)
    validation = people.of(task.splits.validation)
    scratch = store.scratch(plan.key)
    history = train(
        system.network,
        system.defense,
        data,
        plan.settings,
        seed=plan.seed,
        device=system.device,
        folder=scratch,
        progress=progress,
        validate=lambda _: _utility(system, validation).mean.mean,
    )
    total, by_level = _noise_to_signal(system, victims)
    claim = system.defense.guarantee(_releases_per_patient(task, people), reproducible=True)
    record = TargetRecord(
        **target_facts(plan),
        fitted_defense=repr(system.defense),
        utility=_utility(system, victims),
        untrained_dice=untrained,
        noise_to_signal=total,
        noise_to_signal_by_level=by_level,
        guarantee=_guarantee(claim),
        state=State.OK,
        volatile=_volatile(started, device=str(system.device)),
    )
    weights = {name: t.detach().cpu().contiguous() for name, t in system.network.state_dict().items()}
    with store.commit("targets", plan.key) as folder:
        save_file(weights, folder / _WEIGHTS)
        (folder / TARGET_FILE).write_text(record.model_dump_json(indent=1))
        (folder / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in history))
    _remove(scratch)


def run_cell(task: Task, progress: Progress) -> None:
    """Attack a trained target, measure the reconstruction against its controls, and store both."""
    started = time.time()
    store, plan = RunStore(task.root), task.cell
    if plan is None:
        raise CellError("a cell job without a cell")
    people = _people(task)
    system = _trained(task, people, store)
    victims = people.of(_victims(task))
    auxiliary = people.of(task.splits.auxiliary)
    truth = _middle_images(victims)
    observation = observe(
        plan.threat, system, victims=victims, auxiliary=auxiliary, releases=plan.releases
    )
    learned = plan.attack.learns_from_queries
    attempt = plan.attack(
        observation,
        seed=derive_seed(plan.target.seed, "cell"),
        progress=lambda done, total: progress(done, total * (2 if learned else 1)),
    )
    reconstructions = attempt.reconstruction.images.numpy()
    floor = _Floor(truth, _middle_images(auxiliary))
    leakage = _leakage(task, people, victims, attempt, reconstructions, truth, floor)
    if learned:
        blindfolded = observe(
            plan.threat,
            system,
            victims=victims,
            auxiliary=auxiliary,
            releases=plan.releases,
            shuffled=True,
        )
        blind = plan.attack.shuffled()(
            blindfolded,
            seed=derive_seed(plan.target.seed, "cell"),
            progress=lambda done, total: progress(total + done, total * 2),
        )
        scores = fidelity.ssim_brain(blind.reconstruction.images.numpy(), truth, floor.brain)
        negative = controls.negative_control(scores, floor.scores)
    else:
        negative = _other_patients_control(reconstructions, truth, floor)
    record = _judged(
        CellRecord(
            **cell_facts(plan),
            state=State.OK,
            leakage=leakage,
            negative_control=negative,
            cost=Cost(
                iterations=attempt.reconstruction.iterations,
                queries=attempt.queries,
                auxiliary_patients=attempt.auxiliary_patients,
            ),
            notes=attempt.reconstruction.notes,
            volatile=_volatile(started),
        )
    )
    with store.commit("cells", plan.key) as folder:
        (folder / CELL_FILE).write_text(record.model_dump_json(indent=1))
        save_arrays({"images": np.ascontiguousarray(reconstructions)}, folder / RECONSTRUCTIONS)


def target_facts(plan: TargetPlan) -> dict[str, Any]:
    """What a target's record says whether or not the training ended well."""
    spec = plan.spec
    held = "+".join(modality for site in plan.sites for modality in site)
    return {
        "target": plan.key,
        "kind": plan.kind,
        "site": held if plan.kind == "single-site" else "",
        "sites": plan.sites,
        "cut_level": spec.cut_level,
        "shared_skips": spec.shared_skips,
        "features": spec.features,
        "parameters": _parameters(plan),
        "defense": repr(plan.defense),
        "seed": plan.seed,
        "control_only": plan.control_only,
        "epochs": plan.settings.epochs,
    }


def cell_facts(plan: CellPlan) -> dict[str, Any]:
    """What a cell's record says whether or not the attack ran."""
    return {
        "cell": plan.key,
        "target": plan.target.key,
        "cut_level": plan.target.spec.cut_level,
        "shared_skips": plan.target.spec.shared_skips,
        "defense": repr(plan.target.defense),
        "attack": repr(plan.attack),
        "attack_name": plan.attack_name,
        "threat": plan.threat.name,
        "victims": plan.threat.victims,
        "releases": plan.releases,
        "seed": plan.target.seed,
        "control_only": plan.control_only,
    }


def victims_of(splits: Splits, kind: str, seed: int) -> tuple[str, ...]:
    """Who is attacked: the victims, or as many members of the train split, drawn by the seed."""
    if kind == "inference":
        return splits.victims
    rng = np.random.default_rng(derive_seed(seed, "training victims"))
    count = min(len(splits.victims), len(splits.train))
    return tuple(sorted(rng.choice(splits.train, size=count, replace=False).tolist()))


class _People:
    """The patients with the modalities of one network, in its sites' order."""

    def __init__(self, cohort: Cohort, sites: Sequence[Sequence[str]]) -> None:
        order = [cohort.modalities.index(modality) for site in sites for modality in site]
        self.patients = {
            patient.id: Patient(
                id=patient.id, images=patient.images[:, order], masks=patient.masks
            )
            for patient in cohort.patients
        }

    def of(self, ids: Sequence[str]) -> list[Patient]:
        return [self.patients[name] for name in ids]


class _Floor:
    """The best blind guess and the outline floor for a set of victims."""

    def __init__(self, truth: np.ndarray, auxiliary: np.ndarray) -> None:
        self.brain = brain_mask(truth)
        guesses = controls.blind_guesses(auxiliary)
        self.name, self.image, self.scores = controls.best_blind_guess(guesses, truth, self.brain)
        outline = controls.outline_floor(self.brain, auxiliary, brain_mask(auxiliary))
        self.outline = fidelity.ssim_brain(outline, truth, self.brain)


def _people(task: Task) -> _People:
    return _People(task.cohort, task.target.sites)


def _victims(task: Task) -> tuple[str, ...]:
    if task.cell is None:
        return task.splits.victims
    return victims_of(task.splits, task.cell.threat.victims, task.cell.target.seed)


def _tumour_bearing(tensor: torch.Tensor, patient: Patient) -> torch.Tensor:
    return tensor[list(patient.tumour_slices)]


def _middle_images(patients: Sequence[Patient]) -> np.ndarray:
    return np.stack([patient.images[patient.middle] for patient in patients])


def _releases_per_patient(task: Task, people: _People) -> int:
    """Passes x slices: what the label site sees of one inference patient."""
    slices = max(len(patient.images) for patient in people.of(task.splits.victims))
    return task.target.releases * slices


def _untrained(task: Task, people: _People) -> System:
    plan = task.target
    device = choose_device(task.device)
    initial = build(plan.spec, plan.seed).to(device).eval()
    auxiliary = torch.cat([images_of(patient) for patient in people.of(task.splits.auxiliary)])
    with torch.no_grad():
        levels = initial.encode(auxiliary.to(device).split(list(plan.spec.channels), dim=1))
    setting = ReleaseSetting(
        sites=len(plan.sites),
        releases_per_patient=_releases_per_patient(task, people),
        auxiliary_levels=levels,
    )
    return System(
        network=build(plan.spec, plan.seed).to(device),
        initial=initial,
        defense=plan.defense.fit(setting),
        seed=plan.seed,
        device=device,
    )


def _trained(task: Task, people: _People, store: RunStore) -> System:
    system = _untrained(task, people)
    path = store.folder("targets", task.target.key) / _WEIGHTS
    system.network.load_state_dict(load_file(path))
    system.network.to(system.device).eval()
    return system


def _utility(system: System, patients: Sequence[Patient]) -> Utility:
    """Dice with the defence on; the release that is segmented is the one an adversary sees."""
    label_site = LabelSite(system.network.server, segmentation_loss())
    found = []
    for patient in patients:
        messages = [Activations(levels) for levels in release_patient(system, patient, 0)]
        predicted = label_site.segment(messages).cpu().numpy()
        found.append(dice.dice_patient(predicted, patient.masks.astype(np.int64), patient.id))
    return dice.utility(found)


def _noise_to_signal(
    system: System, patients: Sequence[Patient]
) -> tuple[float | None, dict[str, float]]:
    """Standard deviation of what the defence changed over that of the undefended levels."""
    crossing = system.network.spec.crossing
    noise: dict[int, list[torch.Tensor]] = {level: [] for level in crossing}
    signal: dict[int, list[torch.Tensor]] = {level: [] for level in crossing}
    for patient in patients:
        views = images_of(patient).to(system.device).split(list(system.network.spec.channels), dim=1)
        with torch.no_grad():
            clean = system.network.encode(views)
        for sent, was in zip(release_patient(system, patient, 0), clean, strict=True):
            for level, after, before in zip(crossing, sent, was, strict=True):
                noise[level].append((after - before).flatten())
                signal[level].append(before.flatten())
    if not any(bool(part.any()) for parts in noise.values() for part in parts):
        return None, {}
    by_level = {
        str(level): float(torch.cat(noise[level]).std() / torch.cat(signal[level]).std())
        for level in crossing
    }
    everything = [torch.cat([part for parts in side.values() for part in parts]) for side in (noise, signal)]
    return float(everything[0].std() / everything[1].std()), by_level


def _leakage(
    task: Task,
    people: _People,
    victims: Sequence[Patient],
    attempt: Attempt,
    reconstructions: np.ndarray,
    truth: np.ndarray,
    floor: _Floor,
) -> Leakage:
    brain = floor.brain
    inside = fidelity.ssim_brain(reconstructions, truth, brain)
    whole = fidelity.ssim_image(reconstructions, truth)
    noise = fidelity.psnr(reconstructions, truth)
    error = fidelity.mae(reconstructions, truth, brain)
    gallery = people.of(
        [name for name in people.patients if name not in task.splits.auxiliary]
    )
    result = attempt.reconstruction
    return Leakage(
        ssim_brain=statistics.interval(inside),
        ssim_image=statistics.interval(whole),
        psnr=statistics.interval(noise) if np.isfinite(noise).all() else None,
        blind_floor=float(floor.scores.mean()),
        blind_floor_name=floor.name,
        outline_floor=float(floor.outline.mean()),
        advantage=controls.advantage(inside, floor.scores),
        reidentification=identity.reidentify(
            reconstructions,
            floor.image,
            [patient.id for patient in victims],
            _middle_images(gallery),
            [patient.id for patient in gallery],
        ),
        patients=tuple(
            PatientScore(
                patient=patient.id,
                ssim_brain=float(inside[index]),
                ssim_image=float(whole[index]),
                psnr=float(noise[index]) if np.isfinite(noise[index]) else None,
                mae=float(error[index]),
                blind_floor=float(floor.scores[index]),
                outline_floor=float(floor.outline[index]),
            )
            for index, patient in enumerate(victims)
        ),
        objective_first=result.objective_first,
        objective_last=result.objective_last,
    )


def _other_patients_control(
    reconstructions: np.ndarray, truth: np.ndarray, floor: _Floor
) -> Control:
    """Each reconstruction held against another victim: the attack on a wrong observation."""
    order = controls.derangement(len(truth))
    scores = None
    if order is not None:
        scores = fidelity.ssim_brain(reconstructions[order], truth, floor.brain)
    return controls.negative_control(scores, floor.scores)


def _judged(record: CellRecord) -> CellRecord:
    """An attack whose own control or objective failed has no leakage figure."""
    leakage, negative = record.leakage, record.negative_control
    if leakage is None or negative is None:
        raise CellError("the attack left no figures")
    reason = ""
    if negative.passed is None:
        reason = f"no negative control: {negative.detail}"
    elif not negative.passed:
        reason = f"negative control failed: {negative.detail}"
    elif not leakage.objective_last < leakage.objective_first:
        reason = (
            f"attack not working: its own objective did not fall "
            f"({leakage.objective_first:.4g} to {leakage.objective_last:.4g})"
        )
    if not reason:
        return record
    return record.model_copy(
        update={
            "state": State.CONTROL_FAILED,
            "reason": reason,
            "leakage": None,
            "withheld": leakage,
        }
    )


def _guarantee(claim: PrivacyGuarantee | None) -> Guarantee | None:
    if claim is None:
        return None
    return Guarantee(
        claimed=claim.claimed,
        epsilon=claim.epsilon,
        delta=claim.delta,
        releases=claim.releases,
        mechanism=claim.mechanism,
        assumptions=claim.assumptions,
        reason=claim.reason,
    )


def _parameters(plan: TargetPlan) -> int:
    from leakaudit.target.split_unet import parameter_count

    return parameter_count(plan.spec)


def _volatile(started: float, **more: Any) -> dict[str, Any]:
    return {"seconds": time.time() - started, "pid": os.getpid(), "started": started, **more}


def _remove(scratch: Path) -> None:
    import shutil

    shutil.rmtree(scratch, ignore_errors=True)
