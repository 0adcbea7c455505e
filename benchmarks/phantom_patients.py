"""How long the simulated patients of the default audit take on one core.

Run: python benchmarks/phantom_patients.py
"""

import time

import torch

from leakaudit.data import phantom_cohort

torch.set_num_threads(1)
started = time.process_time()
cohort = phantom_cohort(patients=40, slices=8, size=96)
seconds = time.process_time() - started
print(f"{len(cohort.patients)} patients x 8 slices at 96 x 96: {seconds:.1f} s of processor time")
