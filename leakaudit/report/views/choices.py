"""Which setting to use: the best that keeps the policy, else the nearest; without one the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import Outcome, ReportRecord, TargetRecord, WorstCase
from leakaudit.records.targets import plain_network
from leakaudit.report.text.formatting import figure, listed, percent, scientific
from leakaudit.report.text.limits import equal_digits
from leakaudit.report.text.verdicts import (
    CheckView,
    SettingOutcome,
    VerdictView,
    setting_name,
    threshold_words,
)

KEPT = 0.9
"""A setting counts as useful if it keeps this share of the undefended network's Dice."""
_MISSING = "Some planned attacks gave no figure there, so it may leak more."
_DOUBTED = "A figure of an attack there is in doubt, so it may leak more."


@dataclass(frozen=True)
class Choice:
    """The advice, sentence by sentence.

    Args:
        lead: which setting.
        more: what it misses, limit by limit.
        achieved: without a policy the outcome of the best setting.
        targets: keys of the setting's trainings, one for each seed.
    """

    lead: str
    more: tuple[str, ...]
    achieved: str = ""
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Group:
    """One setting under all of its seeds."""

    name: str
    targets: tuple[TargetRecord, ...]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(one.target for one in self.targets)

    @property
    def dice(self) -> float:
        """Mean Dice over the seeds; below 0 if one has none."""
        found = [one.utility.mean.mean for one in self.targets if one.utility]
        return sum(found) / len(found) if len(found) == len(self.targets) else -1.0

    @property
    def dice_words(self) -> str:
        return _range([one.utility.mean.mean for one in self.targets if one.utility])


def choice(record: ReportRecord, judged: VerdictView | None) -> Choice:
    """Return the advice on what to do next.

    Args:
        record: the run.
        judged: its verdict in words; None without a policy.
    """
    if judged is None:
        return _without_policy(record)
    groups = _groups([one.target for one in judged.settings], record)
    if not groups:
        return Choice("The audit has none of the settings that the policy is about.", ())
    outcomes = {one.target.target: one for one in judged.settings}
    kept = [one for one in groups if all(_passes(outcomes, each) for each in one.targets)]
    if kept:
        best = max(kept, key=lambda one: one.dice)
        lead = (
            f"{best.name}. It keeps every limit at the highest Dice, {best.dice_words}"
            f"{_price(best, record)}."
        )
        return Choice(lead, (), targets=best.keys)
    found = [(one, [outcomes[each.target] for each in one.targets]) for one in groups]
    nearest, views = min(found, key=lambda one: _distance(one[1]))
    return Choice(
        f"None keeps the policy. Nearest is {nearest.name}, at a Dice of {nearest.dice_words}.",
        _misses(views),
        targets=nearest.keys,
    )


def _price(group: _Group, record: ReportRecord) -> str:
    """The Dice without a defense, for comparison; empty where the setting has none."""
    plain = [plain_network(one, record.targets) for one in group.targets]
    reached = [one.utility.mean.mean for one in plain if one is not None and one.utility]
    if not reached or {one.target for one in plain if one} & group.keys:
        return ""
    return f"; without a defense it is {_range(reached)}"


def _passes(outcomes: dict[str, SettingOutcome], target: TargetRecord) -> bool:
    return outcomes[target.target].verdict.outcome is Outcome.PASS


def _distance(views: Sequence[SettingOutcome]) -> tuple[int, int, float]:
    """Smaller for what is nearer: limits that are exceeded, those left open, the furthest miss."""
    decisive = [check for one in views for check in one.decisive]
    exceeded = {one.check.threshold for one in decisive if one.check.outcome == "violates"}
    unkept = {one.check.threshold for one in decisive if one.check.outcome != "holds"}
    missing = sum(one.verdict.check is None for one in views)
    return len(exceeded), len(unkept) + missing, max(map(_beyond, decisive), default=0.0)


def _beyond(view: CheckView) -> float:
    """By which share of the limit a figure lies beyond it; 0 if it does not, or there is none."""
    held, limit = view.check.held, view.threshold.limit
    if held is None or held <= limit:
        return 0.0
    return (held - limit) / limit if limit else float("inf")


