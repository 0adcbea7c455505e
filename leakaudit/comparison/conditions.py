"""Whether two reports can be compared at all, and what else differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leakaudit.comparison.records import NOT_RECORDED, SHARED, Change
from leakaudit.errors import UsageError
from leakaudit.records import PluginRecord, Policy, ReportRecord
from leakaudit.report.text.verdicts import threshold_words

_PARTS = ("train", "validation", "auxiliary", "victims")
_MOST_NAMED = 3


def require_comparable(a: ReportRecord, b: ReportRecord) -> None:
    """Refuse figures over different patients, or of different measures.

    Raises:
        UsageError: with every field that differs, and both its values. Where a report is shared,
            its pseudonyms are not patients that differ: it says what sharing does instead.
    """
    differing = [
        *_differing("metric_version", a.metric_version, b.metric_version),
        *_differing("data.size", _prepared(a, "size"), _prepared(b, "size")),
        *_differing("data.crop", _crop(a), _crop(b)),
        *_differing(
            "data.spatial_dims", _prepared(a, "spatial_dims"), _prepared(b, "spatial_dims")
        ),
        *_differing("data.spatial", list(a.data.spatial), list(b.data.spatial)),
        *_differing("data.modalities", list(a.data.modalities), list(b.data.modalities)),
        *_differing("data.folds", len(a.data.folds) or 1, len(b.data.folds) or 1),
        *_differing("data.fingerprint", a.data.fingerprint, b.data.fingerprint),
    ]
    splits = [found for part in _PARTS for found in _split_differing(part, a, b)]
    sides = [side for side, one in (("A", a), ("B", b)) if one.profile == SHARED]
    if splits and sides:
        whose = "A and B are shared reports" if len(sides) > 1 else f"{sides[0]} is a shared report"
        more = f"; they differ in {'; '.join(differing)} as well" if differing else ""
        raise UsageError(
            f"{whose}, where patients have pseudonyms that only shared reports of the same run "
            "have in common, so no figure of A can be paired with one of B; compare the runs' own "
            f"reports, which name the patients, in the house that keeps them{more}"
        )
    differing += splits
    if differing:
        raise UsageError(
            "expected two audits of the same patients, prepared, split and measured alike, but A "
            f"and B differ in {'; '.join(differing)}; figures over different patients or measures "
            "cannot be compared: run one of the audits again as the other was"
        )


def other_changes(a: ReportRecord, b: ReportRecord) -> tuple[Change, ...]:
    """List differences beside the figures that may explain them, from the policy to versions."""
    return (
        *_policy_changes(a, b),
        *_changes("schema", {"schema_version": (a.schema_version, b.schema_version)}),
        *_changes("package", _both(a.versions, b.versions)),
        *_plugin_changes(a.plugins, b.plugins),
        *_changes(
            "system", {"target.sites": (_at(a, "target", "sites"), _at(b, "target", "sites"))}
        ),
        *_changes(
            "limit",
            {
                f"budgets.{name}": (_at(a, "budgets", name), _at(b, "budgets", name))
                for name in ("minutes_per_job", "gigabytes_per_job")
            },
        ),
        *_changes("device", {"device": (_at(a, "device"), _at(b, "device"))}),
    )


def training_changes(a: ReportRecord, b: ReportRecord) -> tuple[Change, ...]:
    """List differences of training, except the epochs, which each record holds."""
    both = _both(_mapping(_at(a, "target", "training")), _mapping(_at(b, "target", "training")))
    return _changes("training", {name: pair for name, pair in both.items() if name != "epochs"})


def threat_changes(a: ReportRecord, b: ReportRecord) -> dict[str, tuple[Change, ...]]:
    """By the name of a threat, what it grants in one report and not in the other."""
    of_b = {threat.name: threat for threat in b.threats}
    found = {}
    for one in a.threats:
        other = of_b.get(one.name)
        if other is None:
            continue
        found[one.name] = _changes(
            "threat",
            {
                f"{one.name} grants": (sorted(one.capabilities), sorted(other.capabilities)),
                f"{one.name} position": (one.position, other.position),
                f"{one.name} behaviour": (one.behaviour, other.behaviour),
            },
        )
    return found


def in_words(value: Any) -> str:
    """A value of an audit as text."""
    if value is None:
        return NOT_RECORDED
    if isinstance(value, list | tuple):
        return ", ".join("+".join(map(str, v)) if isinstance(v, list) else str(v) for v in value)
    return str(value)


def _differing(field: str, a: Any, b: Any) -> list[str]:
    """The field with both values; a version that did not record it is not a difference."""
    if a is None or b is None or a == b:
        return []
    return [f"{field} ({in_words(a)} and {in_words(b)})"]


def _split_differing(part: str, a: ReportRecord, b: ReportRecord) -> list[str]:
    of_a, of_b = getattr(a.data.split, part), getattr(b.data.split, part)
    if sorted(of_a) == sorted(of_b):
        return []
    return [f"splits.{part} ({_patients('A', of_a, of_b)} and {_patients('B', of_b, of_a)})"]


def _patients(side: str, own: Sequence[str], others: Sequence[str]) -> str:
    """How many patients, and who of them is on this side alone."""
    alone = sorted(set(own) - set(others))
    named = ", ".join(alone[:_MOST_NAMED])
    more = f" and {len(alone) - _MOST_NAMED} more" if len(alone) > _MOST_NAMED else ""
    counted = "1 patient" if len(own) == 1 else f"{len(own)} patients"
    return f"{counted} of {side}" + (f", {named}{more} only there" if alone else "")


def _at(record: ReportRecord, *path: str) -> Any:
    """Return the resolved audit's value at a path; None if there is none."""
    found: Any = record.audit
    for name in path:
        found = _mapping(found).get(name)
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _prepared(record: ReportRecord, name: str) -> Any:
    return _at(record, "data", name)


