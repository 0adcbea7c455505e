from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from scipy.stats import norm

from leakaudit.contracts import Defense, ReleaseSetting
from leakaudit.errors import ConfigError
from leakaudit.randomness import generator_for
from leakaudit.registry import usable
from leakaudit.testing import check_defense
from leakaudit.types import Levels
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.cut_gradient_noise import CutGradientNoise
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.dp_sgd import DpSgd
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK

BUILT_IN = {
    plugin.name: plugin.cls for plugin in usable("defense")[0] if plugin.distribution == "leakaudit"
}


def levels_of(batch: int = 2, scale: float = 1.0, seed: int = 0) -> Levels:
    generator = generator_for(seed, "levels")
    return tuple(
        scale * torch.randn(batch, channels, extent, extent, generator=generator)
        for channels, extent in ((4, 64), (8, 32))
    )


def setting(sites: int = 2, releases: int = 3, levels: Levels | None = None) -> ReleaseSetting:
    levels = levels_of() if levels is None else levels
    return ReleaseSetting(
        sites=sites, releases_per_patient=releases, auxiliary_levels=(levels,) * sites
    )


def released(defense: Defense, levels: Levels, seed: int = 0) -> Levels:
    return defense.release(levels, generator=generator_for(seed, "release"))


# --- every defense --------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_documentation_names_every_defense_and_its_parameters(name: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/defenses.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    parameters = [one.name for one in fields(BUILT_IN[name]) if not one.metadata.get("fitted")]
    assert all(f"`{parameter}`" in row for parameter in parameters), parameters


@pytest.mark.parametrize("cls", BUILT_IN.values(), ids=BUILT_IN)
@pytest.mark.parametrize(("sites", "extents"), [(1, (16, 16)), (4, (8, 8))], ids=[1, 4])
def test_every_defense_keeps_its_contract(
    cls: Callable[[], Defense], sites: int, extents: tuple[int, ...]
) -> None:
    check_defense(cls(), sites=sites, spatial=extents)


@pytest.mark.parametrize(
    "defense",
    [
        GaussianNoise(std=0.0),
        GaussianNoise(std=0.0, relative=True),
        GaussianNoise(std=3.0, relative=True),
        GaussianNoise(std=1e12),
        LaplaceNoise(scale=0.0),
        LaplaceNoise(scale=3.0, relative=True),
        ActivationDropout(p=0.0),
        ActivationDropout(p=0.99),
        ActivationDropout(p=0.0, unit="channel"),
        ActivationDropout(p=0.5, unit="channel"),
        TopK(keep=1e-6),
        TopK(keep=1.0),
        Quantization(bits=1),
        Quantization(bits=16),
        Quantization(bits=None),
        DpGaussian(epsilon=math.inf),
        CutGradientNoise(std=0.0, clip=0.1),
        DpSgd(epsilon=math.inf, clip=0.1),
        DpGaussian(clip=1e-3),
        DpGaussian(clip=1e6, scope="training"),
    ],
    ids=repr,
)
def test_the_contract_holds_at_the_ends_of_the_range(defense: Defense) -> None:
    check_defense(defense)


@pytest.mark.parametrize(
    "defense",
    [
        *(cls() for cls in BUILT_IN.values()),
        GaussianNoise(relative=True),
        LaplaceNoise(relative=True),
        ActivationDropout(unit="channel"),
    ],
    ids=repr,
)
def test_the_levels_of_a_blank_image_have_a_finite_gradient(defense: Defense) -> None:
    defense = defense.fit(setting())
    blank = tuple(torch.zeros_like(level).requires_grad_() for level in levels_of())
    total = torch.stack([level.sum() for level in released(defense, blank)]).sum()
    for gradient in torch.autograd.grad(total, blank):
        assert gradient.isfinite().all()


# Every kind of noise, mask and rounding once.
SAYING: list[Defense] = [
    Identity(),
    GaussianNoise(std=0.5),
    GaussianNoise(std=2.0, relative=True),
    LaplaceNoise(scale=0.5),
    LaplaceNoise(scale=2.0, relative=True),
    ActivationDropout(p=0.3),
    ActivationDropout(p=0.3, unit="channel"),
    TopK(keep=0.3),
    Quantization(bits=1),
    Quantization(bits=4),
    Quantization(bits=None),
    DpGaussian(clip=20.0),
]


