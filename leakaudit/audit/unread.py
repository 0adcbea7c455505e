"""Keys of an audit file that are set, and that nothing in the audit reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from leakaudit.audit.plans import CellPlan, Matrix, TargetPlan
from leakaudit.config import AuditConfig
from leakaudit.contracts import Defense, ReleaseSetting
from leakaudit.randomness import generator_for, normal_like
from leakaudit.target.training import site_layout
from leakaudit.types import SiteLevels

_NO_ATTACK = "no attack that this audit makes reads"


def unread(config: AuditConfig, matrix: Matrix) -> tuple[str, ...]:
    """What is set to something else than its default and has no effect, and why; a line each.

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
    """Whether an adversary keeps several releases, or a defence is made for their number."""
    asked = [target for target in targets if target.kind == "split" and not target.control_only]
    return any(one.releases > 1 for one in cells) or any(map(_is_made_for_releases, asked))


def _is_made_for_releases(target: TargetPlan) -> bool:
    """Whether the defence becomes another one, or claims another thing, for two than for one.

    Tried out on made-up levels, since only the defence knows. Of one that can not be tried so
    nothing is said.
    """
    try:
        one, two = (_fitted(target, releases) for releases in (1, 2))
        return one != two or one.guarantee(1, reproducible=False) != one.guarantee(
            2, reproducible=False
        )
    except Exception:  # a plug-in's own, which the run meets as well, with real patients
        return True


def _fitted(target: TargetPlan, releases: int) -> Defense:
    sites = range(len(target.spec.channels))
    layouts = [site_layout(target.spec, site) for site in sites]
    levels: SiteLevels = tuple(
        tuple(
            normal_like(
                torch.empty(2, channels, *(64 // scale,) * layout.spatial_dims),
                generator_for(0, "made up", site, scale),
            )
            for channels, scale in zip(layout.channels, layout.scales, strict=True)
        )
        for site, layout in enumerate(layouts)
    )
    setting = ReleaseSetting(
        sites=len(layouts), releases_per_patient=releases, auxiliary_levels=levels
    )
    return target.defense.fit(setting)
