"""The base of attacks that regress images on an aggregator's weight gradients or updates."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    CellError,
    GradientRelease,
    Images,
    Masks,
    Observation,
    Progress,
    Reconstruction,
    Work,
    require_between,
)
from leakaudit_attacks.gradients.ridge import Ridge, best_ridge, sketched
from leakaudit_attacks.gradients.variation import varied

# Per batch the tensors of all encoders' parameters.
Received = Sequence[Sequence[torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class WeightRegression(Attack):
    """Kernel ridge regression from what reaches an aggregator to images; abstract.

    The adversary has batches of its own patients' slices, varied in pose and brightness, trained on
    at the observed checkpoints with the defense on, divides each layer's tensor by its norm, and
    fits a regression from there to the images. How strong the ridge is and which checkpoint is
    read, one alone or all, is chosen by the error on own patients that were left out; where nothing
    is learned the choice is their mean. What reaches an aggregator does not say which slice is
    whose: what is learned, and returned, is the mean over the batch, where the victim is one of
    several.

    Args:
        batches: of own slices, to learn from.
    """

    batches: int = 300

    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 10, 1_000_000, "batches")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=0, batches=self.batches)

    @abc.abstractmethod
    def received(self, observation: Observation) -> Sequence[GradientRelease]:
        """Return the victims' batches as they reached the aggregator, per checkpoint."""

    @abc.abstractmethod
    def asked(
        self, observation: Observation, images: Images, masks: Masks, generator: torch.Generator
    ) -> Sequence[Received]:
        """Return the messages of own batches that would reach it, per checkpoint."""

    @final
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Ask about own batches, choose the regression, apply it to what came of the victims."""
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        releases = self.received(observation)
        names = [release.checkpoint for release in releases]
        seen = [_features(release.gradients, seed) for release in releases]
        learned, images, folds = self._examples(observation, seed, generator, progress)
        choices = {name: (a, b) for name, a, b in zip(names, learned, seen, strict=True)}
        if len(names) > 1:
            choices["all together"] = torch.cat(learned, dim=1), torch.cat(seen, dim=1)
        tried = {name: best_ridge(a, images.flatten(1), folds) for name, (a, _) in choices.items()}
        chosen = min(tried, key=lambda name: tried[name].error)
        entering, given = choices[chosen]
        found = Ridge(entering, images.flatten(1), tried[chosen].strength)(given)
        errors = ", ".join(f"{each.error:.3f} from {name!r}" for name, each in tried.items())
        return Reconstruction(
            images=found.clamp(0, 1).view(observation.layout.image_shape),
            objective_first=1.0,
            objective_last=tried[chosen].error,
            iterations=self.batches,
            notes=(
                f"Squared error on own patients left out, over that of their mean: {errors}; "
                f"{chosen!r} is used.",
            ),
        )

    def _examples(
        self, observation: Observation, seed: int, generator: torch.Generator, progress: Progress
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Per checkpoint the features, the mean image of each batch, and whom it is held out with.

        A batch's slices are of patients that are left out together, so that an error on them is one
        on patients who were not learned from.
        """
        auxiliary, size = observation.auxiliary, observation.layout.gradient_batch
        patients = int(auxiliary.patient.max()) + 1
        if auxiliary.masks is None or patients < 2:
            raise CellError("gradients need masks, and a choice two auxiliary patients at least")
        groups = min(5, max(2, patients // size))
        features: list[torch.Tensor] = []
        images: list[torch.Tensor] = []
        folds = torch.arange(self.batches) % groups
        for number, fold in enumerate(folds.tolist()):
            pool = (auxiliary.patient % groups == fold).nonzero().flatten()
            drawn = torch.randint(
                len(pool), (size,), generator=generator, device=generator.device
            ).cpu()
            index = pool[drawn].to(auxiliary.images.device)
            batch, masks = varied(auxiliary.images[index], auxiliary.masks[index], generator)
            answers = self.asked(observation, batch, masks, generator)
            found = [_features(answer, seed) for answer in answers]
            features = features or [each.new_empty(self.batches, each.shape[1]) for each in found]
            for kept, each in zip(features, found, strict=True):
                kept[number] = each[0]
            images.append(batch.mean(dim=0))
            progress(number + 1, self.batches)
        return features, torch.stack(images), folds


def _features(received: Received, seed: int) -> torch.Tensor:
    """Per batch the tensors of all layers, each divided by its norm, ``(batches, features)``."""
    layers = []
    for index, layer in enumerate(zip(*received, strict=True)):
        flat = torch.stack([each.flatten() for each in layer])
        norm = flat.norm(dim=1, keepdim=True).clamp_min(1e-30)
        layers.append(sketched(flat / norm, torch.Generator().manual_seed((seed + index) % 2**62)))
    return torch.cat(layers, dim=1)
