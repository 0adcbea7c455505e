"""Audit files: YAML 1.2 to a frozen `AuditConfig`; unknown keys are refused with their line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from leakaudit.data import CANONICAL
from leakaudit.errors import ConfigError, UsageError
from leakaudit.registry import Kind, load, nearest
from leakaudit.threat.presets import PRESETS

_LARGEST_FILE = 1_000_000


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhantomConfig(_Section):
    """Simulated patients."""

    patients: int = Field(default=40, ge=4, le=10_000)
    slices: int = Field(default=8, ge=1, le=256)
    seed: int = Field(default=0, ge=0)


class DataConfig(_Section):
    """Which patients, and how their images are prepared.

    Args:
        kind: ``phantom`` (embedded) or ``folder`` (MSD or BraTS layout).
        path: the folder, relative to the audit file.
        size: pixels per side after preparation, a multiple of 16.
        crop: pixels per side before the area mean; None is twice ``size``.
        spatial_dims: 2 for axial slices, 3 for volumes.
        split_seed: seed of the split by patient.
        phantom: the simulated patients.
    """

    kind: Literal["phantom", "folder"] = "phantom"
    path: str | None = None
    size: int = Field(default=96, ge=16, le=1024, multiple_of=16)
    crop: int | None = Field(default=None, ge=16)
    spatial_dims: Literal[2, 3] = 2
    split_seed: int = Field(default=0, ge=0)
    phantom: PhantomConfig = PhantomConfig()


class TrainingConfig(_Section):
    """How every network is trained."""

    epochs: int = Field(default=4, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class TargetConfig(_Section):
    """The system under audit; a list for ``cut_level`` is a grid.

    Args:
        sites: the modalities each data site holds.
        cut_level: 0 to 4.
        shared_skips: ``all``, or the shallower levels that cross as well.
        features: channels of the five levels and of the last decoder block, per site.
        training: how it is trained.
    """

    sites: tuple[tuple[str, ...], ...] = (("T1w", "T1gd"), ("FLAIR", "T2w"))
    cut_level: tuple[int, ...] = (2,)
    shared_skips: Literal["all"] | tuple[int, ...] = "all"
    features: tuple[int, int, int, int, int, int] = (16, 16, 32, 64, 128, 16)
    training: TrainingConfig = TrainingConfig()

    @field_validator("cut_level", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else (value,)

    @field_validator("cut_level")
    @classmethod
    def _levels(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not all(0 <= level <= 4 for level in value):
            raise ValueError("cut levels are 0 to 4")
        return value

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
        if not value or not all(value) or len(set(named)) != len(named):
            raise ValueError("every site needs modalities, and none may be held twice")
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
        return value


class ReferenceConfig(_Section):
    """Centralised and single-site trainings beside the undefended Split-U-Net.

    Args:
        cut_level: of the Split-U-Net that is compared.
        seeds: trainings of each.
    """

    cut_level: int = Field(default=2, ge=0, le=4)
    seeds: tuple[int, ...] = (0,)


class BudgetConfig(_Section):
    """Limits of the run.

    Args:
        workers: processes side by side, each with one thread; None is one per processor.
        minutes_per_job: a training or a cell that takes longer is ``timed-out``.
    """

    workers: int | None = Field(default=None, ge=1, le=256)
    minutes_per_job: float = Field(default=30, gt=0)


class AuditConfig(_Section):
    """A whole audit, defaults written out.

    Args:
        name: names the run directory.
        data: the patients.
        target: the system under audit.
        defenses: ``identity`` is always added.
        attacks: what the adversary tries.
        threats: preset names, each meeting every attack; or preset name to the attacks it meets.
        seeds: of targets and attacks.
        releases: how often a victim's slice is released to the adversary.
        references: which reference trainings to make; None for none.
        images: ``full`` puts patient images into the report; ``none`` is the default.
        budgets: limits.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    name: str
    data: DataConfig = DataConfig()
    target: TargetConfig = TargetConfig()
    defenses: tuple[PluginUse, ...] = ()
    attacks: tuple[PluginUse, ...] = Field(min_length=1)
    threats: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    releases: int = Field(default=1, ge=1, le=10_000)
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

    @model_validator(mode="before")
    @classmethod
    def _threat_list(cls, value: Any) -> Any:
        """A plain list of presets meets every attack."""
        if isinstance(value, Mapping) and isinstance(value.get("threats"), list | tuple):
            uses = [PluginUse.model_validate(use) for use in value.get("attacks") or ()]
            names = tuple(dict.fromkeys(use.name for use in uses))
            return {**value, "threats": dict.fromkeys(value["threats"], names)}
        return value

    @field_validator("threats")
    @classmethod
    def _known_threats(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for threat in value:
            if threat not in PRESETS:
                raise ValueError(
                    f"unknown threat {threat!r}{nearest(threat, PRESETS)}; there are "
                    f"{', '.join(PRESETS)}"
                )
        return value

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        attacks = {use.name for use in self.attacks}
        for threat, meets in self.threats.items():
            for attack in meets:
                if attack not in attacks:
                    raise ValueError(
                        f"threat {threat!r} names attack {attack!r}, which is not under attacks"
                        f"{nearest(attack, attacks)}"
                    )
        unmet = attacks - {attack for meets in self.threats.values() for attack in meets}
        if unmet:
            raise ValueError(f"no threat meets {', '.join(sorted(unmet))}; name it under threats")
        if self.data.kind == "folder" and self.data.path is None:
            raise ValueError(
                "data.kind is folder: data.path, --data or LEAKAUDIT_DATA must name it"
            )
        return self


def read_audit(path: Path, *, data: str | None = None) -> AuditConfig:
    """Read an audit file.

    Args:
        path: the file.
        data: replaces ``data.path``, relative to the working folder; makes ``data.kind`` folder.

    Raises:
        ConfigError: with file, line and, for a misspelt key, the nearest valid one.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the audit file can not be read ({error.strerror})") from error
    return parse_audit(text, str(path), folder=path.parent, data=data)


def parse_audit(text: bytes, source: str, *, folder: Path, data: str | None = None) -> AuditConfig:
    """Parse the content of an audit file; ``source`` names it in messages."""
    if len(text) > _LARGEST_FILE:
        raise ConfigError(f"{source}: larger than {_LARGEST_FILE} bytes; that is no audit file")
    tree = _parse_yaml(text, source)
    plain = _plain(tree)
    section = plain.get("data")
    if data is not None:
        section = {} if section is None else section
        if isinstance(section, dict):
            plain["data"] = {**section, "kind": "folder", "path": str(Path(data).resolve())}
    elif isinstance(section, dict) and isinstance(section.get("path"), str):
        plain["data"] = {**section, "path": str((folder / section["path"]).resolve())}
    try:
        config = AuditConfig.model_validate(plain)
    except ValidationError as error:
        raise ConfigError(_explain(error, tree, source)) from error
    _check_plugins("defense", config.defenses, tree, source)
    _check_plugins("attack", config.attacks, tree, source)
    return config


def expand(kind: Kind, use: PluginUse) -> list[tuple[dict[str, Any], Any]]:
    """Every point of a plug-in's parameter grid: its parameters and the plug-in made from them.

    Raises:
        ConfigError: the name or a parameter is wrong.
    """
    plugin = load(kind, use.name)
    choices = [
        value if isinstance(value, list | tuple) else [value] for value in use.parameters.values()
    ]
    points = [dict(zip(use.parameters, point, strict=True)) for point in product(*choices)]
    return [(point, plugin.make(point)) for point in points]


def _check_plugins(
    kind: Kind, uses: tuple[PluginUse, ...], tree: CommentedMap, source: str
) -> None:
    for index, use in enumerate(uses):
        try:
            expand(kind, use)
        except UsageError as error:
            line = _line(tree, [f"{kind}s", index, use.name])
            raise type(error)(f"{source}, line {line}: {error}") from error


def _parse_yaml(text: bytes, source: str) -> CommentedMap:
    try:
        for event in YAML().parse(text):
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: anchors and aliases are not supported")
            if getattr(event, "tag", None) is not None:
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: tags are not supported")
        tree = YAML().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = (error.problem or "not YAML").split("\n")[0]
        raise ConfigError(f"{source}{line}: {problem}") from error
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = str(error).split("\n")[0] or "not YAML"
        raise ConfigError(f"{source}: {reason}") from error
    if not isinstance(tree, CommentedMap):
        raise ConfigError(f"{source}: an audit file is a mapping with name, attacks, threats, ...")
    return tree


def _plain(tree: Any) -> Any:
    """Containers and scalars of Python's own types."""
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(value) for value in tree]
    for scalar in (bool, int, float, str):
        if isinstance(tree, scalar):
            return scalar(tree)
    return tree


