"""Make a release from a clean checkout, without a network.

    python .ci/release.py 0.3.0

The lines under "Unreleased" in CHANGELOG.md get the version and today's date, pyproject.toml gets
the version, and a wheel and an sdist are built into dist/ and checked.  The commands that commit
and tag are printed, not run.  If anything fails, CHANGELOG.md and pyproject.toml are as before.
"""

import datetime
import re
import subprocess
import sys
from pathlib import Path

from check_wheel import check

ROOT = Path(__file__).resolve().parents[1]
GROUPS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def main(version: str) -> None:
    """Release `version`, or exit with one line that says why not."""
    require_clean()
    changelog, project = ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"
    before = {path: path.read_text() for path in (changelog, project)}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    after = {
        changelog: released(before[changelog], version, today),
        project: numbered(before[project], version),
    }
    try:
        for path, text in after.items():
            path.write_text(text)
        for archive in built():
            print(check(archive))
    except BaseException:
        for path, text in before.items():
            path.write_text(text)
        raise
    print(f"Next:\n  git commit -am 'Release {version}'")
    print(f"  git tag -a v{version} -m 'leakaudit {version}'")


def require_clean() -> None:
    """Exit if the checkout has changes, since they would be in the archives and in no commit."""
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    if status:
        sys.exit(f"the checkout has changes; commit or remove them first:\n{status}")


def released(changelog: str, version: str, date: str) -> str:
    """Move the lines of "Unreleased" under `version`; groups without a line are left out."""
    if f"\n## {version} " in changelog:
        sys.exit(f"CHANGELOG.md has a section {version} already")
    head, mark, rest = changelog.partition("## Unreleased\n")
    if not mark:
        sys.exit('CHANGELOG.md has no section "Unreleased"')
    lines, _, older = rest.partition("\n## ")
    groups = re.findall(r"### (\w+)\n(.*?)(?=\n### |\Z)", lines, flags=re.DOTALL)
    if lines.partition("### ")[0].strip():
        sys.exit("CHANGELOG.md: a line under Unreleased stands in no group, such as ### Added")
    unknown = [name for name, _ in groups if name not in GROUPS]
    if unknown:
        sys.exit(f"CHANGELOG.md: groups {unknown} under Unreleased; known are {', '.join(GROUPS)}")
    full = [f"### {name}\n\n{text.strip()}\n" for name, text in groups if text.strip()]
    if not full:
        sys.exit("CHANGELOG.md has no line under Unreleased: there is nothing to release")
    empty = "\n\n".join(f"### {name}" for name in ("Added", "Changed", "Fixed", "Removed"))
    section = "\n".join(full)
    return f"{head}{mark}\n{empty}\n\n## {version} - {date}\n\n{section}\n## {older}"


def numbered(project: str, version: str) -> str:
    """Set the version of pyproject.toml; it must be later than the one that is there."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"{version}: a version is three numbers, such as 0.3.0")
    found = re.search(r'^version = "(.+)"$', project, flags=re.MULTILINE)
    if found is None:
        sys.exit("pyproject.toml has no version")
    if parts(version) <= parts(found[1]):
        sys.exit(f"{version} is not later than {found[1]}")
    return f'{project[: found.start()]}version = "{version}"{project[found.end() :]}'


def parts(version: str) -> list[int]:
    """Return the numbers of a version, so that 0.10.0 is later than 0.9.0."""
    return [int(part) for part in version.split(".")]


def built() -> list[Path]:
    """Build sdist and wheel by the installed hatchling and return their paths."""
    dist = ROOT / "dist"
    for old in dist.glob("leakaudit-*"):
        old.unlink()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the build failed:\n{done.stdout}{done.stderr}")
    return sorted(dist.glob("leakaudit-*"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
