"""The reported leakage of each setting: that of its worst attack, and the Pareto front over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

from leakaudit.records import (
    CellRecord,
    Configured,
    Figures,
    Kind,
    Leakage,
    MaskLeakage,
    Matching,
    State,
    TargetRecord,
    WorstCase,
)

Reached = tuple[CellRecord, Figures]
_Attack = tuple[Configured, str, tuple[int, ...]]

_RECOVERS = ("images", "other-site images", "masks", "identities")


def worst_cases(
    targets: Sequence[TargetRecord], cells: Sequence[CellRecord]
) -> tuple[WorstCase, ...]:
    """One case per target, kind of victims and what is recovered, inference victims first.

    Figures of different victims, or of images, masks and identities, are never compared, nor are
    those of other sites' images at different sites. A kind without any valid figure is left out,
    unless no other is left of its target; its cells are then incomplete in the first. Controls
    count nowhere.
    """
    settings: list[_Setting] = []
    for target in targets:
        mine = [c for c in cells if c.target == target.target and not c.control_only]
        if target.control_only or not mine:
            continue
        kinds = sorted({cell.kind for cell in mine}, key=_rank)
        found = [_setting(target, mine, kind) for kind in kinds]
        kept = [one for one in found if one.reached] or found[:1]
        silent = [cell for one in found if one not in kept for cell in one.cells]
        kept[0] = replace(kept[0], cells=(*kept[0].cells, *silent))
        settings += kept
    return tuple(_case(one, _on_front(one, settings)) for one in settings)


@final
@dataclass(frozen=True)
class _Setting:
    target: TargetRecord
    kind: Kind
    cells: tuple[CellRecord, ...]
    reached: tuple[Reached, ...]

    @cached_property
    def worst(self) -> Reached | None:
        return max(self.reached, key=_height, default=None)

    @cached_property
    def panel(self) -> tuple[object, ...]:
        # What does not cross the cut, withheld or narrowed, is a defense as any other is.
        return (self.target.cut_level, self.target.seed, self.kind)

    @cached_property
    def attacks(self) -> frozenset[_Attack]:
        return frozenset(
            (cell.attack, cell.seen_by, cell.gradient_checkpoints)
            for cell, _ in self.reached
            if cell.reads_all  # which tensors there are depends on the setting
        )

    @cached_property
    def comparable(self) -> bool:
        """Whether all attacks on single tensors have a figure, and one on all tensors has."""
        reached = {cell.cell for cell, _ in self.reached}
        alone = {cell.cell for cell in self.cells if not cell.reads_all}
        return bool(self.attacks) and alone <= reached


def _rank(kind: Kind) -> tuple[str, int, str]:
    victims, recovers, site = kind
    return victims, _RECOVERS.index(recovers), site


def _setting(target: TargetRecord, cells: Sequence[CellRecord], kind: Kind) -> _Setting:
    own = [cell for cell in cells if cell.kind == kind]
    reached = [
        (cell, figures)
        for cell in own
        if cell.state is State.OK and (figures := cell.figures) is not None
    ]
    return _Setting(target, kind, tuple(own), tuple(reached))


def _rivals(one: Reached, other: Reached) -> bool:
    """Whether both ran at the same site and, where both read gradients, on the same ones."""
    batches = {one[0].gradient_batch, other[0].gradient_batch} - {None}
    epochs = {one[0].gradient_checkpoints, other[0].gradient_checkpoints} - {()}
    return one[0].site == other[0].site and len(batches) < 2 and len(epochs) < 2


def _height(reached: Reached) -> float:
    return reached[1].score.mean


def _case(setting: _Setting, pareto: bool) -> WorstCase:
    target, worst = setting.target, setting.worst
    # Only attacks under the same conditions say how far one of them alone would have misled.
    alike = [
        pair
        for pair in setting.reached
        if worst and (pair is worst or (pair[0].reads_all and _rivals(pair, worst)))
    ]
    weakest = min(alike, key=_height, default=None)
    victims, recovers, site = setting.kind
    misled_by = None
    if worst is not None and weakest is not None:
        misled_by = _height(worst) - _height(weakest)
    figures = worst[1] if worst else None
    return WorstCase(
        target=target.target,
        cut_level=target.cut_level,
        shared_skips=target.shared_skips,
        bottleneck=target.bottleneck,
        defense=target.defense,
        seed=target.seed,
        victims=victims,
        worst=worst[0].cell if worst else None,
        weakest=weakest[0].cell if weakest else None,
        recovers=recovers,
        site=site,
        ssim_brain=figures.ssim_brain if isinstance(figures, Leakage) else None,
        mask_dice=figures.dice if isinstance(figures, MaskLeakage) else None,
        matched=figures.score if isinstance(figures, Matching) else None,
        advantage=figures.advantage if isinstance(figures, Leakage | MaskLeakage) else None,
        misled_by=misled_by,
        dice=target.utility.mean if target.utility else None,
        pareto=pareto,
        incomplete=tuple(
            f"{cell.attack_name} under {cell.seen_by}: {cell.state}"
            for cell in setting.cells
            if cell.state is not State.OK
        ),
    )


def _on_front(setting: _Setting, settings: Sequence[_Setting]) -> bool:
    """Whether no comparable setting is better on one axis and at least as good on the other.

    A network that may be worth no more than an untrained one is on no front. A setting that lacks
    the figure of an attack which another of its panel has is not compared, nor one that lacks that
    of an attack on one of its own tensors: a crashed attack must not make a defense look good.
    """
    rivals = [one for one in settings if one.panel == setting.panel]
    everything = frozenset[_Attack]().union(*(one.attacks for one in rivals))
    place = _place(setting)
    if place is None or not setting.comparable or setting.attacks != everything:
        return False
    for rival in rivals:
        other = _place(rival)
        if rival is setting or other is None or rival.attacks != everything:
            continue
        gain, leak = other[0] - place[0], other[1] - place[1]
        if gain >= 0 and leak <= 0 and (gain > 0 or leak < 0):
            return False
    return True


def _place(setting: _Setting) -> tuple[float, float] | None:
    """Dice and score of the worst attack; None also if the network beats no untrained one."""
    utility, worst = setting.target.utility, setting.worst
    if utility is None or worst is None:
        return None
    if setting.target.is_useless:
        return None
    # What leaks is no less than what anybody can guess, however badly an attack ends.
    return utility.mean.mean, max(_height(worst), worst[1].blind_floor)
