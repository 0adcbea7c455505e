from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leakaudit.errors import ConfigError
from leakaudit.privacy.accounting import prv_epsilon, rdp_epsilon, sensitivity
from leakaudit.privacy.gaussian import epsilon, noise_multiplier

SETTINGS = [(1.0, 1, 4.73), (4.0, 50, 9.23), (10.0, 100, 4.73)]


@pytest.mark.parametrize(("z", "releases", "rdp"), SETTINGS)
def test_the_accountants_of_opacus_confirm_the_exact_curve(
    z: float, releases: int, rdp: float
) -> None:
    exact = epsilon(z, releases, 1e-5)
    assert exact <= prv_epsilon(z, releases, 1e-5) <= exact + 0.02
    found = rdp_epsilon(z, releases, 1e-5)
    assert exact <= found <= 1.10 * exact
    assert found == pytest.approx(rdp, abs=0.01)


@pytest.mark.parametrize("releases", [1, 3, 50, 155])
@pytest.mark.parametrize("target", [0.75, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 118.8])
@pytest.mark.parametrize("delta", [1e-5, 1e-6])
def test_the_accountants_confirm_the_exact_curve_on_a_grid(
    target: float, releases: int, delta: float
) -> None:
    z = noise_multiplier(target, delta, releases)
    assert target <= prv_epsilon(z, releases, delta) <= target + 0.02
    assert target <= rdp_epsilon(z, releases, delta) <= 1.10 * target


@pytest.mark.parametrize(("releases", "total"), [(50, 118.8), (155, 302.7)])
def test_releases_that_are_made_for_epsilon_8_one_by_one(releases: int, total: float) -> None:
    z = noise_multiplier(8.0, 1e-5, 1)
    exact = epsilon(z, releases, 1e-5)
    assert exact == pytest.approx(total, abs=0.1)
    assert exact <= prv_epsilon(z, releases, 1e-5) <= exact + 0.02
    assert exact <= rdp_epsilon(z, releases, 1e-5) <= 1.10 * exact


@pytest.mark.parametrize(("z", "releases"), [(0.01, 1), (10.0, 201), (1.0, 10_000)])
def test_prv_is_refused_where_its_arithmetic_does_not_hold(z: float, releases: int) -> None:
    message = rf"^epsilon is [\d.e+]+ after {releases} releases; the PRV accountant is used up to "
    with pytest.raises(ConfigError, match=message + "310 and 200, use the exact curve$"):
        prv_epsilon(z, releases, 1e-5)
    assert rdp_epsilon(z, releases, 1e-5) >= epsilon(z, releases, 1e-5)


def test_prv_is_used_up_to_its_limits() -> None:
    exact = epsilon(10.0, 200, 1e-5)
    assert exact <= prv_epsilon(10.0, 200, 1e-5) <= exact + 0.02
    exact = epsilon(0.055, 1, 1e-12)
    assert 290 < exact < 310
    assert exact <= prv_epsilon(0.055, 1, 1e-12) <= exact + 0.02


def test_much_noise_does_not_warn() -> None:
    # The best Renyi order is the largest one tried; the bound holds, it is only loose.
    assert rdp_epsilon(100.0, 1, 1e-5) >= epsilon(100.0, 1, 1e-5)


def test_opacus_and_torch_are_not_loaded_by_the_import() -> None:
    code = (
        "import sys, leakaudit.privacy.accounting, leakaudit.privacy.gaussian; "
        "print(sorted({'opacus', 'torch', 'monai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(deadline=None)
@given(st.floats(0.01, 100), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_replacing_a_record_never_moves_the_release_further_than_the_sensitivity(
    clip: float, sites: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bound = sensitivity(clip, sites)

    def clipped() -> NDArray[np.float64]:
        vectors = rng.normal(0, clip, (sites, 4))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors * np.minimum(1, clip / norms))

    assert np.linalg.norm(clipped() - clipped()) <= bound * (1 + 1e-12)
    # And it is reached, by a record whose vector is the opposite at every site.
    edge = np.zeros((sites, 4))
    edge[:, 0] = clip
    assert np.linalg.norm(edge - (-edge)) == pytest.approx(bound)


def test_sensitivity_by_hand() -> None:
    assert sensitivity(1.5, 4) == 6.0
    assert sensitivity(1.0, 2) == pytest.approx(2 * math.sqrt(2))


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_clip_out_of_range(clip: float) -> None:
    with pytest.raises(ConfigError, match="clip is"):
        sensitivity(clip, 2)


def test_refuses_no_site() -> None:
    with pytest.raises(ConfigError, match="sites is 0"):
        sensitivity(1.0, 0)
