"""`leakaudit plan`: what a run would do, without training anything."""

from __future__ import annotations

from leakaudit.audit.estimate import estimate_minutes
from leakaudit.audit.runner import plan_audit
from leakaudit.cli.arguments import PolicyFile
from leakaudit.cli.cautions import caution_line, print_cautions
from leakaudit.cli.lines import print_line
from leakaudit.cli.sources import (
    DEFAULT_RUNS,
    AuditFile,
    DataFolder,
    RunsFolder,
    cache_folder,
    read_config,
)
from leakaudit.cli.sweeps import sweep_labels
from leakaudit.report.formatting import epochs_words

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
) -> int:
    """Show the patients, trainings, cells and controls of an audit, and a rough estimate."""
    made = plan_audit(read_config(audit, data, policy), cache=cache_folder(out))
    print_cautions(made, with_data=False)
    splits, matrix = made.splits, made.matrix
    print_line(
        f"patients: {len(made.cohort.patients)} ({made.cohort.name}): {len(splits.train)} train, "
        f"{len(splits.validation)} validation, {len(splits.auxiliary)} auxiliary, "
        f"{len(splits.victims)} victims"
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
    print_line(f"\ntrainings: {len(matrix.targets)}, cells: {len(matrix.cells)}")
    labels = sweep_labels(repr(cell.attack) for cell in matrix.cells)
    for target in matrix.targets:
        print_line(f"\n{target.label}{_CONTROL if target.control_only else ''}")
        for cell in (one for one in matrix.cells if one.target.key == target.key):
            kind = _CONTROL if cell.control_only else ""
            if cell.disguise is not None:
                kind = f" (control under a disguise: {cell.disguise.words})"
            if cell.missing:
                kind = f" (unsupported: {cell.threat.name} lacks {', '.join(sorted(cell.missing))})"
            name = f"{cell.attack_name} {labels[repr(cell.attack)]}".strip()
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


def minutes_words(minutes: float) -> str:
    """An estimate that nobody takes for exact: ``about 12 minutes``."""
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes:.0f} minute{'' if round(minutes) == 1 else 's'}"
