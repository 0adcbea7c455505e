"""Imported once by the server that jobs are forked from: what is slow to import."""

import monai.losses  # noqa: F401
import monai.networks.nets.basic_unet
import skimage.metrics
import torch  # noqa: F401

import leakaudit.audit.jobs
