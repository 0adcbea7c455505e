"""A whole audit: who is audited, by whom, under what defenses and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from leakaudit.asking import kind_of
from leakaudit.config.plugins import PluginUse
from leakaudit.config.policy import PolicyConfig
from leakaudit.config.sections import Section, refusal
from leakaudit.config.target import TargetConfig
from leakaudit.contracts import Capability
from leakaudit.data.naming.labels import check_asked
from leakaudit.errors import ConfigError
from leakaudit.registry import installed
from leakaudit.spelling import nearest
from leakaudit.threat.presets import PRESETS


class PhantomConfig(Section):
    """Simulated patients."""

    patients: StrictInt = Field(default=40, ge=4, le=10_000)
    slices: StrictInt = Field(default=8, ge=1, le=256)
    seed: StrictInt = Field(default=0, ge=0)


class DataConfig(Section):
    """Which patients, and how their images are prepared.

    Args:
        kind: ``phantom`` (embedded) or ``folder`` (a layout of MSD, nnU-Net or BraTS).
        path: the folder, relative to the audit file.
        size: pixels per side after preparation, a multiple of 16, at least 32: the deepest level
            is 16 times smaller, and has no statistics over a single pixel.
        crop: pixels per side before the area mean; None is twice ``size``.
        spatial_dims: 2 for axial slices, 3 for volumes.
        labels: what the values of the masks mean: a convention's name, such as ``brats-2024``, or
            value to tissue, such as ``{1: edema, 2: necrosis}``. None decides it by the names of
            labels and files and by the values.
        exclude: identifiers of patients to leave out, bad ones as well.
        split_seed: seed of the split by patient.
        folds: how often the roles rotate, so that every patient is a victim once: every setting is
            trained and attacked in each fold, and its figures are over all patients. 1 is one split
            with a quarter of the patients as victims. Two or three folds say little of how far
            folds differ, so that their intervals are wide; take four or more.
        phantom: the simulated patients.
    """

    kind: Literal["phantom", "folder"] = "phantom"
    path: str | None = None
    size: StrictInt = Field(default=96, ge=32, le=1024, multiple_of=16)
    crop: StrictInt | None = Field(default=None, ge=16)
    spatial_dims: Literal[2, 3] = 2
    labels: str | dict[StrictInt, str] | None = None
    exclude: tuple[str, ...] = ()
    split_seed: StrictInt = Field(default=0, ge=0)
    folds: StrictInt = Field(default=1, ge=1, le=100)
    phantom: PhantomConfig = PhantomConfig()

    @field_validator("labels", mode="before")
    @classmethod
    def _whole_values(cls, value: object) -> object:
        """Values as numbers: in JSON, as which a resolved audit is written, keys are text."""
        if not isinstance(value, Mapping):
            return value
        return {int(key) if str(key).isdecimal() else key: name for key, name in value.items()}

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, value: str | dict[int, str] | None) -> str | dict[int, str] | None:
        if value is not None:
            try:
                check_asked(value)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> DataConfig:
        of_folder = (self.path, self.crop, self.labels, self.exclude or None)
        if self.kind == "phantom" and any(given is not None for given in of_folder):
            raise ValueError(
                "path, crop, labels and exclude are for kind: folder, but kind is phantom"
            )
        if self.crop is not None and self.crop % self.size:
            raise ValueError(f"crop must be a whole multiple of size {self.size}, got {self.crop}")
        return self


class ReferenceConfig(Section):
    """Centralised and single-site trainings beside the undefended Split-U-Net.

    Args:
        cut_level: of the Split-U-Net that is compared.
        seeds: trainings of each.
    """

    cut_level: StrictInt = Field(default=2, ge=0, le=4)
    seeds: tuple[StrictInt, ...] = Field(default=(0,), min_length=1)


class BudgetConfig(Section):
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


class PersonConfig(Section):
    """A signer: a role, and a name unless it is written by hand."""

    role: str = Field(min_length=1, max_length=200)
    name: str = Field(default="", max_length=200)


class ReportConfig(Section):
    """How the report looks, and who signs it.

    Args:
        organisation: name of the hospital.
        logo: a PNG or JPEG, relative to the audit file.
        responsible: who signs, in order.
        templates: a folder whose templates and style sheet come before those of the program.
    """

    organisation: str = Field(default="", max_length=200)
    logo: str | None = None
    responsible: tuple[PersonConfig, ...] = ()
    templates: str | None = None


Epochs: TypeAlias = Literal["ends"] | tuple[StrictInt, ...]


class AuditConfig(Section):
    """A whole audit, defaults written out.

    Args:
        name: names the run directory.
        data: the patients.
        target: the system under audit.
        defenses: ``identity`` is always added; each a plug-in or a list of several, applied in
            order as one. ``architecture: {withheld_skips: 2, bottleneck: 4}`` is one as well.
        attacks: what the adversary tries.
        threats: preset names, each meeting every attack; or preset name to the attacks it meets.
        seeds: of targets and attacks.
        releases: how often a victim's slice is released to the adversary.
        gradient_batch: slices of a batch whose gradients an adversary observes, the victim's
            among them; each in turn where a threat grants gradients, and of no effect elsewhere.
        gradient_checkpoints: epochs after which these gradients are observed, by one adversary who
            keeps them all; 0 is before the first step, and ``ends`` is that and the last. A list of
            such lists, ``[[0], [0, 6], ends]``, is as many adversaries, each in turn.
        round_steps: optimizer steps of a round whose weight updates an adversary observes.
        references: which reference trainings to make; None for none.
        report: how it looks, and who signs it.
        images: ``blurred`` or ``full`` puts patient images into the report, both of them personal
            data; ``none`` is the default.
        policy: what may leak; with one the run ends in a verdict. A file of its own by its path.
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
    gradient_checkpoints: Epochs | tuple[Epochs, ...] = "ends"
    round_steps: StrictInt = Field(default=4, ge=1, le=1_000)
    references: ReferenceConfig | None = None
    report: ReportConfig = ReportConfig()
    images: Literal["none", "blurred", "full"] = "none"
    policy: PolicyConfig | None = None
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
        several = isinstance(value, list | tuple) and value and all(map(_is_epochs, value))
        if not _is_epochs(value) and not several:
            raise ValueError(
                "expected ends, an epoch, a list such as [0, 2] or several such lists; got "
                f"{value!r}"
            )
        return value

    @property
    def observed_epochs(self) -> tuple[tuple[int, ...], ...]:
        """The epochs of ``gradient_checkpoints``, of each adversary in turn."""
        given: Any = self.gradient_checkpoints
        ends = (0, self.target.training.epochs)
        sets = [given] if _is_epochs(given) else given
        return tuple(dict.fromkeys(ends if one == "ends" else tuple(one) for one in sets))

    @model_validator(mode="after")
    def _epochs_exist(self) -> AuditConfig:
        last = self.target.training.epochs
        for observed in map(list, self.observed_epochs):
            if observed != sorted(set(observed)) or not set(observed) <= set(range(last + 1)):
                raise refusal(
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
        # A name that is not an attack is left out here, and refused where attacks are checked.
        attacks = value.get("attacks")
        names = [_name_of(use) for use in attacks] if isinstance(attacks, list) else []
        met = tuple(dict.fromkeys(name for name in names if name))
        return {**value, "threats": dict.fromkeys(threats, met)}

    @field_validator("threats")
    @classmethod
    def _known_threats(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for threat in value:
            if threat not in PRESETS:
                raise refusal(
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
                    raise refusal(
                        f"threat {threat!r} names attack {attack!r}, which is not under attacks"
                        f"{hint}",
                        *("threats", threat, attack),
                    )
        unmet = attacks - {attack for meets in self.threats.values() for attack in meets}
        if unmet:
            raise refusal(
                f"no threat meets {', '.join(sorted(unmet))}; name it under threats", "threats"
            )
        if self.data.kind == "folder" and self.data.path is None:
            raise refusal(
                "data.kind is folder: data.path, --data or LEAKAUDIT_DATA must name it", "data"
            )
        self._require_who_alone()
        self._require_known_required()
        return self

    def _require_who_alone(self) -> None:
        """Refuse an attack on images or masks where the victims' own images are granted."""
        for threat, meets in self.threats.items():
            if Capability.CANDIDATES not in PRESETS[threat].capabilities:
                continue
            for attack in meets:
                recovers = kind_of(attack).recovers
                if recovers != "identities":
                    raise refusal(
                        f"{attack} recovers {recovers}, and threat {threat!r} grants images of "
                        "candidate patients, the victims among them: it would be given what it is "
                        "to recover. Let this threat meet attacks that recover identities alone, "
                        f"and {attack} another threat",
                        *("threats", threat, attack),
                    )

    def _require_known_required(self) -> None:
        """Refuse a policy that requires attacks or threats which the audit does not name."""
        required = self.policy.required if self.policy else None
        by_threat = required if isinstance(required, dict) else {"": required or ()}
        attacks = {use.name for use in self.attacks}
        for threat, names in by_threat.items():
            if threat and threat not in self.threats:
                raise refusal(
                    f"the policy requires attacks under {threat!r}, which is not under threats"
                    f"{nearest(threat, self.threats)}",
                    *("policy", "required", threat),
                )
            meets = self.threats[threat] if threat else attacks
            for name in names:
                if name not in meets:
                    whom = f"{threat} does not meet" if threat else "is not under attacks"
                    told = f"which {whom}" if threat else f"which {whom}{nearest(name, attacks)}"
                    raise refusal(
                        f"the policy requires {name!r}, {told}", *("policy", "required", name)
                    )


def _is_epochs(value: object) -> bool:
    """Whether it names the epochs that one adversary observes."""
    listed = isinstance(value, list | tuple) and all(type(one) is int for one in value)
    return value == "ends" or (listed and bool(value))


def _name_of(use: object) -> str | None:
    """The name in any form in which a plug-in may be written; None if it is none."""
    if isinstance(use, Mapping):
        use = use.get("name", next(iter(use), None))
    return use if isinstance(use, str) else None
