"""`leakaudit plan`: what a run would do, without training anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.planning.estimate import estimate_minutes
from leakaudit.audit.planning.labels import Labels
from leakaudit.cli.arguments import PolicyFile
from leakaudit.cli.printing.cautions import caution_line, print_cautions
from leakaudit.cli.printing.messages import print_line
from leakaudit.cli.printing.reading import ReadingLines
from leakaudit.cli.sources import (
    DEFAULT_RUNS,
    AuditFile,
    Cached,
    DataFolder,
    RunsFolder,
    cache_folder,
    read_config,
)
from leakaudit.report.text.formatting import epochs_words

_CONTROL = " (positive control)"
_NOTHING_PASSES = (
    "No setting can PASS with an open grave caution; a policy accepts it under accepts, by its "
    "kind and with a reason."
)


def plan(
    audit: AuditFile = None,
    data: DataFolder = None,
    policy: PolicyFile = None,
    out: RunsFolder = DEFAULT_RUNS,
    cache: Cached = True,
) -> int:
    """Show the patients, trainings, cells and controls of an audit, and a rough estimate."""
    made = plan_audit(
        read_config(audit, data, policy),
        cache=cache_folder(out, is_wanted=cache),
        told=ReadingLines(),
    )
    print_cautions(made, with_data=False)
    folds, matrix = made.folds, made.matrix
    print_line(
        f"patients: {len(made.cohort.patients)} ({made.cohort.name}): "
        + ", ".join(
            f"{_sizes(getattr(one, part) for one in folds)} {part}"
            for part in ("train", "validation", "auxiliary", "victims")
        )
    )
    images, cut_off = made.config.data, made.cohort.cut_off
    if images.kind == "folder":
        crop = images.crop or 2 * images.size
        lost = f"; it cuts off up to {cut_off:.1%} of what a scan shows" if cut_off else ""
        print_line(f"images: centre crop of {crop} voxels, area mean to {images.size}{lost}")
        print_line(f"labels: {made.cohort.labels}")
        if made.cohort.excluded:
            print_line(f"excluded: {', '.join(made.cohort.excluded)}")
    for caution in made.cohort.cautions:
        print_line(caution_line(caution))
    if any(caution.grave for caution in made.cohort.cautions):
        print_line(_NOTHING_PASSES)
    if matrix.folds > 1:
        print_line(
            f"folds: {matrix.folds}; everybody is a victim in one of them, so that figures are "
            "over all patients; each fold has its own trainings and attacks"
        )
    of_each = [f" ({matrix.folds} x {len(each)})" for each in (matrix.settings, matrix.attacks)]
    of_each = of_each if matrix.folds > 1 else ["", ""]
    print_line(
        f"\ntrainings: {len(matrix.targets)}{of_each[0]}, cells: {len(matrix.cells)}{of_each[1]}"
    )
    labels = Labels(matrix)
    for target, *_ in matrix.settings:
        kind = _CONTROL if target.control_only else ""
        print_line(f"\ntrain {labels.setting(target)}{kind}")
        for cell in (one for one in matrix.cells if one.target.key == target.key):
            kind = _CONTROL if cell.control_only else ""
            if cell.disguise is not None:
                kind = f" (control under a disguise: {cell.disguise.words})"
            if cell.missing:
                kind = f" (unsupported: {cell.threat.name} lacks {', '.join(sorted(cell.missing))})"
            name = f"{cell.attack_name} {labels.parameters(cell)}".strip()
            held = f" with {cell.held}" if cell.held else ""
            seen = [
                f"batch {cell.gradient_batch}" if cell.gradient_batch else "",
                f"rounds of {cell.round_steps} steps" if cell.round_steps else "",
                epochs_words(cell.gradient_checkpoints),
            ]
            parts = [f"  {name} under {cell.threat.name}{held}", *filter(None, seen)]
            print_line(f"{', '.join(parts)}{kind}")
    minutes = estimate_minutes(made)
    print_line(
        f"\nestimate: {minutes_words(minutes)}, from one training step and one release timed here; "
        "attacks are estimated by their iterations"
    )
    return 0


def _sizes(parts: Iterable[Sequence[str]]) -> str:
    """``5``, or ``4 to 5`` where folds differ."""
    counts = sorted({len(part) for part in parts})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def minutes_words(minutes: float) -> str:
    """An estimate that nobody takes for exact: ``about 12 minutes``."""
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes:.0f} minute{'' if round(minutes) == 1 else 's'}"
