"""Check that a wheel or sdist carries what runs without the checkout, and no patient's data."""

import sys
import tarfile
import zipfile
from pathlib import Path

NEEDED = (
    "leakaudit/quick.yaml",
    "leakaudit/py.typed",
    "leakaudit/report/disguises.json",
    "leakaudit/report/page/papers.bib",
    "leakaudit/report/pictures/similarity.json",
    "leakaudit_attacks/activation_inversion.py",
    "leakaudit_attacks/papers.bib",
    "leakaudit_defenses/dp_gaussian.py",
    "leakaudit_defenses/papers.bib",
    "leakaudit_templates/report.html.j2",
    "leakaudit_templates/report.css",
)
DATA = (".nii", ".nii.gz", ".npz", ".npy", ".safetensors", ".h5", ".png")


def check(path: Path) -> str:
    """Return one line that says the archive is complete; exit with the faults if it is not."""
    if path.suffix == ".whl":
        names = zipfile.ZipFile(path).namelist()
        stray = [name for name in names if name.startswith("tests/")]
    else:
        with tarfile.open(path) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        stray = []
    missing = [name for name in NEEDED if not any(found.endswith(name) for found in names)]
    stray += [name for name in names if name.endswith(DATA)]
    if missing or stray:
        sys.exit(f"{path.name}: missing {missing}, must not carry {stray}")
    return f"{path.name}: {len(names)} files, complete, no data"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(check(Path(argument)))
