"""A job's system: the patients of one network, the network with its defense, what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from safetensors.torch import load_file

from leakaudit.audit.planning.plans import CellPlan, TargetPlan
from leakaudit.audit.storage.patient_file import SharedPatients
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.contracts import Capability, Defense, ReleaseSetting
from leakaudit.data import Patient, Splits
from leakaudit.data.splits import victims_of
from leakaudit.errors import StoreError
from leakaudit.measure import utility as dice
from leakaudit.records import Utility
from leakaudit.target.checkpoints import epoch_file, load_epoch
from leakaudit.target.effects import Effects
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.parties import Activations, LabelSite
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import build, choose_device
from leakaudit.threat.system import System, images_of, of_slice, path_of, release_patient
from leakaudit.types import SiteLevels

WEIGHTS_FILE = "weights.safetensors"

Segmenter = Callable[[np.ndarray], np.ndarray]


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """The input of a job; it crosses to the child by pickle.

    Args:
        root: the run directory.
        patients: everybody, shared with the other jobs.
        splits: who plays which part.
        device: ``auto``, ``cpu`` or ``cuda``.
        target: the network to train or to attack.
        cell: the attack, for a cell.
    """

    root: Path
    patients: SharedPatients
    splits: Splits
    device: str
    target: TargetPlan
    cell: CellPlan | None = None


@final
class People:
    """The patients with the modalities of one network, in its sites' order."""

    def __init__(self, shared: SharedPatients, sites: Sequence[Sequence[str]]) -> None:
        """Say which modalities; a patient's images are read when asked for."""
        self.fingerprint = shared.fingerprint
        self._patients = shared.patients
        self._order = [shared.modalities.index(m) for site in sites for m in site]

    def each(self, ids: Iterable[str]) -> Iterator[Patient]:
        """The patients of these identifiers, in order, one in memory at a time."""
        for name in ids:
            whole = self._patients[name]
            yield Patient(id=name, images=whole.images[:, self._order], masks=whole.masks)

    def load(self, ids: Iterable[str]) -> list[Patient]:
        """Return the patients of these identifiers, all of them in memory."""
        return list(self.each(ids))

    def all_but(self, ids: Collection[str]) -> list[str]:
        """Return the identifiers of all other patients."""
        return [name for name in self._patients if name not in ids]


def people_of(task: Task) -> People:
    """The patients as the task's network sees them."""
    return People(task.patients, task.target.sites)


def cell_victims(task: Task) -> tuple[str, ...]:
    """Return the patients who are attacked in the task's cell."""
    if task.cell is None:
        return task.splits.victims
    return victims_of(task.splits, task.cell.threat.victims, task.cell.target.seed)


def middle_images(patients: Iterable[Patient]) -> np.ndarray:
    """Each patient's middle tumour-bearing slice, ``(patients, M, *spatial)``."""
    return np.stack([patient.images[patient.middle] for patient in patients])


def releases_per_patient(task: Task, people: People) -> int:
    """Passes x slices: what the label site sees of one inference patient."""
    slices = max(len(patient.masks) for patient in people.each(task.splits.victims))
    return task.target.releases * slices


def training_slices(people: People, ids: Iterable[str]) -> dict[str, int]:
    """How many slices of each training patient bear a tumour, and so are trained on."""
    return {patient.id: len(patient.tumour_slices) for patient in people.each(ids)}


def untrained_system(task: Task, people: People) -> System:
    """The freshly built network with its defense fitted to it."""
    plan = task.target
    device = choose_device(task.device)
    initial = build(plan.spec, plan.seed).to(device).eval()
    defense = plan.defense
    if type(defense).fit is not Defense.fit:
        defense = defense.fit(_release_setting(task, people, initial, device))
    return System(
        settings=plan.settings,
        network=build(plan.spec, plan.seed, defense).to(device),
        initial=build(plan.spec, plan.seed, defense).to(device).eval(),
        defense=defense,
        seed=plan.seed,
        secret=people.fingerprint,
        device=device,
    )


