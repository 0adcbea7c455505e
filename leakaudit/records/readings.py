"""Which attack reads which disguise, as it was measured and as it is shipped."""

from __future__ import annotations

from leakaudit.records.base import Record

UNDISGUISED = "none"


class Reading(Record):
    """One attack on an undefended system behind one disguise.

    Args:
        attack: its plug-in name.
        disguise: name of the disguise; ``none`` for the system as it is.
        score: mean over the patients, of the attack's own kind: SSIM inside the brain, say; None
            where the attack left no figure.
        floor: the same of the best guess that sees nothing.
        advantage: from knowing nothing (0) to the original (1).
        reads: whether it exceeds the floor as a positive control must.
    """

    attack: str
    disguise: str
    score: float | None
    floor: float | None
    advantage: float | None
    reads: bool


class Readings(Record):
    """A table of readings.

    Args:
        size: pixels per side of the simulated images.
        patients: how many were attacked.
        seed: of the patients, the network and the disguises.
        readings: attack after attack.
    """

    size: int
    patients: int
    seed: int
    readings: tuple[Reading, ...]

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks in their order."""
        return tuple(dict.fromkeys(one.attack for one in self.readings))

    def unread(self, attack: str) -> tuple[str, ...]:
        """The disguises that an attack does not read."""
        return tuple(
            one.disguise for one in self.readings if one.attack == attack and not one.reads
        )
