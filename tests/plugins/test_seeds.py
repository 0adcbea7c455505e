"""Seeds that may be guessed, of drawn numbers or of the levels, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import pytest
import torch

from leakaudit.audit.scoring import caveats
from leakaudit.config import PluginUse, expand
from leakaudit.contracts import Defense, ReleaseSetting, measured
from leakaudit.contracts.measuring.hashes import hashes_levels
from leakaudit.contracts.measuring.recurring import patterns_recur
from leakaudit.contracts.measuring.seeds import seed_decides
from leakaudit.randomness import generator_for, normal_like, uniform_like
from leakaudit.types import Levels
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.planted.systems import HARDLY_TOLD, PRIVATE, Hashed, Planted, Seeded, gaussian


def levels_of(*shapes: tuple[int, ...], samples: int = 4) -> Levels:
    return tuple(
        normal_like(torch.empty(samples, *shape), generator_for(number, "levels"))
        for number, shape in enumerate(shapes)
    )


PLAIN = levels_of((3, 12, 12), (4, 6, 6))
SMALL = levels_of((8, 2, 2), (4, 4, 4), (16, 1, 1), (2, 3, 3))
LEVELS = {
    "plain": PLAIN,
    "one sample": tuple(level[:1] for level in PLAIN),
    "small": SMALL,
    "positive": tuple(level.clamp_min(0) for level in PLAIN),
    "far from 0": tuple(level + 5 for level in PLAIN),
}


def kinds(defense: Defense, levels: Levels) -> set[str]:
    return {doubt.kind for doubt in caveats._of_defense(defense, (levels,))}


@final
class AloneDrawn(Seeded):
    """No numbers are drawn but those of the seed."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(uniform_like(level.flatten(1)[:, :8], generator) for level in levels)


@pytest.mark.parametrize("ordered", [False, True], ids=["noise", "order"])
@pytest.mark.parametrize("of", ["two of 16", "two", "three", "eight"])
@pytest.mark.parametrize("kind", [Seeded, AloneDrawn])
def test_a_seed_of_several_numbers_is_few_draws(kind: type[Seeded], of: str, ordered: bool) -> None:
    assert kinds(kind(of=of, ordered=ordered), PLAIN) == {"few draws"}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("ordered", [False, True], ids=["noise", "order"])
def test_few_patterns_recur_out_of_however_many_numbers(ordered: bool, name: str) -> None:
    assert patterns_recur(Seeded(of="sum", ordered=ordered), LEVELS[name])


def test_patterns_that_recur_are_few_draws() -> None:
    assert kinds(Seeded(of="sum"), PLAIN) == {"few draws"}
    assert kinds(Seeded(of="sum", ordered=True), PLAIN) == {"few draws"}


def test_patterns_recur_beneath_a_little_noise_and_not_beneath_much() -> None:
    class Beneath(Seeded):
        little = 0.01

        def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
            return super().changed(level, *drawn) + self.little * gaussian(drawn[0])

    class BeneathMuch(Beneath):
        little = 100.0

    assert patterns_recur(Beneath(of="sum"), PLAIN)
    assert not patterns_recur(BeneathMuch(of="sum"), PLAIN)


@pytest.mark.parametrize("of", ["sum", "mean", "coarse mean", "one value", "how many are positive"])
@pytest.mark.parametrize("ordered", [False, True], ids=["noise", "order"])
def test_noise_or_an_order_out_of_the_levels_is_a_hash(of: str, ordered: bool) -> None:
    for seed in range(2):
        assert hashes_levels(Hashed(of=of, ordered=ordered), PLAIN, seed)
    assert kinds(Hashed(of=of, ordered=ordered), PLAIN) == {"hash"}


class Other(Planted):
    """A change with a draw of the level's shape."""

    draws = 1

    def __init__(self, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        object.__setattr__(self, "change", change)

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        released: torch.Tensor = self.change(level, drawn[0])  # type: ignore[attr-defined]
        return released


def mean_of(level: torch.Tensor) -> torch.Tensor:
    return level.mean((2, 3), keepdim=True).expand_as(level)


OTHERS = {
    "bits in noise": Other(lambda level, drawn: (level + gaussian(drawn)).sign()),
    "bits in much noise": Other(lambda level, drawn: (level + 10 * gaussian(drawn)).sign()),
    "dither": Other(lambda level, drawn: (level + drawn).floor()),
    "rarely kept": Other(lambda level, drawn: level * (drawn > 0.998)),
    "mean in noise": Other(lambda level, drawn: mean_of(level) + 10 * gaussian(drawn)),
    "a bit of each channel": Other(
        lambda level, drawn: (mean_of(level) + gaussian(drawn[:, :, :1, :1])).sign()
    ),
    "offset": Other(lambda level, drawn: level + 300 * gaussian(drawn[:, :, :1, :1])),
    "sorted": Other(lambda level, drawn: level.flatten(2).sort(-1).values.view_as(level)),
    "steep": Other(lambda level, drawn: (4 * level).clamp(-40, 40).sinh()),
    **{f"channels dropped {p}": ActivationDropout(p=p, unit="channel") for p in (0.5, 0.75, 0.9)},
    **{f"dropped {p}": ActivationDropout(p=p) for p in (0.5, 0.9)},
    **{f"{bits} bits": Quantization(bits=bits) for bits in (1, 4, 16)},
    **{f"largest {keep}": TopK(keep=keep) for keep in (0.01, 0.5)},
    **PRIVATE,
    **HARDLY_TOLD,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_comes_of_no_seed_is_not_doubted_for_one(name: str) -> None:
    for levels in LEVELS.values():
        setting = ReleaseSetting(sites=1, releases_per_patient=4, auxiliary_levels=(levels,))
        defense = OTHERS[name].fit(setting)
        assert not patterns_recur(defense, levels)
        assert not hashes_levels(defense, levels)
        assert not seed_decides(defense, levels, measured(defense, levels))


BUILT_IN = [
    *("activation-dropout", "adversarial", "cut-gradient-noise", "dp-gaussian", "gaussian-noise"),
    *("identity", "laplace-noise", "nopeek", "quantization", "top-k"),
]


@pytest.mark.parametrize("name", [*BUILT_IN, *PRIVATE, *HARDLY_TOLD])
def test_neither_what_is_built_in_nor_what_is_private_is_doubted(name: str) -> None:
    if name in BUILT_IN:
        defense = expand("defense", PluginUse(name=name))[0][1]
        assert isinstance(defense, Defense)
    else:
        defense = {**PRIVATE, **HARDLY_TOLD}[name]
    setting = ReleaseSetting(sites=1, releases_per_patient=4, auxiliary_levels=(PLAIN,))
    assert kinds(defense.fit(setting), PLAIN) == set()
