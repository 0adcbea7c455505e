"""Defenses that act on the training or on what returns: their effect, on a small real network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from leakaudit.contracts import Defense, PrivacyGuarantee, ReleaseSetting, Stack, Stage
from leakaudit.data import phantom_cohort
from leakaudit.errors import ConfigError
from leakaudit.randomness import generator_for, normal_like
from leakaudit.target.effects import Effects
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import TrainingData, TrainingSettings, build, train
from leakaudit.threat.system import images_of, masks_of
from leakaudit.types import Levels
from leakaudit_defenses.adversarial import Adversarial
from leakaudit_defenses.cut_gradient_noise import CutGradientNoise
from leakaudit_defenses.dp_sgd import DpSgd
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.nopeek import Nopeek, distance_correlation
from tests.tiny import tiny_spec


@pytest.fixture(scope="module")
def data() -> TrainingData:
    patients = phantom_cohort(patients=8, slices=4, size=32, seed=0, spatial_dims=2).patients
    images = torch.cat([images_of(one)[list(one.tumour_slices)] for one in patients])
    masks = torch.cat([masks_of(one)[list(one.tumour_slices)] for one in patients])
    return TrainingData(views=tuple(images.split([2, 2], dim=1)), masks=masks)


def trained(
    defense: Defense, data: TrainingData, folder: Path, epochs: int = 6
) -> tuple[SplitUNet, list[dict[str, Any]]]:
    network = build(tiny_spec((2, 2), 1), 0, defense)
    history = train(
        network,
        defense,
        data,
        TrainingSettings(epochs=epochs, batch_size=8),
        seed=0,
        device=torch.device("cpu"),
        folder=folder,
        progress=lambda done, total: None,
        validate=lambda network: None,
    )
    return network, history


def test_distance_correlation_is_that_of_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    y = x[:, :2].square() + torch.randn(12, 2, generator=generator, dtype=torch.float64)

    def centred(values: np.ndarray) -> np.ndarray:
        d: np.ndarray = cdist(values, values)
        return np.asarray(d - d.mean(0)[None] - d.mean(1)[:, None] + d.mean())

    a, b = centred(x.numpy()), centred(y.numpy())
    wanted = math.sqrt((a * b).mean() / math.sqrt((a * a).mean() * (b * b).mean()))
    assert float(distance_correlation(x, y)) == pytest.approx(wanted, abs=1e-6)
    assert float(distance_correlation(x, 3 * x + 1)) == pytest.approx(1.0, abs=1e-6)
    assert float(distance_correlation(x, torch.ones(12, 1, dtype=torch.float64))) < 1e-3


def test_a_release_of_equal_samples_has_a_finite_gradient() -> None:
    released = torch.ones(4, 3, 4, 4, requires_grad=True)
    penalty = Nopeek().penalty(torch.rand(4, 2, 4, 4), (released,), None)
    assert penalty is not None
    penalty.backward()
    assert released.grad is not None
    assert bool(released.grad.isfinite().all())


def test_a_batch_of_one_has_no_distance_correlation() -> None:
    assert Nopeek().penalty(torch.rand(1, 2, 4, 4), (torch.rand(1, 3, 4, 4),), None) is None


@pytest.mark.slow
def test_nopeek_lowers_the_distance_correlation(data: TrainingData, tmp_path: Path) -> None:
    found = []
    for number, defense in enumerate((Identity(), Nopeek(weight=10.0))):
        network, _ = trained(defense, data, tmp_path / str(number), epochs=12)
        with torch.no_grad():
            levels = network.encode(data.views)[0]
            sent = torch.cat([level.flatten(1) for level in levels], dim=1)
            found.append(float(distance_correlation(data.views[0].flatten(1), sent)))
    assert found[1] < found[0] - 0.02


@pytest.mark.slow
def test_an_adversarial_training_leaves_its_decoder_less(
    data: TrainingData, tmp_path: Path
) -> None:
    left = []
    for number, weight in enumerate((1e-6, 5.0)):
        defense = Adversarial(weight=weight)
        network, _ = trained(defense, data, tmp_path / str(number), epochs=12)
        companion = network.companions_of(0)["0"]
        with torch.no_grad():
            penalty = defense.penalty(data.views[0], network.encode(data.views)[0], companion)
        assert penalty is not None
        left.append(float(penalty) / weight)
    assert left[0] > 0.5
    assert left[1] < left[0] - 0.1


@pytest.mark.slow
def test_a_training_with_companions_goes_on_where_it_was_killed(
    data: TrainingData, tmp_path: Path
) -> None:
    defense = Stack(chain=(GaussianNoise(std=0.5), Adversarial(weight=1.0)))
    whole, history = trained(defense, data, tmp_path / "whole", epochs=3)

    class KilledError(Exception):
        pass

    calls = []

    def validate(network: SplitUNet) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KilledError

    network = build(tiny_spec((2, 2), 1), 0, defense)
    with pytest.raises(KilledError):
        train(
            network,
            defense,
            data,
            TrainingSettings(epochs=3, batch_size=8),
            seed=0,
            device=torch.device("cpu"),
            folder=tmp_path / "killed",
            progress=lambda done, total: None,
            validate=validate,
        )
    resumed, again = trained(defense, data, tmp_path / "killed", epochs=3)
    assert history == again
    assert whole.state_dict().keys() == resumed.state_dict().keys()
    assert any(name.startswith("companions.") for name in whole.state_dict())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_companion_never_changes_what_crosses_before_training() -> None:
    plain, beside = (build(tiny_spec(), 0, each) for each in (None, Adversarial()))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, beside.state_dict()[name])


@pytest.mark.slow
def test_a_penalty_reaches_the_encoder_and_leaves_the_companion_to_its_own_loss(
    data: TrainingData, tmp_path: Path
) -> None:
    # A companion that has learned something: of one that has not the penalty is 0.
    taught, _ = trained(Adversarial(weight=1e-6), data, tmp_path, epochs=6)
    views = tuple(view[:4] for view in data.views)
    gradients = []
    for weight in (1e-9, 100.0):
        taught.zero_grad()
        Protocol(taught, Adversarial(weight=weight)).backward(views, data.masks[:4], 0, "test")
        gradients.append(
            [
                torch.cat([p.grad.flatten() for p in each.parameters() if p.grad is not None])
                for each in (taught.encoders[0], taught.companions_of(0)["0"])
            ]
        )
    # The companion's own loss does not know the weight; the encoder's does.
    assert torch.equal(gradients[0][1], gradients[1][1])
    assert float((gradients[1][0] - gradients[0][0]).norm()) > float(gradients[0][0].norm())


# --- what returns ------------------------------------------------------------------------------


def gradients_of(batch: int = 4) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([1e-4, 1e-2, 1.0, 100.0])[:batch].view(-1, 1, 1, 1)
    return tuple(
        scales * torch.randn(batch, channels, extent, extent, generator=generator)
        for channels, extent in ((4, 32), (8, 16))
    )


def test_noise_on_returned_gradients_is_in_proportion_to_each_sample() -> None:
    gradients = gradients_of()
    sent = CutGradientNoise(std=2.0).return_gradient(gradients, generator=generator_for(0, "test"))
    for before, after in zip(gradients, sent, strict=True):
        for one, changed in zip(before, after, strict=True):
            ratio = float((changed - one).std() / one.square().mean().sqrt())
            assert ratio == pytest.approx(2.0, rel=0.05)


def test_returned_gradients_are_clipped_jointly() -> None:
    gradients = gradients_of()
    sent = CutGradientNoise(std=0.0, clip=1.0).return_gradient(
        gradients, generator=generator_for(0, "test")
    )
    norms = [
        torch.stack([level.flatten(1).square().sum(dim=1) for level in each]).sum(dim=0).sqrt()
        for each in (gradients, sent)
    ]
    assert torch.allclose(norms[1], norms[0].clamp(max=1.0), rtol=1e-4)


def test_every_site_is_returned_what_the_defense_makes_of_it(data: TrainingData) -> None:
    views, masks = tuple(view[:2] for view in data.views), data.masks[:2]
    network = build(tiny_spec((2, 2), 1), 0)
    plain, _ = Protocol(network, Identity()).splitfed_messages(views, masks, 0, "test")
    noisy, _ = Protocol(network, CutGradientNoise(std=1.0)).splitfed_messages(
        views, masks, 0, "test"
    )
    changes = []
    for before, after in zip(plain, noisy, strict=True):
        change = [a - b for a, b in zip(after.levels, before.levels, strict=True)]
        assert all(bool(each.any()) for each in change)
        changes.append(change[0] / before.levels[0].abs().max())
    # Each site's draw is its own.
    assert not torch.allclose(changes[0], changes[1])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Nopeek(weight=-1.0),
        lambda: Adversarial(weight=-1.0),
        lambda: Adversarial(width=0),
        lambda: CutGradientNoise(std=-1.0),
        lambda: CutGradientNoise(clip=0.0),
        lambda: DpSgd(epsilon=0.0),
        lambda: DpSgd(clip=0.0),
        lambda: DpSgd(delta=0.9),
        lambda: DpSgd(parties="server"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()


# --- the proof that it was on --------------------------------------------------------------------


@pytest.mark.parametrize(
    "defense",
    [
        GaussianNoise(std=0.0),
        Nopeek(weight=0.0),
        CutGradientNoise(std=0.0),
        Stack(chain=(GaussianNoise(std=1.0), Nopeek(weight=0.0))),
    ],
    ids=repr,
)
def test_a_defense_that_does_nothing_is_noticed(
    defense: Defense, data: TrainingData, tmp_path: Path
) -> None:
    _, history = trained(defense, data, tmp_path, epochs=1)
    seen = Effects.summed(defense, "training", [epoch["effects"] for epoch in history])
    assert "defense that was off" in seen.idle()


@pytest.mark.parametrize("defense", [Identity(), GaussianNoise(), Nopeek(), CutGradientNoise()])
def test_a_defense_that_is_on_is_seen(defense: Defense, data: TrainingData, tmp_path: Path) -> None:
    _, history = trained(defense, data, tmp_path, epochs=2)
    seen = Effects.summed(defense, "training", [epoch["effects"] for epoch in history])
    assert not seen.idle()
    (effect,) = seen.records()
    if isinstance(defense, GaussianNoise):
        assert effect.noise_std == pytest.approx(1.0, rel=0.02)
    if isinstance(defense, CutGradientNoise):
        assert effect.returned_change == pytest.approx(1.0, rel=0.05)


def test_the_stage_that_is_off_is_named() -> None:
    levels = (torch.ones(1, 2, 4, 4),)
    fitted = DpSgd().fit(
        ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=(levels,))
    )
    assert "changed no training" in Effects(replace(fitted), "training").idle()
    assert not Effects(fitted, "inference").idle()


@dataclass(frozen=True, kw_only=True)
class Undeclared(Defense):
    """Says that it acts on nothing, and so would pass for the undefended network."""

    acts_on: ClassVar[frozenset[Stage]] = frozenset()

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(2 * level for level in levels)


def test_a_defense_that_acts_on_nothing_is_none_and_must_change_nothing() -> None:
    levels = (torch.ones(1, 2, 4, 4),)
    for defense, said in ((Identity(), ""), (Undeclared(), "acts on nothing, and changed")):
        assert defense.configured == ()
        seen = Effects(defense, "inference")
        seen.release(defense.trace(levels, ()))
        assert said in seen.idle()
        assert bool(seen.idle()) == bool(said)


def test_a_penalty_that_no_batch_can_have_is_noticed(data: TrainingData, tmp_path: Path) -> None:
    defense = Nopeek()
    network = build(tiny_spec((2, 2), 1), 0, defense)
    few = TrainingData(views=tuple(view[:2] for view in data.views), masks=data.masks[:2])
    history = train(
        network,
        defense,
        few,
        TrainingSettings(epochs=1, batch_size=1),
        seed=0,
        device=torch.device("cpu"),
        folder=tmp_path,
        progress=lambda done, total: None,
        validate=lambda network: None,
    )
    seen = Effects.summed(defense, "training", [epoch["effects"] for epoch in history])
    assert "changed no training" in seen.idle()


@dataclass(frozen=True, kw_only=True)
class Mute(Defense):
    """A mechanism whose noise is missing from some of its levels."""

    silent: tuple[int, ...] = ()

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(
            normal_like(level, generator) * (index not in self.silent)
            for index, level in enumerate(levels)
        )

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(map(torch.add, levels, drawn))

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return PrivacyGuarantee(
            claimed=True,
            epsilon=1.0,
            delta=1e-5,
            releases=releases,
            mechanism="",
            assumptions=(),
            noise_std=1.0,
        )


def test_noise_that_is_missing_from_one_level_is_noticed() -> None:
    # The deepest level is a twentieth of all values: over all of them it would hardly show.
    levels = tuple(torch.randn(2, *shape) for shape in ((16, 64, 64), (16, 32, 32), (32, 16, 16)))
    for silent, words in (((), ""), ((2,), "on every value of a level, and 0 was seen")):
        defense = Mute(silent=silent)
        seen = Effects(defense, "inference")
        drawn = defense.draw(levels, generator_for(0, "test"))
        seen.release(defense.trace(levels, drawn))
        assert not seen.idle()
        assert words in seen.too_quiet(1)
        assert bool(seen.too_quiet(1)) == bool(silent)


def test_a_private_training_without_its_noise_is_noticed() -> None:
    levels = (torch.ones(1, 2, 4, 4),)
    fitted = DpSgd(clip=1.0).fit(
        ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=(levels,))
    )
    parameters = [torch.zeros(40, 50)]
    gradients = [torch.randn(3, 40, 50)]
    for factor in (1.0, 0.0):
        seen = Effects(fitted, "training")
        drawn = fitted.draw_update(parameters, generator_for(0, "test"))
        applied = fitted.apply_update(gradients, tuple(factor * each for each in drawn))
        seen.update(0, gradients, applied)
        assert ("on every sum of gradients" in seen.too_quiet(1)) == (factor == 0)