def _crop(record: ReportRecord) -> Any:
    """The crop in pixels, which is twice the size where the audit leaves it open."""
    crop, size = _prepared(record, "crop"), _prepared(record, "size")
    return 2 * size if crop is None and type(size) is int else crop


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (a.get(name), b.get(name)) for name in dict.fromkeys((*a, *b))}


def _changes(kind: str, values: Mapping[str, tuple[Any, Any]]) -> tuple[Change, ...]:
    return tuple(
        Change(kind=kind, field=name, a=in_words(a), b=in_words(b))
        for name, (a, b) in values.items()
        if a != b
    )


def _policy_changes(a: ReportRecord, b: ReportRecord) -> tuple[Change, ...]:
    """Compare two policies; one alone shows in the verdicts."""
    if a.verdict is None or b.verdict is None:
        return ()
    first, second = a.verdict.policy, b.verdict.policy
    return _changes(
        "policy",
        {
            "limits": (_limits(first), _limits(second)),
            "required attacks": (_required(first), _required(second)),
            "proposed": (first.proposed or "all", second.proposed or "all"),
        },
    )


def _limits(policy: Policy) -> list[str]:
    return [
        f"{threshold_words(one)} at most {one.limit:g} ({one.bound}, n_min {one.n_min})"
        for one in policy.thresholds
    ]


def _required(policy: Policy) -> list[str] | str:
    if policy.required is None:
        return "all"
    return [f"{one.attack} {one.threat}".strip() for one in policy.required]


def _plugin_changes(a: Sequence[PluginRecord], b: Sequence[PluginRecord]) -> tuple[Change, ...]:
    """Plug-ins that both used, from another distribution or version; those alike in one line."""
    of_b = {(one.kind, one.name): one for one in b}
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in a:
        other = of_b.get((one.kind, one.name))
        if other is None:
            continue
        sources = tuple(f"{each.distribution} {each.version}" for each in (one, other))
        if sources[0] != sources[1]:
            grouped.setdefault((sources[0], sources[1]), []).append(one.name)
    return tuple(
        Change(kind="plug-in", field=", ".join(names), a=first, b=second)
        for (first, second), names in grouped.items()
    )