def _misses(views: Sequence[SettingOutcome]) -> tuple[str, ...]:
    """Word the misses of the nearest setting, limit by limit, the furthest of each."""
    worst: dict[int, CheckView] = {}
    for check in (check for one in views for check in one.decisive):
        before = worst.get(check.check.threshold)
        if before is None or _beyond(check) > _beyond(before):
            worst[check.check.threshold] = check
    told = [_miss(worst[number]) for number in sorted(worst)]
    told += [one.reason for one in views if one.reason]
    return tuple(dict.fromkeys(told))


def _miss(view: CheckView) -> str:
    """Which limit is missed, by which figure, and how far beyond the limit that lies."""
    beyond = _beyond(view)
    if not 0 < beyond < float("inf") or view.threshold.measure == "epsilon":
        return view.words
    digits = equal_digits(view.check, view.threshold)
    limit = view.threshold.limit
    allowed = scientific(limit) if digits is None else figure(limit, digits)
    end = "" if view.check.held == view.check.observed else ", the upper end of its interval"
    return (
        f"It misses the limit on {threshold_words(view.threshold)}: "
        f"{figure(view.check.held, digits or 6)}{end}, where {allowed} is allowed. "
        f"That is {percent(beyond)} beyond."
    )


def _without_policy(record: ReportRecord) -> Choice:
    cases = {one.target: one for one in reversed(record.worst) if _of_images(one)}
    met = [one for one in record.targets if one.target in cases and not one.is_useless]
    plain = {one.target: plain_network(one, record.targets) for one in met}
    groups = [
        one
        for one in _groups(met, record)
        if all(_keeps(each, plain[each.target]) for each in one.targets)
    ]
    if not groups:
        return Choice("No setting was shown to be useful, so none can be named.", ())

    def leak(one: _Group) -> float:
        found = (cases[each.target].ssim_brain for each in one.targets)
        return max(each.mean for each in found if each)

    doubted = {cell.target for cell in record.cells if cell.doubts and not cell.control_only}

    def gaps(one: _Group) -> tuple[str, ...]:
        """Why a low figure of the setting may hide a leak: attacks without a figure, or doubts."""
        missing = any(cases[each.target].incomplete for each in one.targets)
        doubtful = any(each.target in doubted for each in one.targets)
        return (*((_MISSING,) if missing else ()), *((_DOUBTED,) if doubtful else ()))

    best = min(groups, key=leak)
    reached = _range([each.mean for one in best.targets if (each := cases[one.target].ssim_brain)])
    least = "at least " if gaps(best) else ""
    lead = (
        f"None is approved. Of those that keep {percent(KEPT)} of the undefended Dice, this leaks "
        f"least: {best.name}."
    )
    achieved = (
        f"The best setting that was tried leaks an SSIM of {least}{reached}, "
        f"at a Dice of {best.dice_words}."
    )
    return Choice(lead, gaps(best), achieved, best.keys)


def _of_images(case: WorstCase) -> bool:
    return case.recovers == "images" and case.ssim_brain is not None


def _keeps(target: TargetRecord, plain: TargetRecord | None) -> bool:
    if target.utility is None or plain is None or plain.utility is None:
        return False
    return target.utility.mean.mean >= KEPT * plain.utility.mean.mean


def _groups(targets: Sequence[TargetRecord], record: ReportRecord) -> list[_Group]:
    """Settings that differ in nothing but the seed, together."""
    found: dict[tuple[object, ...], list[TargetRecord]] = {}
    for one in targets:
        key = (one.defense, one.cut_level, one.shared_skips, one.bottleneck)
        found.setdefault(key, []).append(one)
    many_cuts = len({one.cut_level for one in record.targets if not one.control_only}) > 1
    return [_Group(_name(some, many_cuts), tuple(some)) for some in found.values()]


def placed_name(target: TargetRecord, many_cuts: bool) -> str:
    """A setting in words; with its cut level if there are many. Withheld skips are named anyway."""
    name = setting_name(target)[0]
    return f"{name}, cut level {target.cut_level}" if many_cuts else name


def _name(targets: Sequence[TargetRecord], many_cuts: bool) -> str:
    name = placed_name(targets[0], many_cuts)
    seeds = listed(tuple(str(one.seed) for one in targets))
    return f"{name}, seeds {seeds}" if len(targets) > 1 else name


def _range(values: Sequence[float]) -> str:
    if not values:
        return "unknown"
    low, high = min(values), max(values)
    return figure(low) if low == high else f"{figure(low)} to {figure(high)}"
