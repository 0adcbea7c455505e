"""Run mutation testing over a part of leakaudit in a copy of this checkout.

    .venv/bin/python -m tests.mutants                     # measure, policy, privacy: the verdict
    .venv/bin/python -m tests.mutants contracts           # one of PARTS
    .venv/bin/python -m tests.mutants threat --sample 200 --seed 0

It prints the share of changes that the tests notice and the name of each that they do not. The copy
is kept with --keep FOLDER, where `mutmut show NAME` prints a change. --again runs in it what was
changed since, and what was not caught, with the tests as they are now.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

# What is changed, and the tests that must notice. The first part is that of pyproject.toml.
PARTS: dict[str, tuple[list[str], list[str]] | None] = {
    "verdict": None,
    "contracts": (
        ["leakaudit/contracts/*"],
        [
            f"tests/plugins/test_{name}.py"
            for name in (
                "contracts",
                "attack_contracts",
                "attempts",
                "stacks",
                "keys",
                "measured",
                "readings",
            )
        ],
    ),
    "matrix": (
        ["leakaudit/audit/planning/matrix.py"],
        ["tests/audit/test_matrix.py", "tests/audit/test_folded_plans.py"],
    ),
    "threat": (["leakaudit/threat/*"], ["tests/threat"]),
}
STATISTICS = "mutmut-stats.json"
_CAUGHT = ("killed", "timeout", "caught by type check", "segfault")
_MISSED = ("survived", "no tests", "suspicious")


def copied(to: Path) -> None:
    """Copy what git tracks or would, as it is now."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if Path(name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, to / name)


def configured(folder: Path, part: str) -> None:
    """Let mutmut change this part and run its tests."""
    chosen = PARTS[part]
    if chosen is None:
        return
    changed, tests = chosen
    values = {
        "only_mutate": changed,
        "pytest_add_cli_args_test_selection": [*tests, "-m", "not slow"],
    }
    file = folder / "pyproject.toml"
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines):
        key = line.split(" =")[0]
        if key in values:
            lines[number] = f"{key} = {json.dumps(values[key])}"
    file.write_text("\n".join(lines) + "\n")


def mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mutmut there, its output passed on unless it is asked for results."""
    quiet = arguments[0] == "results"
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE if quiet else None,
        text=True,
    )


def results(folder: Path) -> dict[str, str]:
    """How each mutant ended."""
    lines = mutmut(folder, "results", "--all", "true").stdout.splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if "__mutmut_" in line)


def sampled(folder: Path, count: int, seed: int) -> list[str]:
    """Run what is left to run of a random sample; its names."""
    mutmut(folder, "run", "--max-children", "1", "none of them: makes mutants, times tests")
    ended = results(folder)
    chosen = sorted(random.Random(seed).sample(sorted(ended), min(count, len(ended))))
    run_named(folder, [name for name in chosen if ended[name] == "not checked"])
    return chosen


def run_again(folder: Path) -> None:
    """Run what was changed since, and what was not caught before."""
    (folder / "mutants" / STATISTICS).unlink(missing_ok=True)
    mutmut(folder, "run", "--max-children", "1")
    run_named(folder, [name for name, how in results(folder).items() if how in _MISSED])


def run_named(folder: Path, names: list[str]) -> None:
    """Run those that some test reaches."""
    times = json.loads((folder / "mutants" / STATISTICS).read_text())
    tested = times["tests_by_mangled_function_name"]
    reached = [name for name in names if tested.get(name.rsplit("__mutmut_", 1)[0])]
    if reached:
        mutmut(folder, "run", "--max-children", "1", *reached)


def reported(ended: dict[str, str]) -> None:
    """Print the share of each package and each mutant that was not caught."""
    by_package: dict[str, Counter[str]] = {}
    for name, how in ended.items():
        package = name if name.count(".") < 2 else ".".join(name.split(".")[:2])
        by_package.setdefault(package, Counter())[how] += 1
    for package, count in sorted(by_package.items()):
        caught = sum(count[how] for how in _CAUGHT)
        of = caught + sum(count[how] for how in _MISSED)
        details = ", ".join(f"{count[how]} {how}" for how in sorted(count))
        share = 100 * caught / of if of else 0.0
        print(f"{package}: {caught} of {of} caught, {share:.1f} % ({details})")
    for name, how in sorted(ended.items()):
        if how in _MISSED:
            print(f"  {name}: {how}")


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", choices=PARTS, nargs="?", default="verdict")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--keep", type=Path, help="the folder for the copy")
    parser.add_argument("--again", action="store_true", help="what was not caught in that folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        copied(folder)
        configured(folder, given.part)
        if given.sample is not None:
            chosen = sampled(folder, given.sample, given.seed)
            ended = results(folder)
            # All that a test reaches was run.
            left = {"not checked": "no tests"}
            reported({name: left.get(ended[name], ended[name]) for name in chosen})
            return
        if given.again:
            run_again(folder)
        else:
            mutmut(folder, "run", "--max-children", "1")
        reported(results(folder))


if __name__ == "__main__":
    main()
