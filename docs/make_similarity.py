"""Makes leakaudit/report/pictures/similarity.json: one simulated patient, blurred step by step.

python docs/make_similarity.py

The report shows with it how alike two images of a given SSIM are. The patient is the first of
leakaudit's own phantoms and nobody's. Every SSIM in the file is measured by `ssim_brain`.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import leakaudit.report.pictures.similarity as similarity
from leakaudit.data.phantoms.cohort import phantom_cohort
from leakaudit.measure.fidelity import ssim_brain

SIGMAS = (0.0, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0)
SIZE, MIDDLE, FLAIR = 96, 2, 2


def measured(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """SSIM inside the brain of a picture, where the original is not black, in [-1, 1]."""
    one, other = (each[None, None].astype(np.float64) / 255 for each in (picture, original))
    return float(ssim_brain(one, other, original[None] > 0)[0])


def main() -> None:
    """Write the file."""
    patient = phantom_cohort(patients=1, slices=6, size=SIZE, seed=0).patients[0]
    image = np.asarray(patient.images[MIDDLE, FLAIR], dtype=np.float64)
    blurred = [gaussian_filter(image, sigma) if sigma else image for sigma in SIGMAS]
    blurred.append(np.zeros_like(image))  # a figure near 0 is fainter than any blur
    frames: NDArray[np.uint8] = np.rint(np.clip(blurred, 0, 1) * 255).astype(np.uint8)
    count = (len(frames) - 1) * similarity.STEPS + 1
    written: dict[str, Any] = {
        "frames": base64.b64encode(zlib.compress(frames.tobytes(), 9)).decode("ascii"),
        "measured": [
            round(measured(similarity.mixed(frames, step), frames[0]), 4) for step in range(count)
        ],
        "size": SIZE,
    }
    path = Path(similarity.__file__).with_name("similarity.json")
    path.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes, SSIM 1 to {written['measured'][-1]}")


if __name__ == "__main__":
    main()