def _explain(error: ValidationError, tree: CommentedMap, source: str) -> str:
    first = error.errors()[0]
    location = [part for part in first["loc"] if part != "function-after"]
    line = _line(tree, location)
    where = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _keys_beside(location)
        key = str(location[-1])
        message = f"unknown key {key!r}{nearest(key, known)}; known here: {', '.join(known)}"
    elif first["type"] == "missing":
        message = f"{where} is missing"
    else:
        message = first["msg"].removeprefix("Value error, ")
        if where:
            message = f"{where}: {message[:1].lower()}{message[1:]}"
    return f"{source}, line {line}: {message}"


def _line(tree: Any, location: list[int | str]) -> int:
    """The line of the deepest part of ``location`` that stands in the file."""
    line = 1
    for part in location:
        if isinstance(tree, CommentedMap) and part in tree:
            line = int(tree.lc.key(part)[0]) + 1
            tree = tree[part]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line = int(tree.lc.item(part)[0]) + 1
            tree = tree[part]
        else:
            break
    return line


def _keys_beside(location: list[int | str]) -> list[str]:
    model: Any = AuditConfig
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(str(part))
        candidate = getattr(field, "annotation", None)
        if part == "references":
            candidate = ReferenceConfig
        if isinstance(part, int):
            candidate = PluginUse
        if candidate is not None:
            model = candidate
    return list(getattr(model, "model_fields", {}))
