"""That `leakaudit.testing` tells a broken plug-in so: a check that cannot fail checks nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import pytest
import torch
from torch import nn

from leakaudit.contracts import (
    Attack,
    Capability,
    Defense,
    Evidence,
    PrivacyGuarantee,
    Reconstruction,
    SiteLayout,
    Stage,
)
from leakaudit.randomness import uniform_like
from leakaudit.testing import check_attack, check_defense, example_observation
from leakaudit.types import Images, Levels


@dataclass(frozen=True, kw_only=True)
class Honest(Defense):
    strength: float = 1.0

    off: ClassVar[Mapping[str, Any] | None] = {"strength": 0.0}

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(torch.randn(level.shape, generator=generator).to(level) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(a + self.strength * b for a, b in zip(levels, drawn, strict=True))

    def evidence(self, released: Levels) -> Evidence:
        variances = tuple(torch.full_like(level, self.strength**2) for level in released)
        return Evidence(values=released, variances=variances)


@dataclass(frozen=True, kw_only=True)
class SaysNothingOfItsNoise(Defense):
    off: ClassVar[Mapping[str, Any] | None] = {}

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(torch.randn(level.shape, generator=generator).to(level) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(a + b for a, b in zip(levels, drawn, strict=True))


class MixesTheBatch(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level - level.mean(dim=0) for level in levels)


class ChangesTheShape(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level[..., ::2] for level in levels)


class ChangesTheType(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.float() for level in levels)


class DropsALevel(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels[:1]


class Detaches(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.detach() for level in levels)


class RoundsTheGradientAway(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.round() for level in levels)


class UsesTheGlobalState(Honest):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(torch.randn_like(level) for level in levels)


class SeedsTheGlobalState(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        torch.manual_seed(0)
        return levels


class DrawsInApply(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        generator = torch.Generator()
        generator.seed()
        return Honest.apply(self, levels, Honest.draw(self, levels, generator))


class LooksAtValues(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level / (2 if bool((level == level).all()) else 3) for level in levels)


class MakesATensorOnTheCpu(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level + torch.ones(level.shape, dtype=level.dtype) for level in levels)


class MultipliesByAMatrixOnTheCpu(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        # Plain meta tensors do not notice.
        return tuple(level @ torch.eye(level.shape[-1], dtype=level.dtype) for level in levels)


class KeepsItsOwnDraw(Honest):
    drew: ClassVar[list[Levels]] = []

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        self.drew.append(Honest.draw(self, levels, generator))
        return self.drew[-1]

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return Honest.apply(self, levels, self.drew[-1])


class SharesOneDraw(Honest):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        drawn = Honest.draw(self, tuple(level[:1] for level in levels), generator)
        return tuple(
            one.expand(level.shape).contiguous() for one, level in zip(drawn, levels, strict=True)
        )


class SharesOneDrawOfTheDeepLevel(Honest):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        shallow, deep = Honest.draw(self, levels, generator)
        return shallow, deep[:1].expand(deep.shape).contiguous()


class DetachesAFactor(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        factors = [level.detach().flatten(1).std(dim=1).view(-1, 1, 1, 1) for level in levels]
        if levels[0].ndim == 5:
            factors = [factor.unsqueeze(-1) for factor in factors]
        scaled = tuple(draw * factor.to(draw) for draw, factor in zip(drawn, factors, strict=True))
        return Honest.apply(self, levels, scaled)


class StraightThroughButCallsItExact(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        rounded = tuple(level.detach().round() + (level - level.detach()) for level in levels)
        return Honest.apply(self, rounded, drawn)


class HalvesAGradientThatItCallsStraightThrough(StraightThroughButCallsItExact):
    gradient: ClassVar[Literal["exact", "straight-through"]] = "straight-through"

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        halves = tuple(level.detach() / 2 + level / 2 for level in levels)
        return StraightThroughButCallsItExact.apply(self, halves, drawn)


class HasAGradientOfItsOwn(Honest):
    gradient = "roughly right"  # type: ignore[assignment]


class ChangesWhatReturnsInSilence(Honest):
    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        return tuple(self.strength * gradient / 2 + gradient for gradient in gradients)


class MixesWhatReturns(Honest):
    acts_on = frozenset({Stage.RELEASE, Stage.RETURNED_GRADIENT})

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        return tuple(each - self.strength * each.mean(dim=0) for each in gradients)


class ReturnsInPlace(Honest):
    acts_on = frozenset({Stage.RELEASE, Stage.RETURNED_GRADIENT})

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        return tuple(each.mul_(1 + self.strength) for each in gradients)


class PunishesInSilence(Honest):
    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        return self.strength * released[0].square().mean()


class Punishes(PunishesInSilence):
    acts_on = frozenset({Stage.RELEASE, Stage.TRAINING})


class PunishesWhenOff(Punishes):
    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        return released[0].square().mean()


class PunishesWithoutAGradient(Punishes):
    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        return released[0].detach().mean()


class TeachesItsCompanionNothing(Punishes):
    def companion(self, site: SiteLayout) -> nn.Module:
        return nn.Linear(site.modalities, 1)

    def companion_loss(
        self, companion: nn.Module, images: Images, released: Levels
    ) -> torch.Tensor:
        return 0 * sum(parameter.sum() for parameter in companion.parameters())  # type: ignore[return-value]


class UpdatesAtRandom(Honest):
    acts_on = frozenset({Stage.RELEASE, Stage.TRAINING})

    def privatizes(self, party: str) -> bool:
        return self.strength > 0

    def draw_update(
        self, parameters: Sequence[torch.Tensor], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        return ()

    def apply_update(
        self, gradients: Sequence[torch.Tensor], drawn: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        unseeded = torch.Generator()
        unseeded.seed()
        return tuple(
            each.sum(dim=0) + torch.randn(each.shape[1:], generator=unseeded) for each in gradients
        )


class SharesWhatItDrawsForReturns(Honest):
    acts_on = frozenset({Stage.RELEASE, Stage.RETURNED_GRADIENT})

    def draw_returned(self, gradients: Levels, generator: torch.Generator) -> Levels:
        drawn = Honest.draw(self, tuple(each[:1] for each in gradients), generator)
        return tuple(one.expand_as(each) for one, each in zip(drawn, gradients, strict=True))

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        return Honest.apply(self, gradients, drawn)


class PenaltyThatLeadsNowhere(Punishes):
    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        return 0 * released[0].mean() if self.strength else None


class UpdatesWithoutAClip(UpdatesAtRandom):
    def apply_update(
        self, gradients: Sequence[torch.Tensor], drawn: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        return tuple(each.sum(dim=0) + 1 for each in gradients)


class DoesNotSayWhenItIsOff(Honest):
    off: ClassVar[Mapping[str, Any] | None] = None


class IsStillOnWhenOff(Honest):
    off: ClassVar[Mapping[str, Any] | None] = {"strength": 1e-6}


class IsOffByAFieldItLacks(Honest):
    off: ClassVar[Mapping[str, Any] | None] = {"power": 0.0}


class WorksInPlace(Honest):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.mul_(2) for level in levels)


class DrawsByDevice(Honest):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        if levels[0].is_meta:
            return tuple(torch.empty_like(level) for level in levels)
        return Honest.draw(self, levels, generator)


@dataclass(frozen=True, kw_only=True, repr=False)
class HidesAField(Honest):
    def __repr__(self) -> str:
        return "HidesAField()"


class CertainOfAnotherShape(Honest):
    def evidence(self, released: Levels) -> Evidence:
        return Evidence(values=released, variances=tuple(torch.zeros(1) for _ in released))


class ExpectsAnotherShape(Honest):
    def expected(self, levels: Levels) -> Levels:
        return tuple(level[:1] for level in levels)


class CertainBeyondCertainty(Honest):
    def evidence(self, released: Levels) -> Evidence:
        return Evidence(values=released, variances=tuple(0 * each - 1 for each in released))


class StatesTooMuchNoise(Honest):
    """An attack that believes this hands the search over to its prior."""

    def evidence(self, released: Levels) -> Evidence:
        variances = tuple(torch.full_like(level, 1e6) for level in released)
        return Evidence(values=released, variances=variances)


class StatesTooLittleNoise(Honest):
    def evidence(self, released: Levels) -> Evidence:
        variances = tuple(torch.full_like(level, 1e-6) for level in released)
        return Evidence(values=released, variances=variances)


class CallsWhatItSendsUnknown(Honest):
    def evidence(self, released: Levels) -> Evidence:
        unknown = tuple(torch.full_like(level, torch.inf) for level in released)
        return Evidence(values=released, variances=unknown)


class ExpectsAnotherScale(Honest):
    def expected(self, levels: Levels) -> Levels:
        return tuple(1000 * level for level in levels)


class ClaimsOnPublishedNoise(Honest):
    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return PrivacyGuarantee(
            claimed=True,
            epsilon=1.0,
            delta=1e-5,
            releases=releases,
            mechanism="none",
            assumptions=(),
        )


class NoDataclassOfItsOwn(Defense):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels


@dataclass(kw_only=True)
class Mutable(NoDataclassOfItsOwn):
    pass


@dataclass(frozen=True)
class Positional(NoDataclassOfItsOwn):
    strength: float = 1.0


@pytest.mark.parametrize(
    ("defense", "sentence"),
    [
        (MixesTheBatch(), "otherwise alone than in a batch"),
        (ChangesTheShape(), r"release gives .*\(3, 3, 16, 8\).*expected .*\(3, 3, 16, 16\)"),
        (ChangesTheType(), r"release gives .*float32.*expected .*float64"),
        (DropsALevel(), r"release gives .*expected"),
        (Detaches(), "cuts the gradient off"),
        (RoundsTheGradientAway(), "no finite gradient reaches"),
        (UsesTheGlobalState(), "random beyond its generator"),
        (SeedsTheGlobalState(), "global random state"),
        (DrawsInApply(), "random beyond its generator"),
        (LooksAtValues(), "fails on meta tensors"),
        (MakesATensorOnTheCpu(), "fails on meta tensors"),
        (MultipliesByAMatrixOnTheCpu(), "fails on fake tensors"),
        (KeepsItsOwnDraw(), "ignores the draw it is given"),
        (SharesOneDraw(), "all samples of level 0 the same values"),
        (SharesOneDrawOfTheDeepLevel(), "all samples of level 1 the same values"),
        (DetachesAFactor(), r"gradient is not that of DetachesAFactor\.apply"),
        (StraightThroughButCallsItExact(), "off by .* of finite differences"),
        (HalvesAGradientThatItCallsStraightThrough(), "not straight-through, as it says"),
        (HasAGradientOfItsOwn(), "'roughly right', not exact or straight-through"),
        (DoesNotSayWhenItIsOff(), "off is not declared"),
        (IsStillOnWhenOff(), r"changes the levels at its off, \{'strength': 1e-06\}"),
        (IsOffByAFieldItLacks(), "refuses its own off, .*power"),
        (WorksInPlace(), "in place"),
        (DrawsByDevice(), r"draw on generator\.device"),
        (HidesAField(strength=2.0), "another strength"),
        (CertainOfAnotherShape(), r"evidence gives .*\(1,\).*expected"),
        (ExpectsAnotherShape(), r"expected gives .*expected"),
        (CertainBeyondCertainty(), "variance that is not at least 0"),
        (SaysNothingOfItsNoise(), "keeps the default evidence"),
        (StatesTooMuchNoise(), r"evidence misleads on level 0: it is 9\.\d*e-07 times as far off"),
        (StatesTooLittleNoise(), r"misleads on level 0: it is (9\.\d*|1\.\d*)e\+0[56] times"),
        (CallsWhatItSendsUnknown(), r"tell nothing .* their correlation .* is 0\.7"),
        (ExpectsAnotherScale(), "misleads on level 0"),
        (ClaimsOnPublishedNoise(), "reproducible noise carries no claim"),
        (NoDataclassOfItsOwn(), "not a dataclass"),
        (Mutable(), "must be frozen"),
        (Positional(), "must be keyword-only"),
        (ChangesWhatReturnsInSilence(), "changes the returned gradient, which"),
        (MixesWhatReturns(), "another gradient alone than in a batch"),
        (ReturnsInPlace(), "modified returned gradients in place"),
        (PunishesInSilence(), "changes the training, which"),
        (PunishesWhenOff(), "changes the training at its off"),
        (PunishesWithoutAGradient(), "no gradient comes back from"),
        (TeachesItsCompanionNothing(), "teaches its companion nothing"),
        (SharesWhatItDrawsForReturns(), "for a batch, not for each sample"),
        (PenaltyThatLeadsNowhere(), "leads the training nowhere"),
        (UpdatesWithoutAClip(), "lets one record weigh as much as it likes"),
        (UpdatesAtRandom(), "updates at random beyond its generator"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_defense_is_told_so_in_a_sentence(defense: Defense, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_defense(defense)


class RoundsStraightThrough(StraightThroughButCallsItExact):
    gradient: ClassVar[Literal["exact", "straight-through"]] = "straight-through"
    off: ClassVar[Mapping[str, Any] | None] = {"strength": 0.0}

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        if self.strength == 0:
            return levels
        return StraightThroughButCallsItExact.apply(self, levels, drawn)


def test_a_stated_straight_through_gradient_passes() -> None:
    check_defense(RoundsStraightThrough())


@dataclass(frozen=True, kw_only=True)
class Constant(Defense):
    """Releases zeros, whatever comes in; no gradient leads through it."""

    on: bool = True

    off: ClassVar[Mapping[str, Any] | None] = {"on": False}

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(torch.zeros_like(level) for level in levels) if self.on else levels


class ConstantAtDepth(Constant):
    """The shallow level crosses, the deep one is withheld."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return (levels[0], torch.zeros_like(levels[1])) if self.on else levels