def _release_setting(
    task: Task, people: People, initial: SplitUNet, device: torch.device
) -> ReleaseSetting:
    """Return the data to which a defense may be fitted; patients are encoded one by one."""
    encoded = []
    for patient in people.each(task.splits.auxiliary):
        views = images_of(patient).to(device).split(list(initial.spec.channels), dim=1)
        with torch.no_grad():
            encoded.append(initial.encode(views))
    settings, slices = task.target.settings, training_slices(people, task.splits.train)
    most = max(slices.values())
    steps = -(-sum(slices.values()) // settings.batch_size)
    return ReleaseSetting(
        sites=len(task.target.sites),
        releases_per_patient=releases_per_patient(task, people),
        releases_in_training=settings.epochs * most,
        steps_per_patient=settings.epochs * min(most, steps),
        auxiliary_levels=tuple(
            tuple(torch.cat(level) for level in zip(*site, strict=True))
            for site in zip(*encoded, strict=True)
        ),
    )


def trained_system(task: Task, people: People, store: RunStore) -> System:
    """Load the system of a task with the weights of its finished training.

    Raises:
        StoreError: what is stored is no longer what was written.
    """
    folder = store.folder("targets", task.target.key)
    # Checked when the run began, and again here: minutes may lie between.
    if not store.is_done("targets", task.target.key):
        raise StoreError(f"{folder}: changed since it was written; run again to redo it")
    system = untrained_system(task, people)
    path = folder / WEIGHTS_FILE
    system.network.load_state_dict(load_file(path))
    system.network.to(system.device).eval()
    return _with_epochs(system, task, folder)


def _with_epochs(system: System, task: Task, folder: Path) -> System:
    """The system with as much of its training as the threat of the task's cell sees."""
    cell, settings = task.cell, task.target.settings
    if cell is None or cell.target.key != task.target.key:
        return system  # nobody attacks it
    transcript = Capability.TRANSCRIPT in cell.threat.capabilities
    after = {
        epoch: _after(task, folder, epoch, system.defense, system.device)
        for epoch in settings.kept
        if transcript or epoch in cell.gradient_checkpoints
    }
    every = [*after.values(), system.network] if transcript else []
    return replace(
        system,
        between={epoch: after[epoch] for epoch in after if epoch in cell.gradient_checkpoints},
        transcript=tuple(tuple(network.encoders) for network in every),
    )


def _after(
    task: Task, folder: Path, epoch: int, defense: Defense, device: torch.device
) -> SplitUNet:
    network = build(task.target.spec, task.target.seed, defense)
    if not load_epoch(folder, epoch, network):
        raise StoreError(f"{epoch_file(folder, epoch)}: changed since it was written")
    return network.to(device).eval()


def utility_of(
    system: System, patients: Sequence[Patient], seen: list[SiteLevels] | None = None
) -> Utility:
    """Dice with the defense on; the release that is segmented is the one an adversary sees.

    ``seen`` takes up what each patient's middle slice was released as.
    """
    label_site = LabelSite(system.network.server, segmentation_loss())
    path = path_of(system)
    found = []
    for patient in patients:
        released = release_patient(system, patient, 0, path=path)
        if seen is not None:
            seen.append(of_slice(released, patient.middle))
        predicted = label_site.segment([Activations(levels) for levels in released]).cpu().numpy()
        found.append(dice.dice_patient(predicted, patient.masks.astype(np.int64), patient.id))
    return dice.utility(found)


def segmenter_of(task: Task, people: People, store: RunStore) -> Segmenter | None:
    """Return a tumour segmenter for the task's victims that was trained on other patients.

    Returns:
        From images ``(n, M, *spatial)`` to labels ``(n, *spatial)``; None where there is none.
    """
    if task.cell is None or task.cell.segmenter is None:
        return None
    system = trained_system(replace(task, target=task.cell.segmenter), people, store)
    network = system.network
    label_site = LabelSite(network.server, segmentation_loss())

    def segmented(images: np.ndarray) -> np.ndarray:
        views = torch.from_numpy(images).to(system.device).split(list(network.spec.channels), 1)
        with torch.no_grad():
            messages = [Activations(levels) for levels in network.encode(views)]
        labels: np.ndarray = label_site.segment(messages).cpu().numpy()
        return labels

    return segmented


def noise_to_signal(
    system: System, patients: Sequence[Patient], watch: Effects
) -> tuple[float | None, dict[str, float]]:
    """Standard deviation of what the defense changed over that of the undefended levels.

    ``watch`` sees the releases that are measured.
    """
    crossing = system.network.spec.crossing
    noise: dict[int, list[torch.Tensor]] = {level: [] for level in crossing}
    signal: dict[int, list[torch.Tensor]] = {level: [] for level in crossing}
    for patient in patients:
        views = (
            images_of(patient).to(system.device).split(list(system.network.spec.channels), dim=1)
        )
        with torch.no_grad():
            clean = system.network.encode(views)
        for sent, was in zip(release_patient(system, patient, 0, watch), clean, strict=True):
            for level, after, before in zip(crossing, sent, was, strict=True):
                noise[level].append((after - before).flatten())
                signal[level].append(before.flatten())
    if not any(bool(part.any()) for parts in noise.values() for part in parts):
        return None, {}
    by_level = {
        str(level): float(torch.cat(noise[level]).std() / torch.cat(signal[level]).std())
        for level in crossing
    }
    everything = [
        torch.cat([part for parts in side.values() for part in parts]) for side in (noise, signal)
    ]
    return float(everything[0].std() / everything[1].std()), by_level
