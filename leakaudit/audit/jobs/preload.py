"""Imported once by the server that jobs are forked from: what is slow to import."""

import monai.losses
import monai.networks.nets.basic_unet  # noqa: F401  (every network is built of it)
import torch._dynamo  # noqa: F401  (the first optimizer imports it: two seconds in every job)

import leakaudit.audit.jobs.attack_network  # noqa: F401  (torch with it)