@pytest.mark.parametrize("defense", SAYING, ids=repr)
def test_the_error_of_the_evidence_is_the_stated_one(defense: Defense) -> None:
    generator = generator_for(0, "uniform")
    # Evenly spread, as top-k and quantization assume; some samples five times the others.
    levels = tuple(
        (2 * torch.rand(level.shape, generator=generator) - 1)
        * torch.tensor([1.0, 5.0]).repeat(4).view(8, 1, 1, 1)
        for level in levels_of(batch=8)
    )
    fitted = defense.fit(setting(levels=levels))
    evidence = fitted.evidence(released(fitted, levels))
    told, shares = 0, [torch.empty(0, dtype=torch.float64)]
    for value, variance, wanted in zip(
        evidence.values, evidence.variances, fitted.expected(levels), strict=True
    ):
        squares, stated = (value - wanted).double().square(), variance.double()
        exact, noisy = stated == 0, (stated > 0) & stated.isfinite()
        assert bool((squares[exact] < 1e-10).all()), "what is called exact is not"
        told += int(exact.sum() + noisy.sum())
        shares.append(squares[noisy] / stated[noisy])
    share = torch.cat(shares)
    if share.numel():
        sampling = float(share.std()) / math.sqrt(share.numel())
        assert float(share.mean()) == pytest.approx(1, abs=5 * sampling)
    total = sum(level.numel() for level in levels)
    assert told == total if not isinstance(defense, ActivationDropout) else 0 < told < total


@pytest.mark.parametrize("cls", BUILT_IN.values(), ids=BUILT_IN)
def test_what_is_off_is_told_to_be_exact(cls: Callable[[], Defense]) -> None:
    defense, levels = cls(), levels_of()
    assert defense.off is not None
    fitted = replace(defense, **defense.off).fit(setting())  # type: ignore[type-var]
    sent = released(fitted, levels)
    assert all(map(torch.equal, sent, levels))
    evidence = fitted.evidence(sent)
    assert all(map(torch.equal, evidence.values, levels))
    assert not any(bool(variance.any()) for variance in evidence.variances)


# --- identity and noise ---------------------------------------------------------------------


def test_identity_releases_the_levels_themselves() -> None:
    levels = levels_of()
    assert all(map(torch.equal, released(Identity(), levels), levels))
    assert Identity().guarantee(1, reproducible=False) is None


def test_gaussian_noise_has_the_stated_standard_deviation_and_no_mean() -> None:
    levels = levels_of(scale=5.0)
    for std in (0.1, 3.0):
        for after, before in zip(released(GaussianNoise(std=std), levels), levels, strict=True):
            noise = after - before
            # Of n values the estimate of the deviation varies by 1/sqrt(2 n): 5 of these.
            tolerance = 5 / math.sqrt(2 * noise.numel())
            assert float(noise.std()) == pytest.approx(std, rel=tolerance)
            assert abs(float(noise.mean())) < 5 * std / math.sqrt(noise.numel())


def test_gaussian_noise_states_its_variance_as_evidence() -> None:
    evidence = GaussianNoise(std=3.0).evidence(levels_of())
    assert all(bool((variance == 9).all()) for variance in evidence.variances)


@pytest.mark.parametrize(
    ("defense", "deviation"),
    [
        (GaussianNoise(std=0.5, relative=True), 0.5),
        (LaplaceNoise(scale=0.5, relative=True), 0.5 * math.sqrt(2)),
    ],
    ids=repr,
)
def test_relative_noise_grows_with_each_sample_s_own_level(
    defense: Defense, deviation: float
) -> None:
    levels = tuple(1 + level * torch.tensor([1.0, 50.0]).view(2, 1, 1, 1) for level in levels_of())
    for after, before in zip(released(defense, levels), levels, strict=True):
        for sample in range(2):
            noise = (after - before)[sample]
            share = float(noise.std() / before[sample].std())
            assert share == pytest.approx(deviation, rel=10 / math.sqrt(2 * noise.numel()))


def test_laplace_noise_has_the_stated_variance_and_the_tails_of_laplace() -> None:
    levels, scale = levels_of(batch=8), 3.0
    for after, before in zip(released(LaplaceNoise(scale=scale), levels), levels, strict=True):
        noise = (after - before).double()
        root = math.sqrt(noise.numel())
        assert abs(float(noise.mean())) < 5 * math.sqrt(2) * scale / root
        # The squares vary by sqrt(5) of their mean, the magnitudes by their mean. Gaussian noise
        # of the same variance has magnitudes of 1.13 b.
        assert float(noise.square().mean()) == pytest.approx(
            2 * scale**2, rel=5 * math.sqrt(5) / root
        )
        assert float(noise.abs().mean()) == pytest.approx(scale, rel=5 / root)
        far = float((noise > 3 * scale).double().mean())
        assert far == pytest.approx(math.exp(-3) / 2, rel=0.1)


