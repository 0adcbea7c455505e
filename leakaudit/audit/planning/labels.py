"""Short labels of planned work: each names what tells it from the rest of its audit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import final

from leakaudit.audit.planning.plans import CellPlan, Matrix, TargetPlan
from leakaudit.records.configured import Configured, assigned, labels, varying


@final
class Labels:
    """Labels of the trainings and attacks of one audit.

    A cut level, a seed, a batch size or a parameter is named where the audit has several of it.
    """

    def __init__(self, matrix: Matrix) -> None:
        """Find out what varies.

        Args:
            matrix: all trainings and attacks of the audit.
        """
        targets = [*matrix.targets, *(cell.target for cell in matrix.cells)]
        self._defenses = labels(map(_defense, targets))
        self._attacks = varying(cell.attack.configured for cell in matrix.cells)
        split = [one for one in targets if one.kind == "split"]
        self._cuts = _several(one.spec.cut_level for one in split)
        self._skips = _several((one.spec.cut_level, one.spec.shared_skips) for one in split)
        self._channels = _several(one.spec.bottleneck for one in split)
        self._seeds = _several(one.seed for one in targets)
        run = [cell for cell in matrix.cells if not cell.missing]
        self._threats = _varies((cell.attack_name, cell.threat.name) for cell in run)
        self._batches = _varies((cell.attack_name, cell.gradient_batch) for cell in run)
        self._epochs = _varies((cell.attack_name, cell.gradient_checkpoints) for cell in run)

    def setting(self, plan: TargetPlan) -> str:
        """A network and its defense, without the fold: ``gaussian-noise std=1.0, cut 2``."""
        if plan.kind == "split":
            parts = [self._defenses[_defense(plan)], *self._cut(plan)]
        else:
            held = "+".join(modality for site in plan.sites for modality in site)
            parts = [f"{plan.kind} {held}"]
        return ", ".join([*parts, *([f"seed {plan.seed}"] if self._seeds else [])])

    def target(self, plan: TargetPlan) -> str:
        """A training: ``gaussian-noise std=1.0, cut 2, fold 1 of 4``."""
        return ", ".join([self.setting(plan), *_fold(plan)])

    def attack(self, plan: CellPlan) -> str:
        """An attack without the network: ``decoder-inversion steps=200 by curious-server``."""
        name = " ".join(filter(None, [plan.attack_name, self.parameters(plan)]))
        tensor = plan.attack.reads()
        by = [plan.threat.name] if plan.attack_name in self._threats else []
        by += [f"with {plan.held}" if by else plan.held] if plan.held else []
        seen = [tensor.words] if tensor else []
        if plan.attack_name in self._batches and plan.gradient_batch:
            seen.append(f"batch {plan.gradient_batch}")
        if plan.attack_name in self._epochs and plan.gradient_checkpoints:
            seen.append(f"epochs {'+'.join(map(str, plan.gradient_checkpoints))}")
        return ", ".join([f"{name} by {' '.join(by)}" if by else name, *seen])

    def parameters(self, plan: CellPlan) -> str:
        """The attack's parameters that have several values in the audit: ``steps=200``."""
        return assigned(self._attacks[plan.attack.configured])

    def cell(self, plan: CellPlan) -> str:
        """An attack on a network: ``decoder-inversion on gaussian-noise, cut 2, disguised``."""
        disguised = ["disguised"] if plan.disguise is not None else []
        parts = [self.setting(plan.target), *disguised, *_fold(plan.target)]
        return f"{self.attack(plan)} on {', '.join(parts)}"

    def _cut(self, plan: TargetPlan) -> list[str]:
        cut, shared, channels = (
            plan.spec.cut_level,
            plan.spec.shared_skips,
            plan.spec.bottleneck,
        )
        parts = [f"cut {cut}"] if self._cuts else []
        if self._skips and len(shared) < cut:
            parts.append(f"skips {'+'.join(map(str, shared)) or 'none'}")
        if self._channels and channels:
            parts.append(f"channels {channels}")
        return parts


def _defense(plan: TargetPlan) -> tuple[Configured, ...]:
    """The defense by the plug-in names of the audit file."""
    names = plan.defense_name.split("+")
    configured = plan.defense.configured
    if len(configured) != len(names):
        return configured
    return tuple(
        one.model_copy(update={"name": name}) for name, one in zip(names, configured, strict=True)
    )


def _several(values: Iterable[Hashable]) -> bool:
    return len(set(values)) > 1


def _varies(pairs: Iterable[tuple[str, Hashable]]) -> frozenset[str]:
    """The first of each pair that has several different seconds."""
    seen: dict[str, set[Hashable]] = {}
    for name, value in pairs:
        seen.setdefault(name, set()).add(value)
    return frozenset(name for name, values in seen.items() if len(values) > 1)


def _fold(plan: TargetPlan) -> list[str]:
    return [f"fold {plan.fold} of {plan.folds}"] if plan.folds > 1 else []
