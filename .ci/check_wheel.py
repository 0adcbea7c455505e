"""Check that a wheel carries what runs without the checkout, and nothing that must not leave it."""

import sys
import zipfile

NEEDED = (
    "leakaudit/quick.yaml",
    "leakaudit/py.typed",
    "leakaudit_attacks/activation_inversion.py",
    "leakaudit_defenses/dp_gaussian.py",
    "leakaudit_templates/report.html.j2",
    "leakaudit_templates/report.css",
)
FORBIDDEN = (".nii", ".nii.gz", ".npz", ".npy", ".safetensors", ".h5", ".png")

names = zipfile.ZipFile(sys.argv[1]).namelist()
missing = [name for name in NEEDED if name not in names]
stray = [name for name in names if name.endswith(FORBIDDEN) or name.startswith("tests/")]
if missing or stray:
    sys.exit(f"wheel: missing {missing}, must not carry {stray}")
print(f"wheel: {len(names)} files, complete, no data")
