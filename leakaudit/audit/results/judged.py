"""Judges a run by the audit's own policy, or later by another."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from leakaudit.config import (
    AuditConfig,
    PolicyConfig,
    judged_targets,
    require_proposed,
    resolved_policy,
)
from leakaudit.errors import ConfigError
from leakaudit.policy import judge
from leakaudit.records import Caution, CellRecord, ReportRecord, TargetRecord, Verdict


def judged_by(record: ReportRecord, policy: PolicyConfig) -> ReportRecord:
    """The record of a finished run under another policy; nothing else changes.

    The audit keeps its own policy, and the verdict says that it is by another one, and what the
    audit's own says; by the audit's own policy it is as the run left it.

    Raises:
        ConfigError: the policy does not fit the audit.
    """
    try:
        config = AuditConfig.model_validate({**record.audit, "policy": policy})
        audited = AuditConfig.model_validate(record.audit)
    except ValidationError as error:
        raise ConfigError(
            f"the policy does not fit the audit: {error.errors()[0]['msg']}"
        ) from error
    require_proposed(config)
    known = record.targets, record.cells, record.data.cautions
    found, own = verdict(config, *known), verdict(audited, *known)
    if found is not None and (own is None or own.policy != found.policy):
        other = {"judged_again": True, "own": own.outcome if own else None}
        found = found.model_copy(update=other)
    return record.model_copy(update={"verdict": found})


def verdict(
    config: AuditConfig,
    targets: Sequence[TargetRecord],
    cells: Sequence[CellRecord],
    cautions: Sequence[Caution],
) -> Verdict | None:
    """Judge the audit's settings by its policy; None without a policy."""
    if config.policy is None:
        return None
    judged = judged_targets(config, targets)
    return judge(resolved_policy(config.policy), targets, cells, judged, cautions)
