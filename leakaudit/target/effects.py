"""Records the effects of a defense, as a proof that it was on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

import torch

from leakaudit.contracts import Applied, Defense, Stage
from leakaudit.contracts.defense import configured_part
from leakaudit.records import Configured, Effect

# Of the claimed noise; a few hundred values differ from it by some percent.
_LEAST = 0.85


@final
@dataclass
class _Seen:
    """Sums over what one part of a defense was seen to do."""

    samples: int = 0
    bounded: int = 0
    values: int = 0
    noise: float = 0.0
    change: float = 0.0
    signal: float = 0.0
    dropped: int = 0
    returned_change: float = 0.0
    returned_signal: float = 0.0
    penalties: int = 0
    penalized: int = 0
    penalty: float = 0.0
    records: int = 0
    records_clipped: int = 0
    update_values: int = 0
    update_noise: float = 0.0
    # Per site and level, in the order of a pass, since noise may be missing from one alone.
    level_values: dict[str, int] = field(default_factory=dict)
    level_noise: dict[str, float] = field(default_factory=dict)


@final
class Effects:
    """Adds up what the parts of a defense change, in one phase of a target's life."""

    def __init__(self, defense: Defense, phase: str) -> None:
        """Watch every part of ``defense``.

        Args:
            defense: fitted.
            phase: ``"training"`` or ``"inference"``.
        """
        self._defense, self.phase = defense, phase
        # Whether releases, what returns and private steps are looked at; penalties always are.
        self.looking = True
        self._parts = defense.parts
        self._seen = [_Seen() for _ in self._parts]

    @classmethod
    def summed(
        cls, defense: Defense, phase: str, several: Iterable[Sequence[Mapping[str, Any]]]
    ) -> Effects:
        """Join the effects that several watchers saw, each as `sums` gave them."""
        whole = cls(defense, phase)
        for one in several:
            whole.add(one)
        return whole

    def fresh(self) -> Effects:
        """Start anew for the same defense and phase."""
        return Effects(self._defense, self.phase)

    def add(self, sums: Sequence[Mapping[str, Any]]) -> None:
        """Add what another has seen, as its `sums` gave it."""
        for total, part in zip(self._seen, sums, strict=True):
            for name, value in part.items():
                setattr(total, name, _added(getattr(total, name), value))

    def sums(self) -> list[dict[str, Any]]:
        """Return the effects so far, one per part, for a checkpoint."""
        return [asdict(seen) for seen in self._seen]

    @torch.no_grad()
    def release(self, steps: Sequence[Applied], site: int = 0) -> None:
        """One site's release of a batch."""
        for step in steps:
            seen = self._seen[step.part]
            seen.samples += len(step.before[0])
            moved = [
                (wanted != before).flatten(1).any(dim=1)
                for wanted, before in zip(step.expected, step.before, strict=True)
            ]
            seen.bounded += int(torch.stack(moved).any(dim=0).sum())
            each = zip(step.before, step.after, step.expected, strict=True)
            for level, (before, after, wanted) in enumerate(each):
                noise = float((after - wanted).double().square().sum())
                seen.values += before.numel()
                seen.noise += noise
                place = f"{site}.{level}"
                seen.level_values[place] = seen.level_values.get(place, 0) + before.numel()
                seen.level_noise[place] = seen.level_noise.get(place, 0.0) + noise
                seen.change += float((after - before).double().square().sum())
                seen.signal += float(before.double().square().sum())
                seen.dropped += int(((after == 0) & (before != 0)).sum())

    @torch.no_grad()
    def returned(self, steps: Sequence[Applied]) -> None:
        """Note the gradients that the label site returned to one site."""
        for step in steps:
            seen = self._seen[step.part]
            for before, after in zip(step.before, step.after, strict=True):
                seen.returned_change += float((after - before).double().square().sum())
                seen.returned_signal += float(before.double().square().sum())

    def penalty(self, part: int, value: torch.Tensor) -> None:
        """Note the penalty that a part added to one site's loss."""
        self._seen[part].penalties += 1
        self._seen[part].penalty += float(value.detach())
        self._seen[part].penalized += bool(value.detach() != 0)

    @torch.no_grad()
    def update(
        self, part: int, gradients: Sequence[torch.Tensor], applied: Sequence[torch.Tensor]
    ) -> None:
        """One private step of a party: per-record gradients, and what it learned from."""
        seen, defense = self._seen[part], self._parts[part]
        still = tuple(torch.zeros_like(tensor) for tensor in applied)
        learned = [torch.zeros_like(tensor) for tensor in applied]
        for record in range(len(gradients[0])):
            own = tuple(gradient[record : record + 1] for gradient in gradients)
            bounded = defense.apply_update(own, still)
            seen.records += 1
            seen.records_clipped += any(
                not torch.equal(after, before[0])
                for after, before in zip(bounded, own, strict=True)
            )
            learned = list(map(torch.add, learned, bounded))
        for after, wanted in zip(applied, learned, strict=True):
            seen.update_values += after.numel()
            seen.update_noise += float((after - wanted).double().square().sum())

    def too_quiet(self, releases: int) -> str:
        """Which part claims a noise that was not seen, as a sentence; empty if none.

        Of every site's every level on its own, and of the sums of a private training.
        """
        for part, seen in zip(self._parts, self._seen, strict=True):
            claim = part.guarantee(releases, reproducible=True)
            if claim is None:
                continue
            found = [
                (seen.level_noise[place] / values) ** 0.5
                for place, values in seen.level_values.items()
                if values
            ]
            sums = [(seen.update_noise / seen.update_values) ** 0.5] if seen.update_values else []
            for claimed, measured, what in (
                (claim.noise_std, found, "value of a level"),
                (claim.update_noise_std, sums, "sum of gradients"),
            ):
                if claimed is not None and measured and min(measured) < _LEAST * claimed:
                    return (
                        f"{part!r} claims noise of standard deviation {claimed:.4g} on every "
                        f"{what}, and {min(measured):.4g} was seen"
                    )
        return ""

    def records(self) -> tuple[Effect, ...]:
        """Return one effect per part."""
        return tuple(
            _record(configured_part(part), self.phase, seen)
            for part, seen in zip(self._parts, self._seen, strict=True)
        )

    def idle(self) -> str:
        """Which part changed nothing of what it is there for, as a sentence; empty if none."""
        for part, seen in zip(self._parts, self._seen, strict=True):
            changed = {
                Stage.RELEASE: seen.change > 0,
                Stage.RETURNED_GRADIENT: seen.returned_change > 0,
                Stage.TRAINING: (
                    seen.penalized > 0 or seen.records_clipped > 0 or seen.update_noise > 0
                ),
            }
            due = part.acts_on
            if not due and any(changed.values()):
                return f"{part!r} says that it acts on nothing, and changed what it was given"
            if self.phase == "inference":
                due = due & {Stage.RELEASE}
            for stage in sorted(due):
                if not changed[stage]:
                    where = f" in {self.phase}" if stage != Stage.TRAINING else ""
                    return (
                        f"{part!r} changed no {stage}{where}: figures measured here would be "
                        "put down to a defense that was off"
                    )
        return ""


def _record(part: Configured, phase: str, seen: _Seen) -> Effect:
    released = seen.values > 0
    return Effect(
        defense=part,
        phase=phase,
        bounded_share=seen.bounded / seen.samples if released else None,
        noise_std=(seen.noise / seen.values) ** 0.5 if released else None,
        change_to_signal=_ratio(seen.change, seen.signal) if released else None,
        dropped_share=seen.dropped / seen.values if released else None,
        returned_change=_ratio(seen.returned_change, seen.returned_signal),
        penalty=seen.penalty / seen.penalties if seen.penalties else None,
        records_clipped=seen.records_clipped / seen.records if seen.records else None,
        update_noise_std=(
            (seen.update_noise / seen.update_values) ** 0.5 if seen.update_values else None
        ),
    )


def _ratio(change: float, signal: float) -> float | None:
    return (change / signal) ** 0.5 if signal > 0 else None


def _added(total: Any, more: Any) -> Any:
    if isinstance(total, dict):
        return {key: total.get(key, 0) + more.get(key, 0) for key in {**total, **more}}
    return total + more