# --- dropout --------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.99])
def test_dropout_drops_the_stated_share_and_keeps_the_mean(p: float) -> None:
    ones = tuple(torch.ones_like(level) for level in levels_of())
    for level in released(ActivationDropout(p=p), ones):
        deviation = math.sqrt(p * (1 - p) / level.numel())
        assert float((level == 0).float().mean()) == pytest.approx(p, abs=5 * deviation)
        kept = level[level != 0]
        assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - p)))


def test_dropout_evidence_is_exact_for_what_was_kept_and_void_for_the_rest() -> None:
    levels, defense = levels_of(), ActivationDropout(p=0.5)
    sent = released(defense, levels)
    evidence = defense.evidence(sent)
    for before, after, value, variance in zip(
        levels, sent, evidence.values, evidence.variances, strict=True
    ):
        kept = after != 0
        torch.testing.assert_close(value[kept], before[kept])
        assert (variance[kept] == 0).all()
        assert variance[~kept].isinf().all()


def test_a_dropped_channel_is_all_zero_and_others_are_whole() -> None:
    defense = ActivationDropout(p=0.4, unit="channel")
    levels = levels_of(batch=64)
    levels[0][:, :, :5] = 0  # zeros of a kept channel are told from a dropped one
    dropped = []
    sent = released(defense, levels)
    evidence = defense.evidence(sent)
    for after, before, variance in zip(sent, levels, evidence.variances, strict=True):
        gone = (after == 0).flatten(2).all(dim=2)
        kept = ~gone
        torch.testing.assert_close(after[kept], before[kept] / 0.6)
        assert variance[gone].isinf().all()
        assert not variance[kept].any()
        assert not torch.equal(gone[0], gone[1]) or not torch.equal(gone[1], gone[2])
        dropped.append(gone.flatten().double())
    share = torch.cat(dropped)
    deviation = math.sqrt(0.4 * 0.6 / share.numel())
    assert float(share.mean()) == pytest.approx(0.4, abs=5 * deviation)


# --- the largest, and rounding --------------------------------------------------------------


@pytest.mark.parametrize("keep", [1e-6, 0.05, 0.5, 1.0])
def test_top_k_keeps_the_stated_share_of_each_sample_unchanged(keep: float) -> None:
    levels = tuple(level * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1) for level in levels_of())
    for after, before in zip(released(TopK(keep=keep), levels), levels, strict=True):
        for sample in range(2):
            kept = after[sample] != 0
            assert int(kept.sum()) == max(1, round(keep * kept.numel()))
            assert torch.equal(after[sample][kept], before[sample][kept])
            if not kept.all():
                least = before[sample][kept].abs().min()
                assert float(before[sample][~kept].abs().max()) < float(least)


def test_of_equal_magnitudes_top_k_keeps_the_first() -> None:
    level = torch.tensor([1.0, -2.0, 2.0, -2.0, 2.0, 3.0, 0.0, 0.0]).view(1, 2, 2, 2)
    wanted = torch.tensor([0.0, -2.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0]).view(1, 2, 2, 2)
    assert torch.equal(released(TopK(keep=3 / 8), (level,))[0], wanted)


def test_zeros_are_known_where_fewer_values_than_were_to_be_kept_are_not_zero() -> None:
    defense = TopK(keep=0.5)
    few = torch.tensor([3.0, 0, 0, 0, 0, 0, 0, -1]).view(1, 2, 2, 2)
    many = torch.tensor([3.0, 2, 0.5, 0, 0, 4, 0.1, -1]).view(1, 2, 2, 2)
    for level, wanted in ((few, 0.0), (many, 1 / 3), (torch.zeros_like(few), 0.0)):
        (sent,) = released(defense, (level,))
        (variance,) = defense.evidence((sent,)).variances
        torch.testing.assert_close(variance[sent == 0], torch.full_like(level, wanted)[sent == 0])
        assert not variance[sent != 0].any()


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_quantization_leaves_as_many_values_as_its_bits_give(bits: int) -> None:
    levels = tuple(level * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1) for level in levels_of())
    for after, before in zip(released(Quantization(bits=bits), levels), levels, strict=True):
        for sent, level in zip(after, before, strict=True):
            values = sent.unique()
            # At 8 bits some value near the ends of a bell curve may be nobody's.
            least = 2**bits if bits < 8 else 200
            assert least <= len(values) <= 2**bits
            torch.testing.assert_close(values[[0, -1]], torch.stack([level.min(), level.max()]))
            step = float(level.max() - level.min()) / (2**bits - 1)
            assert float((sent - level).abs().max()) <= step / 2 * (1 + 1e-4)


