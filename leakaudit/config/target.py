"""The system under audit: patients' modalities, the cut, what crosses, how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from leakaudit.config.sections import Section, refusal
from leakaudit.data import canonical_modality
from leakaudit.errors import ConfigError

_Channels = Annotated[StrictInt, Field(ge=1, le=4096)]


class TrainingConfig(Section):
    """How every network is trained."""

    epochs: StrictInt = Field(default=4, ge=1)
    batch_size: StrictInt = Field(default=8, ge=1)
    learning_rate: StrictFloat = Field(default=2e-3, gt=0)


class TargetConfig(Section):
    """The system under audit; a list for a cut, withheld skips or a bottleneck is a grid.

    Args:
        sites: the modalities each data site holds: T1w, T1gd, FLAIR, T2w. Other usual
            names of them, such as T1ce, are taken as these.
        cut_level: 0 to 4.
        shared_skips: ``all``, or the shallower levels that cross as well.
        withheld_skips: how many of the shallowest levels are withheld on top of that; all of them
            where a cut has fewer.
        bottleneck: at most so many channels of each crossing level leave a site, narrowed by a
            learned 1x1 convolution; a level that has no more is left as it is. None for none.
        features: channels of the five levels and of the last decoder block, per site.
        training: how it is trained.
    """

    sites: tuple[tuple[str, ...], ...] = (("T1w", "T1gd"), ("FLAIR", "T2w"))
    cut_level: tuple[StrictInt, ...] = (2,)
    shared_skips: Literal["all"] | tuple[StrictInt, ...] = "all"
    withheld_skips: tuple[StrictInt, ...] = (0,)
    bottleneck: tuple[StrictInt | None, ...] = (None,)
    features: tuple[_Channels, _Channels, _Channels, _Channels, _Channels, _Channels] = (
        16,
        16,
        32,
        64,
        128,
        16,
    )
    training: TrainingConfig = TrainingConfig()

    @field_validator("cut_level", "withheld_skips", "bottleneck", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else (value,)

    @field_validator("cut_level")
    @classmethod
    def _levels(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not all(0 <= level <= 4 for level in value):
            raise ValueError("expected a cut level from 0 to 4, or a list of them")
        return value

    @field_validator("shared_skips", mode="before")
    @classmethod
    def _all_or_levels(cls, value: object) -> object:
        levels = isinstance(value, list | tuple) and all(type(one) is int for one in value)
        if value != "all" and not levels:
            raise ValueError(f"expected all or a list such as [0, 1], [] for none; got {value!r}")
        return value

    def skips_at(self, cut: int, withheld: int = 0) -> tuple[int, ...]:
        """The levels above a cut that cross as well, the ``withheld`` shallowest left out."""
        shared = range(cut) if self.shared_skips == "all" else self.shared_skips
        return tuple(level for level in shared if withheld <= level < cut)

    @model_validator(mode="after")
    def _withheld_skips_exist(self) -> TargetConfig:
        deepest = max(self.cut_level)
        wrong = [count for count in self.withheld_skips if not 0 <= count <= deepest]
        if wrong or not self.withheld_skips:
            raise refusal(
                f"withheld_skips is {list(self.withheld_skips)}; expected 0 to {deepest}, the "
                "levels above the deepest cut, or a list of such numbers",
                "withheld_skips",
            )
        return self

    @model_validator(mode="after")
    def _bottlenecks_narrow(self) -> TargetConfig:
        widest = max(
            self.features[level] for cut in self.cut_level for level in (*self.skips_at(cut), cut)
        )
        wrong = [one for one in self.bottleneck if one is not None and not 1 <= one < widest]
        if wrong or not self.bottleneck:
            raise refusal(
                f"bottleneck is {list(self.bottleneck)}; expected fewer channels than the {widest} "
                "of the widest level that crosses, at least 1, null for none, or a list of such",
                "bottleneck",
            )
        return self

    @model_validator(mode="after")
    def _skips_exist(self) -> TargetConfig:
        if self.shared_skips == "all":
            return self
        deepest = max(self.cut_level)
        if deepest == 0:
            raise refusal("at cut level 0 there is no skip to share or withhold", "shared_skips")
        levels = list(self.shared_skips)
        if levels != sorted(set(levels)) or not set(levels) <= set(range(deepest)):
            raise refusal(
                f"shared_skips is {levels}; below cut level {deepest} it must be a rising subset "
                f"of {list(range(deepest))}",
                "shared_skips",
            )
        return self

    @field_validator("sites")
    @classmethod
    def _modalities(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        try:
            value = tuple(tuple(canonical_modality(name) for name in site) for site in value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        named = [modality for site in value for modality in site]
        if not value or not all(value):
            raise ValueError("every site needs at least one modality")
        twice = [modality for modality in dict.fromkeys(named) if named.count(modality) > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} is held twice; one site holds a modality")
        return value
