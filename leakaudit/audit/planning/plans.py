"""The plan of an audit: networks to train, and cells, each one attack on one network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, final

from leakaudit.contracts import AttackFacts, Capability, Defense
from leakaudit.measure.controls import OWN_FEATURES, OWN_IMAGES
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import TrainingSettings
from leakaudit.threat.disguises.base import Disguise
from leakaudit.threat.presets import Threat

_P = TypeVar("_P")


@final
@dataclass(frozen=True, kw_only=True)
class TargetPlan:
    """One network to train.

    Args:
        kind: ``split``, ``centralised`` or ``single-site``.
        sites: modalities of each site of this network.
        spec: its architecture.
        defense_name: plug-in name; of a stack the parts' names with ``+`` between them.
        defense: as configured, not fitted.
        settings: how it is trained.
        seed: of initialisation, order and noise.
        releases: passes of an inference patient that the adversary sees.
        control_only: trained only for a positive control.
        fold: whose patients it learns from, from 1.
        folds: how many there are.
        key: of the result.
    """

    kind: str
    sites: tuple[tuple[str, ...], ...]
    spec: SplitUNetSpec
    defense_name: str
    defense: Defense
    settings: TrainingSettings
    seed: int
    releases: int
    control_only: bool = False
    fold: int = 1
    folds: int = 1
    key: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """One attack on one target under one threat.

    Args:
        target: the network.
        attack_name: plug-in name.
        attack: as configured: a name, parameters, and what is known of it.
        threat: preset.
        site: which data site the adversary is, where the threat puts it at one.
        releases: passes of each victim that the adversary sees.
        gradient_batch: slices of a batch whose gradients it sees; None if it sees none.
        gradient_checkpoints: epochs after which it sees gradients, a site's own among them.
        round_steps: optimizer steps whose weight updates it sees; None if it sees none.
        control_only: exists only as another cell's positive control.
        positive_control: key of the cell that shows the attack at work (may be its own), on the
            undefended network at the same cut.
        disguise_control: key of the same cell behind a disguise; empty for an attack that reads no
            releases.
        disguise: what the releases of this cell pass through, a control; None for none.
        segmenter: the network that looks for the tumour in what is recovered, the undefended one at
            the shallowest cut; None for victims that it was trained on.
        key: of the result.
    """

    target: TargetPlan
    attack_name: str
    attack: AttackFacts
    threat: Threat
    site: int | None = None
    releases: int
    gradient_batch: int | None
    gradient_checkpoints: tuple[int, ...] = ()
    round_steps: int | None = None
    control_only: bool = False
    positive_control: str = ""
    disguise_control: str = ""
    disguise: Disguise | None = None
    segmenter: TargetPlan | None = None
    key: str = ""

    @property
    def held(self) -> str:
        """The modalities of the site that is the adversary, as ``T1w+T1gd``; else empty."""
        return "" if self.site is None else "+".join(self.target.sites[self.site])

    @property
    def recovered(self) -> tuple[str, ...]:
        """The modalities that the attack recovers: all of them, or those of the other sites."""
        sites: Iterable[tuple[int, tuple[str, ...]]] = enumerate(self.target.sites)
        if self.attack.recovers == "other-site images":
            sites = ((number, site) for number, site in sites if number != self.site)
        return tuple(modality for _, site in sites for modality in site)

    @property
    def held_already(self) -> str | None:
        """The adversary's knowledge of the victims before anything comes back, if it has any."""
        if Capability.OWN_MODALITIES in self.threat.capabilities:
            return OWN_IMAGES
        if Capability.HEAD_MESSAGES in self.threat.capabilities:
            return OWN_FEATURES
        return None

    @property
    def attack_runs(self) -> int:
        """How often the attack runs at most, each time in a process of its own."""
        if self.attack.recovers == "identities":
            return 3
        return 1 + self.attack.learns() if self.held_already is None else 3

    @property
    def missing(self) -> frozenset[Capability]:
        """The capabilities that the attack needs and the threat does not grant."""
        return self.attack.needs() - self.threat.capabilities


@final
@dataclass(frozen=True, kw_only=True)
class Matrix:
    """All the work of an audit, without repetitions, in the order of the audit file.

    Args:
        targets: of every fold, the first fold's first.
        cells: likewise.
        folds: how many folds there are; each has the same settings and attacks in the same order.
    """

    targets: tuple[TargetPlan, ...]
    cells: tuple[CellPlan, ...]
    folds: int = 1

    @property
    def settings(self) -> tuple[tuple[TargetPlan, ...], ...]:
        """The trainings of each setting, fold by fold."""
        return _by_fold(self.targets, self.folds)

    @property
    def attacks(self) -> tuple[tuple[CellPlan, ...], ...]:
        """The cells of each attack on each setting, fold by fold."""
        return _by_fold(self.cells, self.folds)


def _by_fold(plans: tuple[_P, ...], folds: int) -> tuple[tuple[_P, ...], ...]:
    count = len(plans) // folds
    parts = [plans[fold * count : (fold + 1) * count] for fold in range(folds)]
    return tuple(zip(*parts, strict=True))