def test_a_constant_level_has_nothing_to_round() -> None:
    levels = tuple(torch.full_like(level, 0.3).requires_grad_() for level in levels_of())
    defense = Quantization(bits=3)
    sent = released(defense, levels)
    assert all(map(torch.equal, sent, levels))
    assert not any(bool(variance.any()) for variance in defense.evidence(sent).variances)


# --- the Gaussian mechanism -----------------------------------------------------------------


def exact_delta(epsilon: float, z: float, releases: int) -> float:
    """Balle and Wang 2018, theorem 8, written from the paper for T releases."""
    mu = math.sqrt(releases) / z
    tail = norm.cdf(-mu / 2 - epsilon / mu)
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * tail)


@pytest.mark.parametrize("sites", [1, 2, 4])
@pytest.mark.parametrize("releases", [1, 50])
def test_the_noise_is_the_least_that_gives_epsilon(sites: int, releases: int) -> None:
    clip = 2.0
    fitted = DpGaussian(epsilon=8.0, delta=1e-5, clip=clip).fit(setting(sites, releases))
    assert fitted.noise_std is not None
    z = fitted.noise_std / (2 * clip * math.sqrt(sites))
    assert exact_delta(8.0, z, releases) == pytest.approx(1e-5, rel=1e-4)
    blank = tuple(torch.zeros_like(level) for level in levels_of())
    for level in released(fitted, blank):
        tolerance = 5 / math.sqrt(2 * level.numel())
        assert float(level.std()) == pytest.approx(fitted.noise_std, rel=tolerance)


def test_the_joint_norm_over_the_levels_is_clipped_per_sample() -> None:
    clip = 10.0
    defense = DpGaussian(clip=clip, noise_std=1.0, releases=1)
    levels = tuple(
        level * torch.tensor([1.0, 1e-4]).view(2, 1, 1, 1) for level in levels_of(scale=3.0)
    )
    quiet = tuple(torch.zeros_like(level) for level in levels)
    sent = defense.apply(levels, quiet)
    norms = torch.cat([level.flatten(1) for level in sent], dim=1).norm(dim=1)
    assert float(norms[0]) == pytest.approx(clip, rel=1e-5)
    for after, before in zip(sent, levels, strict=True):
        assert torch.equal(after[1], before[1]), "a sample within the bound is left as it is"
        torch.testing.assert_close(
            after[0] / before[0], (after[0] / before[0])[:1, :1, :1] + 0 * before[0]
        )


def test_the_default_clip_is_the_median_norm_of_the_auxiliary_slices() -> None:
    levels = tuple(
        level * torch.tensor([1.0, 2.0, 50.0]).view(3, 1, 1, 1) for level in levels_of(batch=3)
    )
    fitted = DpGaussian().fit(setting(levels=levels))
    norms = torch.cat([level.flatten(1) for level in levels], dim=1).norm(dim=1)
    assert fitted.clip == pytest.approx(float(norms[1]), rel=1e-5)
    assert (
        repr(DpGaussian()) == "DpGaussian(epsilon=8.0, delta=1e-05, scope='inference', clip=None)"
    )


def test_nothing_is_released_before_the_noise_is_fixed() -> None:
    for defense in (DpGaussian(), DpGaussian(clip=1.0)):
        with pytest.raises(ConfigError, match="call fit before release"):
            released(defense, levels_of())


def test_a_claim_needs_secret_noise_the_inference_scope_and_the_releases_of_the_noise() -> None:
    fitted = DpGaussian().fit(setting(releases=3))
    claim = fitted.guarantee(3, reproducible=False)
    assert (claim.claimed, claim.reason) == (True, "")
    assert (claim.epsilon, claim.delta, claim.releases) == (8.0, 1e-5, 3)
    assert len(claim.assumptions) >= 4

    for refused, reason in (
        (fitted.guarantee(3, reproducible=True), "published seed"),
        (fitted.guarantee(4, reproducible=False), "made for 3 releases"),
        (fitted.guarantee(2, reproducible=False), "made for 3 releases"),
        (replace(fitted, scope="training").guarantee(3, reproducible=False), "no DP guarantee"),
        (replace(fitted, scope="training").guarantee(3, reproducible=True), "no DP guarantee"),
    ):
        assert not refused.claimed
        assert reason in refused.reason


