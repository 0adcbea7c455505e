"""`leakaudit disguises`: which attack reads which disguise of an undefended system."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.audit.disguised import adaptive_attacks, readings
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.cli.printing.progress import progress_events
from leakaudit.files import write_atomically
from leakaudit.records.readings import Reading, Readings

Attacks = Annotated[
    list[str] | None,
    typer.Argument(help="Attacks to try; by default all that read releases and are adaptive."),
]
Size = Annotated[int, typer.Option(help="Pixels per side of the simulated images.")]
Patients = Annotated[int, typer.Option(help="Simulated patients; a quarter is attacked.")]
Seed = Annotated[int, typer.Option(help="Of the patients, the network and the disguises.")]
Keep = Annotated[
    Path | None, typer.Option(help="Folder that keeps what is done, to go on from there.")
]
Write = Annotated[Path | None, typer.Option(help="File to write the table to, as JSON.")]


def disguises(
    attacks: Attacks = None,
    size: Size = 48,
    patients: Patients = 24,
    seed: Seed = 0,
    keep: Keep = None,
    write: Write = None,
) -> int:
    """Try attacks on an undefended system of simulated patients behind every disguise.

    A disguise can be undone, so an attack that answers to its defense reads through it. What it
    does not read is a hole: a defense that does the like is not measured by this attack.
    """
    named = {name: dict[str, object]() for name in attacks or adaptive_attacks()}
    with tempfile.TemporaryDirectory() as scratch:
        store = RunStore(keep or Path(scratch, "run"))
        store.prepare()
        with store.locked(), progress_events() as events:
            found = readings(named, store, size=size, patients=patients, seed=seed, events=events)
    if write is not None:
        write_atomically(write, found.model_dump_json(indent=1) + "\n")
    print("\n".join(table_lines(found)))
    return 0


def table_lines(found: Readings) -> Iterator[str]:
    """The table in 80 columns, attack after attack."""
    yield (
        f"{found.patients} simulated patients of {found.size} pixels, cut 1, seed {found.seed}; "
        "not defended"
    )
    for attack in found.attacks:
        mine = [one for one in found.readings if one.attack == attack]
        yield f"\n{attack:26} {'score':>8} {'floor':>8} {'advantage':>10}  reads"
        yield from map(_line, mine)
        yield f"reads {sum(one.reads for one in mine)} of {len(mine)}"


def _line(one: Reading) -> str:
    score, floor, gained = (
        "-" if value is None else f"{value:.3f}" for value in (one.score, one.floor, one.advantage)
    )
    reads = "yes" if one.reads else "NO"
    return f"  {one.disguise:24} {score:>8} {floor:>8} {gained:>10}  {reads}"
