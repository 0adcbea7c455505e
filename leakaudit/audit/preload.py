"""Imported once by the server that jobs are forked from: what is slow to import."""

import torch  # noqa: F401
