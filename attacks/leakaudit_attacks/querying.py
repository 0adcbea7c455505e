"""What the attacks share whose decoder learns from what the system releases of own patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Attack, AuxiliaryPatients, Images, Levels, Progress, require_between
from leakaudit_attacks.decoding import Decoder, Pairs, fit, fresh_decoder, integer
from leakaudit_attacks.starts import middle_slices

# Own images in, what is released of them out, per level and joined along channels.
Asked = Callable[[Images, torch.Generator], Levels]


@dataclass(frozen=True, kw_only=True)
class LearnsFromQueries(Attack):
    """An attack whose decoder asks for fresh releases of own slices at every step; abstract.

    So it learns to undo the defence's randomness. It starts from the auxiliary patients' mean and
    learns where to doubt it: a release that says nothing leaves it with a blind guess.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
    """

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3

    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width")
        require_between(self, 1e-12, 1e6, "learning_rate")

    @final
    def learned(
        self,
        entering: Mapping[int, int],
        auxiliary: AuxiliaryPatients,
        ask: Asked,
        generator: torch.Generator,
        progress: Progress,
    ) -> tuple[Decoder, float, float]:
        """A trained decoder, and its objective on the own middle slices before and after.

        Args:
            entering: channels of each level that it is shown, all together.
            auxiliary: whose slices it learns from.
            ask: what would be released of them.
            generator: source of all draws; the objective is compared under the same ones.
            progress: called after every step.
        """
        decoder = fresh_decoder(entering, self.width, auxiliary, generator)
        middles = middle_slices(auxiliary)
        probe_seed = integer(2**62, generator)

        def released(images: Images, draws: torch.Generator) -> Pairs:
            return ask(images, draws), images

        def batch() -> Pairs:
            count = len(auxiliary.images)
            chosen = [integer(count, generator) for _ in range(self.batch_size)]
            images = auxiliary.images[torch.tensor(chosen, device=auxiliary.images.device)]
            return released(images.flip(-1) if integer(2, generator) else images, generator)

        first, last = fit(
            decoder,
            batch,
            lambda: released(middles, torch.Generator().manual_seed(probe_seed)),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        return decoder, first, last
