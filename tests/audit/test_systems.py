"""What a network is worth is never made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from leakaudit.audit.systems import utility_of
from leakaudit.config import PluginUse, expand
from leakaudit.data import phantom_cohort
from leakaudit.errors import CellError
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.threat.observing import System

SPEC = SplitUNetSpec(channels=(4,), cut_level=0, shared_skips=(), features=(4, 4, 4, 4, 4, 4))


def spoil(network: SplitUNet) -> None:
    with torch.no_grad():
        next(network.server.parameters()).fill_(torch.nan)


@pytest.mark.parametrize(
    ("change", "fails"), [(spoil, True), (lambda network: None, False)], ids=["NaN", "finite"]
)
def test_a_network_whose_output_is_not_finite_has_no_dice(
    change: Callable[[SplitUNet], object], fails: bool
) -> None:
    network = build(SPEC, 0).eval()
    change(network)
    system = System(
        network=network,
        initial=build(SPEC, 0).eval(),
        defense=expand("defense", PluginUse(name="identity"))[0][1],
        seed=0,
        device=torch.device("cpu"),
    )
    patients = phantom_cohort(patients=4, slices=2, size=32, seed=0, spatial_dims=2).patients
    if fails:
        with pytest.raises(CellError, match="not finite"):
            utility_of(system, patients)
    else:
        assert utility_of(system, patients).mean.n == 4