class DetachesTheDeepLevel(Constant):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return (2 * levels[0], 2 * levels[1].detach()) if self.on else levels


class Smaller(Constant):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(1e-3 * level for level in levels) if self.on else levels


@pytest.mark.parametrize("defense", [Constant(), ConstantAtDepth(), Smaller()], ids=repr)
def test_a_release_that_is_constant_or_scaled_keeps_the_contract(defense: Defense) -> None:
    check_defense(defense)


def test_a_gradient_is_due_where_the_release_depends_on_the_levels() -> None:
    with pytest.raises(AssertionError, match="cuts the gradient off"):
        check_defense(DetachesTheDeepLevel())


def test_where_nothing_is_drawn_apply_is_what_is_expected() -> None:
    levels = (torch.rand(2, 3, 4, 4), torch.rand(2, 4, 2, 2))
    expected = Smaller().expected(levels)
    assert all(map(torch.equal, expected, Smaller().apply(levels, ())))
    # Where something is drawn only the class can say.
    assert all(map(torch.equal, Honest().expected(levels), levels))


@pytest.mark.parametrize("spatial", [(16, 16), (8, 8, 8)])
def test_an_honest_defense_of_a_third_party_passes(spatial: tuple[int, ...]) -> None:
    check_defense(Honest(strength=0.5), sites=3, spatial=spatial)


def test_the_example_of_the_contributing_guide_is_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
    start = text.index("    @final\n    @dataclass")
    code = textwrap.dedent(text[start : text.index("\nClass variables say", start)])
    names: dict[str, object] = {"final": final, "dataclass": dataclass, "ClassVar": ClassVar}
    names |= {"Attack": Attack, "Capability": Capability, "Reconstruction": Reconstruction}
    names |= {"check_attack": check_attack, "example_observation": example_observation}
    exec(compile(code, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    test = names["test_the_mean_image_keeps_its_contract"]
    assert callable(test)
    test()


def test_the_defense_of_the_contributing_guide_is_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
    start = text.index(
        "    @final\n    @dataclass(frozen=True, kw_only=True)\n    class UniformNoise"
    )
    code = textwrap.dedent(text[start : text.index("\nBeside these a defense", start)])
    names: dict[str, object] = {"final": final, "dataclass": dataclass, "ClassVar": ClassVar}
    names |= {"Mapping": Mapping, "Any": Any, "Defense": Defense, "Evidence": Evidence}
    names |= {"torch": torch, "uniform_like": uniform_like, "check_defense": check_defense}
    exec(compile(code, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    test = names["test_uniform_noise_keeps_its_contract"]
    assert callable(test)
    test()
