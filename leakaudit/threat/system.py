"""A trained target as the auditor holds it, and what it sends for a patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch

from leakaudit.contracts import Defense, SystemLayout
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import derive_seed
from leakaudit.target.effects import Effects
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import TrainingSettings
from leakaudit.threat.releasing import ReleasePath
from leakaudit.types import Images, Masks, SiteLevels


@final
@dataclass(frozen=True, kw_only=True)
class System:
    """A trained target as the auditor holds it.

    Args:
        network: with its final weights.
        initial: the same network before its first step.
        defense: fitted.
        seed: seed of the target.
        secret: keys the draws beside the seed. In an audit it is the fingerprint of all patients'
            images, which no attack is shown.
        device: where the parties compute.
        settings: by which the network was trained.
        between: the network after those epochs before the last that ``settings`` keeps whole.
        transcript: every site's encoder after each epoch, if ``settings`` keeps them.
    """

    network: SplitUNet
    initial: SplitUNet
    defense: Defense
    seed: int
    device: torch.device
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    between: Mapping[int, SplitUNet] = field(default_factory=dict)
    transcript: tuple[tuple[torch.nn.Module, ...], ...] = ()
    secret: str = ""

    @property
    def draws(self) -> int:
        """Seed of what the sites draw for a message. The target's own seed is public."""
        return derive_seed(self.seed, "draws", self.secret)

    def observed(self, epochs: Sequence[int] | None) -> Sequence[int]:
        """``epochs``, or before training and at its end if there are none."""
        return (0, self.settings.epochs) if epochs is None else epochs

    def after(self, epoch: int) -> SplitUNet:
        """The network after an epoch; 0 is before the first step.

        Raises:
            CellError: it was not kept.
        """
        if epoch == 0:
            return self.initial
        if epoch == self.settings.epochs:
            return self.network
        if epoch not in self.between:
            raise CellError(f"the network after epoch {epoch} was not kept")
        return self.between[epoch]


def checkpoint_name(system: System, epoch: int) -> str:
    """Return an observation's name for the moment after an epoch."""
    ends = {0: "initialisation", system.settings.epochs: "final"}
    return ends.get(epoch, f"epoch {epoch}")


def layout_of(
    system: System,
    spatial: tuple[int, ...],
    victims: int,
    *,
    site: int | None = None,
    gradient_batch: int = 1,
    candidates: int = 0,
) -> SystemLayout:
    """Return the public layout of a system."""
    spec = system.network.spec
    return SystemLayout(
        channels=spec.channels,
        crossing=spec.crossing,
        features=spec.features,
        bottleneck=spec.bottleneck,
        spatial=spatial,
        victims=victims,
        site=site,
        gradient_batch=gradient_batch,
        candidates=candidates,
    )


def images_of(patient: Patient) -> Images:
    """All slices of a patient, ``(slices, M, *spatial)`` float32."""
    return torch.from_numpy(np.ascontiguousarray(patient.images))


def middle_slices(patients: Iterable[Patient]) -> Images:
    """Each patient's middle slice, ``(patients, M, *spatial)`` float32."""
    return torch.stack([images_of(patient)[patient.middle] for patient in patients])


def masks_of(patient: Patient) -> Masks:
    """Their masks, ``(slices, *spatial)`` int64."""
    return torch.from_numpy(patient.masks.astype(np.int64))


def path_of(system: System) -> ReleasePath:
    """By which everything is released that the trained system releases."""
    spec = system.network.spec
    encoders = frozen(system.network.encoders)
    return ReleasePath(encoders, system.defense, spec.channels, system.device)


def release_seeds(
    system: System, patient: Patient, release: int, slices: Iterable[int]
) -> list[int]:
    """Seeds of the draws of a patient's slices at their ``release``-th release."""
    labels = ("release", "inference", patient.id, release)
    return [derive_seed(system.draws, *labels, index) for index in slices]


def release_patient(
    system: System,
    patient: Patient,
    release: int,
    watch: Effects | None = None,
    path: ReleasePath | None = None,
) -> SiteLevels:
    """Release a patient's slices as when they are segmented for the ``release``-th time.

    The same draw serves the utility and the adversary's observation: one pass is one release.
    ``watch`` sees what the defense did; ``path`` is that of the system, if there is one already.

    Returns:
        Per site its crossing levels, each ``(slices, C, *spatial)``, detached.
    """
    images = images_of(patient)
    seeds = release_seeds(system, patient, release, range(len(images)))
    return (path or path_of(system)).release(images, seeds, watch=watch)


def of_slice(released: SiteLevels, index: int) -> SiteLevels:
    """Return the release of one slice."""
    return tuple(tuple(level[index : index + 1] for level in site) for site in released)


def frozen(modules: Iterable[torch.nn.Module]) -> tuple[torch.nn.Module, ...]:
    """Copies in evaluation mode, gradients off."""
    return tuple(deepcopy(module).eval().requires_grad_(False) for module in modules)


def drawn(below: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """``count`` integers from 0 up to ``below``, on the CPU."""
    return torch.randint(below, (count,), generator=generator, device=generator.device).cpu()
