"""Keys of an audit file that are set, and that nothing in the audit reads."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.audit.planning.plans import CellPlan, Matrix, TargetPlan
from leakaudit.config import AuditConfig
from leakaudit.contracts import Defense

_NO_ATTACK = "no attack that this audit makes reads"


def unused_settings(config: AuditConfig, matrix: Matrix) -> tuple[str, ...]:
    """Name each setting that differs from its default and has no effect, with the reason.

    Args:
        config: the audit.
        matrix: what it is expanded to; an attack that lacks what it needs is not made.
    """
    cells = [cell for cell in matrix.cells if not cell.missing and not cell.control_only]
    default = type(config).model_fields
    found = []
    if config.releases != default["releases"].default and not _keeps(cells, matrix.targets):
        told = "no threat of this audit keeps repeated releases"
        found.append(f"releases: {config.releases} has no effect: {told}")
    batch = config.gradient_batch
    if batch != default["gradient_batch"].default and not any(one.gradient_batch for one in cells):
        value = batch[0] if len(batch) == 1 else list(batch)
        found.append(f"gradient_batch: {value} has no effect: {_NO_ATTACK} gradients of a batch")
    observed = [list(epochs) for epochs in config.observed_epochs]
    if observed != [[0, config.target.training.epochs]] and not any(
        one.gradient_checkpoints for one in cells
    ):
        epochs = observed[0] if len(observed) == 1 else observed
        found.append(f"gradient_checkpoints: {epochs} has no effect: {_NO_ATTACK} gradients")
    if config.round_steps != default["round_steps"].default and not any(
        one.round_steps for one in cells
    ):
        told = f"{_NO_ATTACK} weight updates"
        found.append(f"round_steps: {config.round_steps} has no effect: {told}")
    return tuple(found)


def _keeps(cells: Sequence[CellPlan], targets: Sequence[TargetPlan]) -> bool:
    """Whether an adversary keeps several releases, or a defense may be made for their number.

    A defense that neither is fitted nor claims anything cannot be. Of others nothing is said: what
    they do is known only by running them, which is a plug-in's code and so a job's.
    """
    asked = [target for target in targets if target.kind == "split" and not target.control_only]
    parts = [part for target in asked for part in target.defense.parts]
    plain = all(
        type(part).fit is Defense.fit and type(part).guarantee is Defense.guarantee
        for part in parts
    )
    return any(one.releases > 1 for one in cells) or not plain
