"""Under which conditions gradients give a training patient away: a Markdown row for each.

Run: python benchmarks/gradient_map.py --data FOLDER --sizes 48 --cuts 0 2 --batches 1 2 4

Without a folder the patients are simulated; a quarter of them is the adversary's. The figures of an
attack whose positive control failed are printed too, with that state beside them: the table is
about the attack. What is done already in the folder of --out is not done again.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from leakaudit.audit.jobs.processes import Events
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.runner import run_audit
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.config import AuditConfig
from leakaudit.measure.statistics import paired
from leakaudit.records import CellRecord, Interval, ReportRecord

ATTACKS = {
    "cut-gradient-inversion": ("aggregator", {"steps": 150}),
    "learned-gradient-inversion": ("aggregator-alone", {"batches": 300}),
}


def main() -> None:
    """Read the command line, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="a folder in MSD or BraTS layout")
    options.add_argument("--patients", type=int, default=40, help="how many are simulated")
    options.add_argument("--sizes", type=int, nargs="+", default=[48, 96])
    options.add_argument("--cuts", type=int, nargs="+", default=[0, 2])
    options.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    options.add_argument("--attacks", nargs="+", default=list(ATTACKS), choices=list(ATTACKS))
    options.add_argument("--out", help="where to keep the runs")
    given = options.parse_args()
    head = ("size", "cut", "batch", "attack", "SSIM", "floor", "above it", "picked out", "state")
    for row in (head, ("---",) * len(head)):
        print(f"| {' | '.join(row)} |", flush=True)
    for size in given.sizes:
        with TemporaryDirectory() as temporary:
            folder = Path(given.out or temporary) / f"gradient-map-{size}"
            for row in rows(audited(given, size, folder)):
                print(f"| {size} | {' | '.join(row)} |", flush=True)


def audited(given: argparse.Namespace, size: int, folder: Path) -> ReportRecord:
    """The audit of one image size."""
    simulated = {"kind": "phantom", "phantom": {"patients": given.patients}}
    data = {"kind": "folder", "path": given.data} if given.data else simulated
    config = AuditConfig.model_validate(
        {
            "name": f"gradient-map-{size}",
            "data": {**data, "size": size},
            "target": {"cut_level": given.cuts},
            "attacks": [{name: ATTACKS[name][1]} for name in given.attacks],
            "threats": {ATTACKS[name][0]: [name] for name in given.attacks},
            "gradient_batch": given.batches,
            "budgets": {"workers": 1, "minutes_per_job": 60.0},
        }
    )
    store = RunStore(folder)
    store.prepare()
    return run_audit(plan_audit(config), store, Events())


def rows(record: ReportRecord) -> list[tuple[str, ...]]:
    """A row for each cell that was asked for."""
    cells = [cell for cell in record.cells if not cell.control_only]
    cells.sort(key=lambda cell: (cell.attack_name, cell.cut_level, cell.gradient_batch))
    return [row(cell) for cell in cells]


def row(cell: CellRecord) -> tuple[str, ...]:
    """What one attack recovers under one condition."""
    leakage = cell.leakage or cell.withheld
    where = (str(cell.cut_level), str(cell.gradient_batch), cell.attack_name)
    if leakage is None:
        return (*where, "-", "-", "-", "-", f"{cell.state}: {cell.reason}")
    scores = np.array([one.ssim_brain for one in leakage.patients])
    floors = np.array([one.blind_floor for one in leakage.patients])
    single = leakage.reidentification
    return (
        *where,
        f"{leakage.ssim_brain.mean:.3f}",
        f"{leakage.blind_floor:.3f}",
        words(paired(scores, floors)),
        f"{single.top1:.2f} (chance {single.chance:.2f})",
        str(cell.state),
    )


def words(interval: Interval) -> str:
    """A difference with its sign."""
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


if __name__ == "__main__":
    main()