def test_a_claim_names_the_curve_and_the_bound_that_an_auditor_needs() -> None:
    fitted = DpGaussian(epsilon=4.0, clip=2.0).fit(setting(sites=4, releases=3))
    claim = fitted.guarantee(3, reproducible=False)
    assert fitted.noise_std is not None
    # Three releases of one patient, each moved by at most 2 C sqrt(S) = 8.
    assert claim.mu is not None
    assert claim.mu == pytest.approx(math.sqrt(3) * 8 / fitted.noise_std)
    assert claim.clip == 2.0
    # What is composed counts, not what the noise was made for.
    more = fitted.guarantee(12, reproducible=False)
    assert more.mu == pytest.approx(2 * claim.mu)


def test_an_infinite_epsilon_adds_no_noise_and_claims_nothing() -> None:
    levels = levels_of()
    fitted = DpGaussian(epsilon=math.inf, clip=1e12).fit(setting())
    assert all(map(torch.equal, released(fitted, levels), levels))
    assert not any(bool(v.any()) for v in fitted.evidence(levels).variances)
    clipped = released(DpGaussian(epsilon=math.inf, clip=10.0).fit(setting()), levels)
    norms = torch.cat([level.flatten(1) for level in clipped], dim=1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 10.0))
    claim = fitted.guarantee(3, reproducible=False)
    assert not claim.claimed
    assert "no noise was added" in claim.reason
    assert (claim.epsilon, claim.delta, claim.mu) == (None, None, None)
    assert "noise standard deviation" not in claim.mechanism


def test_evidence_states_the_variance_of_the_noise() -> None:
    fitted = DpGaussian(clip=1.0).fit(setting())
    assert fitted.noise_std is not None
    for variance in fitted.evidence(levels_of()).variances:
        torch.testing.assert_close(variance, torch.full_like(variance, fitted.noise_std**2))


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(std=-0.1), "std is -0.1; it must be 0 to"),
        (lambda: GaussianNoise(std=math.nan), "std is nan"),
        (lambda: GaussianNoise(std=math.inf), "std is inf"),
        (lambda: GaussianNoise(std=-0.1, relative=True), "std is -0.1"),
        (lambda: LaplaceNoise(scale=-0.1), "scale is -0.1; it must be 0 to"),
        (lambda: LaplaceNoise(scale=math.nan), "scale is nan"),
        (lambda: LaplaceNoise(scale=math.inf), "scale is inf"),
        (lambda: ActivationDropout(unit="row"), "unit is 'row'; it is element or channel"),
        (lambda: TopK(keep=0.0), "keep is 0.0; it must be 1e-06 to 1"),
        (lambda: TopK(keep=1.1), "keep is 1.1"),
        (lambda: TopK(keep=math.nan), "keep is nan"),
        (lambda: Quantization(bits=0), "bits is 0; it must be 1 to 16"),
        (lambda: Quantization(bits=17), "bits is 17"),
        (lambda: ActivationDropout(p=1.0), "p is 1.0; it must be 0 to 0.99"),
        (lambda: ActivationDropout(p=-0.1), "p is -0.1"),
        (lambda: ActivationDropout(p=math.nan), "p is nan"),
        (lambda: DpGaussian(epsilon=0.0), "epsilon is 0.0"),
        (lambda: DpGaussian(epsilon=math.nan), "epsilon is nan"),
        (lambda: DpGaussian(epsilon=-math.inf), "epsilon is -inf"),
        (lambda: DpGaussian(epsilon=1e7), r"it must be 1e-06 to 1e\+06, or inf for no noise"),
        (lambda: DpGaussian(delta=0.0), "delta is 0.0"),
        (lambda: DpGaussian(delta=1.0), "delta is 1.0"),
        (lambda: DpGaussian(clip=0.0), "clip is 0.0"),
        (lambda: DpGaussian(clip=-1.0), "clip is -1.0"),
        (lambda: DpGaussian(scope="both"), "scope is 'both'; it is inference or training"),
    ],
)
def test_a_bad_parameter_is_refused(make: Callable[[], Defense], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
