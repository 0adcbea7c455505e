"""Which settings and cells of two reports are the same, by what they are and not by their keys.

A key holds the hash of the code that made a result, and so changes with every version.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from leakaudit.comparison.configurations import added, reconfigured, retuned
from leakaudit.comparison.records import CellIdentity, Change, SettingIdentity
from leakaudit.records import CellRecord, TargetRecord

NO_COUNTERPART = "no counterpart"
SEVERAL = "several are alike"

One = TypeVar("One")


@dataclass(frozen=True)
class Match(Generic[One]):
    """A match between both reports; ``changes`` say why it is only approximate."""

    a: One
    b: One
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Matched(Generic[One]):
    """All matches in the order of A, and what is left on either side with the reason."""

    pairs: tuple[Match[One], ...]
    only_a: tuple[tuple[One, str], ...]
    only_b: tuple[tuple[One, str], ...]


def match_settings(a: Sequence[TargetRecord], b: Sequence[TargetRecord]) -> Matched[TargetRecord]:
    """Trainings of the same network under the same defense and seed.

    A defense that gained or lost a parameter, all others being equal, matches approximately where
    there is one such on either side. Of what is left then, a defense with other parameters does,
    where it alone is left of its network and seed on either side: it was changed.
    """
    found = _match(
        a,
        b,
        exact=lambda one: (_place(one), one.defense),
        loose=_place,
        differing=lambda one, other: added(one.defense, other.defense),
        alone=False,
    )
    changed = _changed(found)
    order = {id(one): number for number, one in enumerate(a)}
    paired = {id(one) for pair in changed for one in (pair.a, pair.b)}
    return Matched(
        pairs=tuple(sorted((*found.pairs, *changed), key=lambda pair: order[id(pair.a)])),
        only_a=tuple(one for one in found.only_a if id(one[0]) not in paired),
        only_b=tuple(one for one in found.only_b if id(one[0]) not in paired),
    )


def _changed(found: Matched[TargetRecord]) -> list[Match[TargetRecord]]:
    """The only setting of a place that is left in A with the only one in B."""
    of_a, of_b = (
        _grouped([one for one, _ in left], _place) for left in (found.only_a, found.only_b)
    )
    pairs = []
    for place, ours in of_a.items():
        theirs = of_b.get(place, [])
        if len(ours) != 1 or len(theirs) != 1:
            continue
        one, other = found.only_a[ours[0]][0], found.only_b[theirs[0]][0]
        changes = reconfigured(one.defense, other.defense)
        if changes is not None:
            pairs.append(Match(one, other, changes))
    return pairs


def match_cells(
    a: Sequence[CellRecord], b: Sequence[CellRecord], epochs_a: int, epochs_b: int
) -> Matched[CellRecord]:
    """Attacks on one setting under the same threat, at the same site, on the same victims.

    An attack with other numbers matches approximately, but only where neither audit made it with
    several: of a sweep nobody knows which is which.

    Args:
        a: cells on the setting in A.
        b: in B.
        epochs_a: of the training in A, so that gradients seen after the last epoch match.
        epochs_b: of that in B.
    """
    epochs = {id(one): epochs_a for one in a} | {id(one): epochs_b for one in b}

    def seen(one: CellRecord) -> Hashable:
        return _exposure(one, epochs[id(one)])

    return _match(
        a,
        b,
        exact=lambda one: (seen(one), one.attack),
        loose=seen,
        differing=lambda one, other: retuned(one.attack, other.attack),
        alone=True,
    )


def setting_identity(target: TargetRecord) -> SettingIdentity:
    """Return the identity of a training."""
    return SettingIdentity(
        kind=target.kind,
        site=target.site,
        sites=target.sites,
        cut_level=target.cut_level,
        shared_skips=target.shared_skips,
        bottleneck=target.bottleneck,
        defense=target.defense,
        seed=target.seed,
    )


def cell_identity(cell: CellRecord) -> CellIdentity:
    """Return the identity of an attack."""
    return CellIdentity(
        attack=cell.attack,
        attack_name=cell.attack_name,
        threat=cell.threat,
        site=cell.site,
        victims=cell.victims,
        recovers=cell.recovers,
        tensor=cell.tensor,
        releases=cell.releases,
        gradient_batch=cell.gradient_batch,
        gradient_checkpoints=cell.gradient_checkpoints,
        round_steps=cell.round_steps,
        seed=cell.seed,
    )


def _place(target: TargetRecord) -> Hashable:
    """All of a training's identity but its defense."""
    return (
        *(target.kind, target.site, target.sites, target.cut_level, target.shared_skips),
        *(target.bottleneck, target.seed),
    )


def _exposure(cell: CellRecord, epochs: int) -> Hashable:
    """All of a cell's identity but the attack's parameters."""
    checkpoints = tuple("last" if one == epochs else one for one in cell.gradient_checkpoints)
    return (
        *(cell.attack_name, cell.threat, cell.site, cell.victims, cell.recovers, cell.releases),
        *(cell.gradient_batch, checkpoints, cell.round_steps, cell.seed, cell.tensor),
    )


def _match(
    a: Sequence[One],
    b: Sequence[One],
    *,
    exact: Callable[[One], Hashable],
    loose: Callable[[One], Hashable],
    differing: Callable[[One, One], tuple[Change, ...] | None],
    alone: bool,
) -> Matched[One]:
    """Match one to one: first what is equal, then what differs as ``differing`` allows.

    Args:
        a: of A.
        b: of B.
        exact: what must be equal.
        loose: what must be equal of an approximate match.
        differing: the changes of an approximate match; None if it is none.
        alone: an approximate match needs to be the only one with its ``loose`` identity in either
            report, exact matches counted.
    """
    of_a, of_b = _grouped(a, exact), _grouped(b, exact)
    counterpart: dict[int, tuple[int, tuple[Change, ...]]] = {
        ours[0]: (of_b[key][0], ())
        for key, ours in of_a.items()
        if len(ours) == 1 and len(of_b.get(key, [])) == 1
    }
    taken = {number for number, _ in counterpart.values()}
    in_a, in_b = _grouped(a, loose), _grouped(b, loose)
    possible = {
        (n, m): changes
        for key, ours in in_a.items()
        if not alone or len(ours) == len(in_b.get(key, [])) == 1
        for n in ours
        for m in in_b.get(key, [])
        if n not in counterpart
        and m not in taken
        and (changes := differing(a[n], b[m])) is not None
    }
    for (n, m), changes in possible.items():
        rivals = [pair for pair in possible if n == pair[0] or m == pair[1]]
        if len(rivals) == 1:
            counterpart[n] = (m, changes)
            taken.add(m)
    several_a = {n for n, _ in possible} | {
        n for key, ns in of_a.items() if key in of_b for n in ns
    }
    several_b = {m for _, m in possible} | {
        m for key, ms in of_b.items() if key in of_a for m in ms
    }
    return Matched(
        pairs=tuple(
            Match(a[n], b[counterpart[n][0]], counterpart[n][1])
            for n in range(len(a))
            if n in counterpart
        ),
        only_a=_left(a, set(counterpart), several_a),
        only_b=_left(b, taken, several_b),
    )


def _grouped(items: Sequence[One], key: Callable[[One], Hashable]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for number, item in enumerate(items):
        groups.setdefault(key(item), []).append(number)
    return groups


def _left(
    items: Sequence[One], matched: set[int], several: set[int]
) -> tuple[tuple[One, str], ...]:
    return tuple(
        (item, SEVERAL if number in several else NO_COUNTERPART)
        for number, item in enumerate(items)
        if number not in matched
    )
