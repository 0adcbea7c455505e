"""What an audit can be told: frozen sections, their defaults and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from leakaudit.contracts import Defense, Stack
from leakaudit.data import CANONICAL
from leakaudit.errors import ConfigError
from leakaudit.registry import Kind, installed, load, nearest
from leakaudit.threat.presets import PRESETS

_Channels = Annotated[StrictInt, Field(ge=1, le=4096)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PhantomConfig(_Section):
    """Simulated patients."""

    patients: StrictInt = Field(default=40, ge=4, le=10_000)
    slices: StrictInt = Field(default=8, ge=1, le=256)
    seed: StrictInt = Field(default=0, ge=0)


class DataConfig(_Section):
    """Which patients, and how their images are prepared.

    Args:
        kind: ``phantom`` (embedded) or ``folder`` (MSD or BraTS layout).
        path: the folder, relative to the audit file.
        size: pixels per side after preparation, a multiple of 16, at least 32: the deepest level
            is 16 times smaller, and has no statistics over a single pixel.
        crop: pixels per side before the area mean; None is twice ``size``.
        spatial_dims: 2 for axial slices, 3 for volumes.
        split_seed: seed of the split by patient.
        phantom: the simulated patients.
    """

    kind: Literal["phantom", "folder"] = "phantom"
    path: str | None = None
    size: StrictInt = Field(default=96, ge=32, le=1024, multiple_of=16)
    crop: StrictInt | None = Field(default=None, ge=16)
    spatial_dims: Literal[2, 3] = 2
    split_seed: StrictInt = Field(default=0, ge=0)
    phantom: PhantomConfig = PhantomConfig()

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> DataConfig:
        if self.kind == "phantom" and (self.path is not None or self.crop is not None):
            raise ValueError("path and crop are for kind: folder, but kind is phantom")
        if self.crop is not None and self.crop % self.size:
            raise ValueError(f"crop must be a whole multiple of size {self.size}, got {self.crop}")
        return self


class TrainingConfig(_Section):
    """How every network is trained."""

    epochs: StrictInt = Field(default=4, ge=1)
    batch_size: StrictInt = Field(default=8, ge=1)
    learning_rate: StrictFloat = Field(default=2e-3, gt=0)


class TargetConfig(_Section):
    """The system under audit; a list for a cut, withheld skips or a bottleneck is a grid.

    Args:
        sites: the modalities each data site holds.
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
            raise _refusal(
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
            raise _refusal(
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
            raise _refusal("at cut level 0 there is no skip to share or withhold", "shared_skips")
        levels = list(self.shared_skips)
        if levels != sorted(set(levels)) or not set(levels) <= set(range(deepest)):
            raise _refusal(
                f"shared_skips is {levels}; below cut level {deepest} it must be a rising subset "
                f"of {list(range(deepest))}",
                "shared_skips",
            )
        return self

    @field_validator("sites")
    @classmethod
    def _modalities(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        named = [modality for site in value for modality in site]
        for modality in named:
            if modality not in CANONICAL:
                raise ValueError(
                    f"unknown modality {modality!r}{nearest(modality, CANONICAL)}; there are "
                    f"{', '.join(CANONICAL)}"
                )
        if not value or not all(value):
            raise ValueError("every site needs at least one modality")
        twice = [modality for modality in dict.fromkeys(named) if named.count(modality) > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} is held twice; one site holds a modality")
        return value


class PluginUse(_Section):
    """A plug-in by name with its parameters; a list for a parameter is a grid."""

    name: str
    parameters: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        """``name`` or ``{name: {parameter: value}}``."""
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and len(value) == 1:
            ((name, parameters),) = value.items()
            if name != "name":
                return {"name": name, "parameters": parameters or {}}
        if isinstance(value, Mapping) and "name" not in value:
            raise ValueError(
                f"one name in each entry, got {', '.join(map(str, value)) or 'none'}; start every "
                "plug-in with a dash of its own"
            )
        return value


class ReferenceConfig(_Section):
    """Centralised and single-site trainings beside the undefended Split-U-Net.

    Args:
        cut_level: of the Split-U-Net that is compared.
        seeds: trainings of each.
    """

    cut_level: StrictInt = Field(default=2, ge=0, le=4)
    seeds: tuple[StrictInt, ...] = Field(default=(0,), min_length=1)


class BudgetConfig(_Section):
    """Limits of the run.

    Args:
        workers: processes side by side, each with one thread; None is one per processor.
        minutes_per_job: a training or a cell that takes longer is ``timed-out``.
        gigabytes_per_job: one that wants more memory is ``failed``; None is the machine's memory
            shared by the workers, at least 2, and on a GPU no limit. At least 1.
    """

    workers: StrictInt | None = Field(default=None, ge=1, le=256)
    minutes_per_job: StrictFloat = Field(default=30.0, gt=0)
    gigabytes_per_job: StrictFloat | None = Field(default=None, ge=1, le=1e6)


class AuditConfig(_Section):
    """A whole audit, defaults written out.

    Args:
        name: names the run directory.
        data: the patients.
        target: the system under audit.
        defenses: ``identity`` is always added; each a plug-in or a list of several, applied in
            order as one.
        attacks: what the adversary tries.
        threats: preset names, each meeting every attack; or preset name to the attacks it meets.
        seeds: of targets and attacks.
        releases: how often a victim's slice is released to the adversary.
        gradient_batch: slices of a batch whose gradients an adversary observes, the victim's
            among them; each in turn where a threat grants gradients, and of no effect elsewhere.
        gradient_checkpoints: epochs after which these gradients are observed, by one adversary who
            keeps them all; 0 is before the first step, and ``ends`` is that and the last.
        round_steps: optimizer steps of a round whose weight updates an adversary observes.
        references: which reference trainings to make; None for none.
        images: ``full`` puts patient images into the report; ``none`` is the default.
        budgets: limits.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    name: str
    data: DataConfig = DataConfig()
    target: TargetConfig = TargetConfig()
    defenses: tuple[Annotated[tuple[PluginUse, ...], Field(min_length=1)], ...] = ()
    attacks: tuple[PluginUse, ...] = Field(min_length=1)
    threats: dict[str, tuple[str, ...]]
    seeds: tuple[StrictInt, ...] = Field(default=(0,), min_length=1)
    releases: StrictInt = Field(default=1, ge=1, le=10_000)
    gradient_batch: tuple[Annotated[StrictInt, Field(ge=1, le=256)], ...] = Field(
        default=(1,), min_length=1
    )
    gradient_checkpoints: Literal["ends"] | tuple[StrictInt, ...] = "ends"
    round_steps: StrictInt = Field(default=4, ge=1, le=1_000)
    references: ReferenceConfig | None = None
    images: Literal["none", "full"] = "none"
    budgets: BudgetConfig = BudgetConfig()
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError("a name is 1 to 64 letters, digits, dots, dashes or underscores")
        return value

    @field_validator("defenses", mode="before")
    @classmethod
    def _stacks(cls, value: object) -> object:
        """Every entry as a list of plug-ins, most of them of one."""
        if not isinstance(value, list | tuple):
            return value
        return [each if isinstance(each, list | tuple) else [each] for each in value]

    @field_validator("gradient_batch", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else (value,)

    @field_validator("gradient_checkpoints", mode="before")
    @classmethod
    def _ends_or_epochs(cls, value: object) -> object:
        value = [value] if type(value) is int else value
        epochs = isinstance(value, list | tuple) and all(type(one) is int for one in value)
        if value != "ends" and not (epochs and value):
            raise ValueError(f"expected ends, an epoch or a list such as [0, 2]; got {value!r}")
        return value

    @property
    def observed_epochs(self) -> tuple[int, ...]:
        """The epochs of ``gradient_checkpoints``."""
        if self.gradient_checkpoints == "ends":
            return (0, self.target.training.epochs)
        return self.gradient_checkpoints

    @model_validator(mode="after")
    def _epochs_exist(self) -> AuditConfig:
        observed, last = list(self.observed_epochs), self.target.training.epochs
        if observed != sorted(set(observed)) or not set(observed) <= set(range(last + 1)):
            raise _refusal(
                f"gradient_checkpoints is {observed}; with {last} epochs it must be a rising "
                f"subset of 0 to {last}",
                "gradient_checkpoints",
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _threat_list(cls, value: Any) -> Any:
        """A plain list of presets meets every attack."""
        threats = value.get("threats") if isinstance(value, Mapping) else None
        if not isinstance(threats, list) or not all(isinstance(name, str) for name in threats):
            return value
        # Whatever is no attack is left out here, and refused where attacks are checked.
        attacks = value.get("attacks")
        names = [_name_of(use) for use in attacks] if isinstance(attacks, list) else []
        met = tuple(dict.fromkeys(name for name in names if name))
        return {**value, "threats": dict.fromkeys(threats, met)}

    @field_validator("threats")
    @classmethod
    def _known_threats(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for threat in value:
            if threat not in PRESETS:
                raise _refusal(
                    f"unknown threat {threat!r}{nearest(threat, PRESETS)}; there are "
                    f"{', '.join(PRESETS)}",
                    threat,
                )
        return value

    @model_validator(mode="after")
    def _names_fit(self) -> AuditConfig:
        attacks = {use.name for use in self.attacks}
        if attacks - {point.name for point in installed("attack")}:
            return self  # a misspelt attack is reported at its own line, not at the threat's
        for threat, meets in self.threats.items():
            for attack in meets:
                if attack not in attacks:
                    known = attack in {point.name for point in installed("attack")}
                    hint = "; add it there" if known else nearest(attack, attacks)
                    raise _refusal(
                        f"threat {threat!r} names attack {attack!r}, which is not under attacks"
                        f"{hint}",
                        *("threats", threat, attack),
                    )
        unmet = attacks - {attack for meets in self.threats.values() for attack in meets}
        if unmet:
            raise _refusal(
                f"no threat meets {', '.join(sorted(unmet))}; name it under threats", "threats"
            )
        if self.data.kind == "folder" and self.data.path is None:
            raise _refusal(
                "data.kind is folder: data.path, --data or LEAKAUDIT_DATA must name it", "data"
            )
        return self


def _name_of(use: object) -> str | None:
    """The name in any form in which a plug-in may be written; None if it is none."""
    if isinstance(use, Mapping):
        use = use.get("name", next(iter(use), None))
    return use if isinstance(use, str) else None


def _refusal(message: str, *at: str) -> PydanticCustomError:
    """An error that knows which part below its field is at fault."""
    return PydanticCustomError("refused", "{message}", {"message": message, "at": list(at)})


def expand_stack(uses: Sequence[PluginUse]) -> list[Defense]:
    """Every point of the grids of a defence's parts: the part itself, or a stack of them.

    Raises:
        ConfigError: a name or a parameter is wrong, or the parts do not go together.
    """
    grids = [[made for _, made in expand("defense", use)] for use in uses]
    return [point[0] if len(point) == 1 else Stack(chain=tuple(point)) for point in product(*grids)]


def expand(kind: Kind, use: PluginUse) -> list[tuple[dict[str, Any], Any]]:
    """Every point of a plug-in's parameter grid: its parameters and the plug-in made from them.

    Raises:
        ConfigError: the name or a parameter is wrong.
    """
    plugin = load(kind, use.name)
    empty = [name for name, value in use.parameters.items() if value == []]
    if empty:
        raise ConfigError(f"{use.name}: the list for {empty[0]} is empty; name at least one value")
    choices = [
        value if isinstance(value, list | tuple) else [value] for value in use.parameters.values()
    ]
    points = [dict(zip(use.parameters, point, strict=True)) for point in product(*choices)]
    return [(point, plugin.make(point)) for point in points]
