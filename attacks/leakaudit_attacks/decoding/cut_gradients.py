"""Examples of own patients, and their scale, for attacks that learn from cut gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    AuxiliaryPatients,
    CellError,
    Images,
    Levels,
    Masks,
    Progress,
    SiteLevels,
    Work,
    require_between,
)
from leakaudit_attacks.decoding.decoder import Decoder, Loss, Pairs, fit, integer, joined

# Images ``(B, M, *spatial)`` and masks of a batch in; per checkpoint and site the gradients out.
Asked = Callable[[Images, Masks], Sequence[SiteLevels]]


@dataclass(frozen=True, kw_only=True)
class LearnsFromExamples(Attack):
    """An attack whose decoder learns from examples that are all made beforehand; abstract.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        examples: auxiliary slices, mirrored ones included, whose gradients are computed; as many
            as there are, if there are fewer.
    """

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3
    examples: int = 200

    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width", "examples")
        require_between(self, 1e-12, 1e6, "learning_rate")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.steps, samples=self.batch_size, examples=self.examples)

    @final
    def learn(
        self,
        decoder: Decoder,
        levels: Levels,
        targets: Images,
        generator: torch.Generator,
        progress: Progress,
        loss: Loss | None = None,
    ) -> tuple[float, float]:
        """Fit a decoder from ``levels`` to ``targets``; see `decoding.fit`."""

        def at(index: torch.Tensor) -> Pairs:
            return tuple(level[index] for level in levels), targets[index]

        def batch() -> Pairs:
            drawn = [integer(len(targets), generator) for _ in range(self.batch_size)]
            return at(torch.tensor(drawn, device=targets.device))

        few = torch.arange(min(len(targets), self.batch_size), device=targets.device)
        return fit(
            decoder,
            batch,
            lambda: at(few),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
            loss=loss,
        )


@final
@dataclass(frozen=True, kw_only=True)
class Examples:
    """Slices of the adversary's own patients with the cut gradients they would cause.

    Args:
        levels: per crossing level ``(N, C, *spatial)``, scaled by `scaled`.
        images: ``(N, M, *spatial)``.
        masks: ``(N, *spatial)``.
    """

    levels: Levels
    images: Images
    masks: Masks


def examples(
    auxiliary: AuxiliaryPatients,
    count: int,
    ask: Asked,
    generator: torch.Generator,
    *,
    batch: int = 1,
) -> Examples:
    """The own patients' slices, plain and mirrored, in random order, ``count`` at most.

    They are asked about in batches of ``batch``.

    Raises:
        CellError: the auxiliary patients come without masks.
    """
    if auxiliary.masks is None:
        raise CellError("the auxiliary patients come without masks, which gradients need")
    own = len(auxiliary.images)
    order = torch.randperm(2 * own, generator=generator, device=generator.device)
    chosen = order[:count]
    images = auxiliary.images.new_empty(len(chosen), *auxiliary.images.shape[1:])
    masks = auxiliary.masks.new_empty(len(chosen), *auxiliary.masks.shape[1:])
    levels: list[torch.Tensor] = []
    for start in range(0, len(chosen), batch):
        numbers = chosen[start : start + batch]
        # The last batch is filled up with the first examples.
        asked = torch.cat([numbers, order.repeat(batch)[: batch - len(numbers)]])
        mirrored = asked >= own
        index = (asked % own).to(images.device)
        image, mask = auxiliary.images[index], auxiliary.masks[index]
        image[mirrored], mask[mirrored] = image[mirrored].flip(-1), mask[mirrored].flip(-1)
        found = scaled(ask(image, mask))
        # Filled in place: joined at the end, all of them would be in memory twice.
        levels = levels or [each.new_empty(len(chosen), *each.shape[1:]) for each in found]
        here = slice(start, start + len(numbers))
        images[here], masks[here] = image[: len(numbers)], mask[: len(numbers)]
        for level, each in zip(levels, found, strict=True):
            level[here] = each[: len(numbers)]
    return Examples(levels=tuple(levels), images=images, masks=masks)


def scaled(checkpoints: Sequence[SiteLevels]) -> Levels:
    """Per level the gradients of all sites and checkpoints, each sample's of root mean square 1."""
    of_all = []
    for sites in checkpoints:
        of_checkpoint = []
        for level in joined(sites):
            size = level.flatten(1).square().mean(dim=1).sqrt().clamp_min(1e-30)
            of_checkpoint.append(level / size.view(-1, *[1] * (level.ndim - 1)))
        of_all.append(of_checkpoint)
    return tuple(torch.cat(level, dim=1) for level in zip(*of_all, strict=True))
