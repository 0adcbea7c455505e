"""Which limits of a policy are not kept on a setting, and how many of how many in words."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.records import Check, Outcome, Rule, SettingVerdict, Threshold, Verdict
from leakaudit.records.verdict import OPEN_RULES

_DECIDES = {Outcome.FAIL: "violates", Outcome.INCONCLUSIVE: "open"}


def not_kept(verdict: Verdict, one: SettingVerdict) -> tuple[Check, ...]:
    """Return the worst violated check of each limit; if none is violated, the worst open one.

    The check that decided comes first and stands for its limit. A setting that passes has none.
    """
    decided = verdict.checks[one.check] if one.check is not None else None
    kind = _DECIDES.get(one.outcome)
    found: dict[int, Check] = {}
    if decided is not None and decided.outcome == kind:
        found[decided.threshold] = decided
    of_kind = [each for each in _checks_of(verdict, one) if each.outcome == kind]
    for check in sorted(of_kind, key=_gravity):
        found.setdefault(check.threshold, check)
    first = list(found)[:1] if decided is not None else []
    rest = sorted(number for number in found if number not in first)
    return tuple(found[number] for number in (*first, *rest))


def limits_words(verdict: Verdict, one: SettingVerdict) -> str:
    """How many limits a setting does not keep: ``2 of 3 limits are exceeded``; empty for none."""
    if one.outcome is Outcome.PASS:  # a doubted figure of an attack that is not required stays open
        return ""
    checks = _checks_of(verdict, one)
    unclaimed = {each.threshold for each in checks if each.rule is Rule.NOT_CLAIMED}
    exceeded = {each.threshold for each in checks if each.outcome == "violates"} - unclaimed
    doubtful = {each.threshold for each in checks if each.outcome == "open"} - exceeded - unclaimed
    total = len(verdict.policy.thresholds)
    found = (
        (len(exceeded), "exceeded"),
        (len(unclaimed), "without the guarantee asked for"),
        (0 if exceeded or unclaimed else len(doubtful), "not shown to hold"),
    )
    kept = [(number, what) for number, what in found if number]
    if total == 1 and kept:
        return f"the only limit is {kept[0][1]}"
    parts = [
        f"{number}{'' if place else f' of {total} limits'} {_are(number)} {what}"
        for place, (number, what) in enumerate(kept)
    ]
    more = f", and {len(doubtful)} more {_are(len(doubtful))} not shown to hold"
    return ", ".join(parts) + (more if doubtful and (exceeded or unclaimed) else "")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def failure_words(verdict: Verdict) -> str:
    """Word the failures of all settings: ``2 of the policy's 3 limits are exceeded``."""
    violated = [each for each in verdict.checks if each.outcome == "violates"]
    number = len({each.threshold for each in violated})
    claims = any(each.rule is Rule.NOT_CLAIMED for each in violated)
    if number > 1:
        how = "not kept" if claims else "exceeded"
        return f"{number} of the policy's {len(verdict.policy.thresholds)} limits are {how}."
    if claims:
        return "The policy asks for a guarantee that is not claimed."
    return "A limit of the policy is exceeded."


def equal_digits(check: Check, threshold: Threshold) -> int | None:
    """Decimals that state the limit whole and tell the figures from it, two at least.

    None where no six do, as for a limit of 1e-9.
    """
    values = [value for value in (check.observed, check.held) if value is not None]
    least = max(map(_told_apart, (*values, threshold.limit)))
    for digits in range(least, 7):
        limit = f"{threshold.limit:.{digits}f}"
        apart = all(each == threshold.limit or f"{each:.{digits}f}" != limit for each in values)
        if apart and float(limit) == threshold.limit:
            return digits
    return 6 if round(threshold.limit, 6) or not threshold.limit else None


def _told_apart(value: float) -> int:
    """Decimals, up to four, with which a share that is neither 0 nor 1 does not read as one."""
    if not 0 < abs(value) < 1:
        return 2
    return next((digits for digits in (2, 3, 4) if 0 < abs(round(value, digits)) < 1), 2)


def _checks_of(verdict: Verdict, one: SettingVerdict) -> Sequence[Check]:
    return [each for each in verdict.checks if each.target == one.target]


def _gravity(check: Check) -> tuple[int, float]:
    """Smaller for what is further from being kept."""
    rank = next((n for n, rule in enumerate(OPEN_RULES) if rule is check.rule), 0)
    reached = check.observed if check.outcome == "violates" else check.held
    return rank, -(reached if reached is not None else float("inf"))
