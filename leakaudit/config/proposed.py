"""Which settings of an audit its policy is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from leakaudit.config.audit import AuditConfig
from leakaudit.config.plugins import DefenseSetting, PluginUse, expand_stack
from leakaudit.errors import ConfigError
from leakaudit.records import TargetRecord

_UNDEFENDED = ((PluginUse(name="identity"),),)


def require_proposed(config: AuditConfig) -> None:
    """Refuse a policy that proposes what its audit does not try.

    Raises:
        ConfigError: it does, or a name or a parameter of what it proposes is wrong.
    """
    if config.policy is None:
        return
    tried = [
        one
        for uses in (*config.defenses, *_UNDEFENDED)
        for one in expand_stack(uses, config.target)
    ]
    for one in _proposed(config):
        if not any(_alike(one, other) for other in tried):
            raise ConfigError(
                f"the policy proposes {one.written}, which is not under defenses; write it as "
                "there, or add it there"
            )


def judged_targets(config: AuditConfig, targets: Sequence[TargetRecord]) -> frozenset[str]:
    """Keys of the settings that are up for use under every seed and at every cut level.

    By default these are the defenses that the audit names, and the undefended network if it names
    none: a network that stands beside a defense for comparison decides nothing.

    Args:
        config: an audit with a policy.
        targets: every training of it.

    Raises:
        ConfigError: there is none of a setting at some cut level under some seed, as in a run of
            another version.
    """
    there = [one for one in targets if one.kind == "split" and not one.control_only]
    found: set[str] = set()
    for setting in _proposed(config):
        fits = [
            one
            for one in there
            if one.defense == setting.defense.configured
            and (one.shared_skips, one.bottleneck) in _crossing(setting, one)
        ]
        met = {(one.cut_level, one.seed) for one in fits}
        for cut, seed in product(config.target.cut_level, config.seeds):
            if (cut, seed) not in met:
                raise ConfigError(
                    f"the policy is about {setting.written}, and the run has no such network at "
                    f"cut level {cut} under seed {seed}: another version of the defense wrote it; "
                    "run the audit again"
                )
        found |= {one.target for one in fits}
    return frozenset(found)


def _proposed(config: AuditConfig) -> Iterator[DefenseSetting]:
    named = config.policy.proposed if config.policy else ()
    for uses in named or config.defenses or _UNDEFENDED:
        yield from expand_stack(uses, config.target)


def _alike(one: DefenseSetting, other: DefenseSetting) -> bool:
    """Whether all that one names is among what the other names."""
    mine, theirs = one.target, other.target
    return (
        one.defense.configured == other.defense.configured
        and set(mine.withheld_skips) <= set(theirs.withheld_skips)
        and set(mine.bottleneck) <= set(theirs.bottleneck)
    )


def _crossing(
    setting: DefenseSetting, target: TargetRecord
) -> set[tuple[tuple[int, ...], int | None]]:
    """Return the shared skips and the bottlenecks that may cross at the cut of ``target``."""
    found = set()
    for withheld in setting.target.withheld_skips:
        skips = setting.target.skips_at(target.cut_level, withheld)
        widest = max(target.features[level] for level in (*skips, target.cut_level))
        for channels in setting.target.bottleneck:
            found.add((skips, channels if channels is not None and channels < widest else None))
    return found
