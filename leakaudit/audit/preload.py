"""Imported once by the server that jobs are forked from: what is slow to import."""

import torch._dynamo  # noqa: F401  (the first optimizer imports it: two seconds in every job)

import leakaudit.audit.jobs  # noqa: F401  (torch and MONAI with it)
