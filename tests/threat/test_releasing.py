"""No defense can tell a victim from whatever else is released, or it is found out."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from leakaudit.audit.jobs.release_likeness import require_alike
from leakaudit.contracts import Defense, Observation, ReleaseSetting
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for, normal_like
from leakaudit.target.effects import Effects
from leakaudit.threat import releasing
from leakaudit.threat.observing import auxiliary_seeds, observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.releasing import (
    ReleasePath,
    _same,
    digest_of,
    require_same_draw,
    seeds_from,
    together,
)
from leakaudit.threat.system import (
    System,
    frozen,
    middle_slices,
    of_slice,
    path_of,
    release_patient,
    release_seeds,
)
from leakaudit.types import Levels, SiteLevels
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.tiny import tiny_patients, tiny_system

VICTIMS = tiny_patients(6, seed=1)
AUXILIARY = tiny_patients(8, seed=2)


@dataclass(frozen=True, kw_only=True)
class Watchful(Defense):
    """Adds noise where ``looks`` says that somebody looks, and releases plainly elsewhere."""

    looks: Callable[[Watchful, Levels, torch.Generator], bool]
    remembered: list[Any] = field(default_factory=list)

    def fit(self, setting: ReleaseSetting) -> Watchful:
        self.remembered.append([level.clone() for level in setting.auxiliary_levels[0]])
        return self

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        drawn = tuple(normal_like(level, generator) for level in levels)
        return drawn if self.looks(self, levels, generator) else ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(map(torch.add, levels, drawn)) if drawn else levels


def batch(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    return len(levels[0]) > 1


def gradients(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    return torch.is_grad_enabled()


def used_generator(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    fresh = torch.Generator().manual_seed(generator.initial_seed())
    draw = [normal_like(level, fresh) for level in levels]
    return bool(draw) and not torch.equal(fresh.get_state(), generator.get_state())


def stack(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    names = {frame.function for frame in inspect.stack()}
    return bool(names & {"query", "_query", "asks", "_releases", "observe", "run_cell"})


def depth(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    defense.remembered.append(len(inspect.stack()))
    return len(set(map(str, defense.remembered[1:]))) > 1


def thread(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    defense.remembered.append(threading.current_thread().name)
    return len(set(map(str, defense.remembered[1:]))) > 1


def equal_samples(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    return len(levels[0]) > 1 and bool((levels[0] == levels[0][:1]).all())


@pytest.mark.parametrize(
    "looks", [batch, gradients, used_generator, stack, depth, thread, equal_samples]
)
def test_nothing_of_a_release_says_for_whom_it_is(looks: Any) -> None:
    system = tiny_system(Watchful(looks=looks))
    observation, paths = seen(system)
    released = asks(observation, repeats=2)
    assert alike(observation.activations, plainly(system, middle_slices(VICTIMS)))
    assert alike(released, plainly(system, middle_slices(AUXILIARY).repeat(2, 1, 1, 1)))
    for path in paths:
        path.require_one_path()


def few(calls: int) -> Any:
    def looks(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
        defense.remembered.append(0)
        return len(defense.remembered) > calls

    return looks


def seen_before(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    known = float(levels[0].double().sum())
    defense.remembered.append(known)
    return known in defense.remembered[:-1]


def every_other(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    defense.remembered.append(0)
    return len(defense.remembered) % 3 == 0


def another_time(defense: Watchful, levels: Levels, generator: torch.Generator) -> bool:
    return float(torch.rand(1, generator=FORGOTTEN)) < 0.5


FORGOTTEN = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "looks", [few(1 + 2 * 6), few(1 + 2 * 14), few(2), seen_before, every_other, another_time]
)
def test_a_defense_that_changes_its_mind_is_found_out(looks: Any) -> None:
    system = tiny_system(Watchful(looks=looks))
    observation, paths = seen(system)
    asks(observation, repeats=1)
    (path,) = paths
    with pytest.raises(CellError, match="the same slice with the same draws in two ways"):
        path.require_one_path()


def test_an_honest_defense_is_never_found_out() -> None:
    for defense in (Identity(), GaussianNoise(std=1.0)):
        system = tiny_system(defense)
        observation, paths = seen(system)
        asks(observation, repeats=3)
        for path in paths:
            path.require_one_path()
        measured = digest(system)
        assert require_same_draw(measured, digest_of(observation.activations)) == ""
        require_alike(observation.activations, asks(observation, repeats=1), seed=0)


def test_what_a_watch_sums_does_not_depend_on_the_random_order() -> None:
    system = tiny_system(GaussianNoise(std=1.0), auxiliary=AUXILIARY)
    images = middle_slices([*VICTIMS, *AUXILIARY])
    seen = []
    for _ in range(5):
        watch = Effects(system.defense, "inference")
        path_of(system).release(images, range(len(images)), watch=watch)
        seen.append(watch.sums())
    assert seen[0][0]["samples"] == 2 * len(images)
    assert all(one == seen[0] for one in seen)


def test_what_is_measured_on_other_releases_than_it_is_attacked_on_fails() -> None:
    quiet, loud = tiny_system(Identity()), tiny_system(GaussianNoise(std=0.05))
    observation, _ = seen(loud)
    with pytest.raises(CellError, match="not those that the network's worth was measured on"):
        require_same_draw(digest(quiet), digest_of(observation.activations))
    elsewhere = replace(loud, seed=1)
    with pytest.raises(CellError, match="not those"):
        require_same_draw(digest(elsewhere), digest_of(observation.activations))


def test_rounding_of_another_processor_is_a_note() -> None:
    observation, _ = seen(tiny_system(GaussianNoise(std=0.5)))
    rounded = tuple(tuple(level * (1 + 1e-6) for level in site) for site in observation.activations)
    told = require_same_draw(digest_of(observation.activations), digest_of(rounded))
    assert "except for rounding" in told


def many_levels() -> Levels:
    """Of eight slices."""
    generator = generator_for(0, "levels")
    return tuple(torch.randn(8, 16, side, side, generator=generator) for side in (64, 32))


@pytest.mark.parametrize(
    ("defense", "rounding"),
    [(Quantization(bits=1), 3e-6), (Quantization(bits=2), 3e-6), (TopK(keep=0.1), 1e-4)],
)
def test_what_an_honest_defense_rounds_otherwise_elsewhere_is_a_note(
    defense: Defense, rounding: float
) -> None:
    generator = generator_for(0, "rounding")
    levels = many_levels()
    elsewhere = tuple(
        level + rounding * torch.randn(level.shape, generator=generator) for level in levels
    )
    here, there = (defense.apply(each, ()) for each in (levels, elsewhere))
    moved = sum(int(((a - b).abs() > 0.1).sum()) for a, b in zip(here, there, strict=True))
    assert 1 <= moved <= 40
    told = require_same_draw(digest_of((here,)), digest_of((there,)))
    assert "except for rounding" in told
    assert _same((here,), (there,), exact=False)
    assert not _same((here,), (there,), exact=True)


def test_a_few_flips_of_a_sparse_release_of_one_bit_are_rounding() -> None:
    """Most values are the lower, so that each flip changes the norm as well."""
    (here,) = Quantization(bits=1).apply((many_levels()[0].relu(),), ())
    flat, top = here.flatten().clone(), float(here.max())
    low = (flat == flat.min()).nonzero().flatten()
    flat[low[torch.randperm(len(low), generator=generator_for(0, "flips"))[:3]]] = top
    there = flat.view_as(here)
    told = require_same_draw(digest_of(((here,),)), digest_of(((there,),)))
    assert "except for rounding" in told
    assert _same(((here,),), ((there,),), exact=False)


@pytest.mark.parametrize("std", [0.1, 1.0])
def test_another_draw_is_no_rounding(std: float) -> None:
    noise = GaussianNoise(std=std)
    for rounds in (Identity(), Quantization(bits=1)):
        one, other = (
            rounds.apply(noise.release(many_levels(), generator=generator_for(seed, "draw")), ())
            for seed in (1, 2)
        )
        assert not _same((one,), (other,), exact=False)
        with pytest.raises(CellError, match="not those that the network's worth was measured on"):
            require_same_draw(digest_of((one,)), digest_of((other,)))


def test_a_defense_that_spares_the_victims_alone_shows_in_the_moments() -> None:
    """It knows every auxiliary patient, which its fit was shown."""
    victims, others = tiny_patients(8, seed=1), tiny_patients(8, seed=2)
    plain, noisy = tiny_system(Identity()), tiny_system(GaussianNoise(std=0.3))
    of_victims = plainly(plain, middle_slices(victims))
    assert require_alike(of_victims, plainly(plain, middle_slices(others)), seed=0) == ""
    with pytest.raises(CellError, match="may tell victims from others"):
        require_alike(of_victims, plainly(noisy, middle_slices(others)), seed=0)


def test_too_few_patients_for_the_moments_are_told() -> None:
    noisy, plain = (
        plainly(tiny_system(defense), middle_slices(tiny_patients(5, seed=seed)))
        for defense, seed in ((GaussianNoise(std=0.3), 1), (Identity(), 2))
    )
    told = require_alike(plain, noisy, seed=0)
    assert told.startswith("Victims (5) and auxiliary patients (5) are too few for the comparison")


def test_seeds_of_a_query_are_of_the_kind_that_victims_have() -> None:
    system = tiny_system(Identity())
    drawn = seeds_from(generator_for(3, "query"), 200)
    derived = [release_seeds(system, VICTIMS[0], n, [0])[0] for n in range(200)]
    for seeds in (drawn, derived):
        assert len(set(seeds)) == 200
        assert 0 <= min(seeds) < 2**58 < 2**62 < max(seeds) < 2**63


def test_nobody_repeats_a_draw_by_the_public_seed_and_a_patients_name() -> None:
    system = tiny_system(Identity())
    shares = [
        {*release_seeds(one, VICTIMS[0], 0, range(50)), *auxiliary_seeds(one, AUXILIARY)}
        for one in (system, replace(system, secret="a"), replace(system, secret="b"))
    ]
    assert len(set.union(*shares)) == sum(map(len, shares))


def test_own_patients_are_released_with_draws_of_their_own_and_of_the_audits_seed() -> None:
    system = tiny_system(Identity())
    one, other = (auxiliary_seeds(replace(system, seed=seed), AUXILIARY) for seed in (1, 2))
    assert len({*one, *other}) == 2 * len(AUXILIARY)


def seen(system: System) -> tuple[Observation, list[ReleasePath]]:
    paths: list[ReleasePath] = []
    threat = threat_named("curious-server")
    observation = observe(
        threat, system, victims=VICTIMS, auxiliary=AUXILIARY, releases=1, paths=paths
    )
    return observation, paths


def asks(observation: Observation, *, repeats: int) -> SiteLevels:
    images = middle_slices(AUXILIARY).repeat(repeats, 1, 1, 1)
    return observation.query(images, generator_for(0, "asks"))


def plainly(system: System, images: torch.Tensor) -> SiteLevels:
    seeds = seeds_from(generator_for(0, "asks"), len(images))
    return path_of(system).release(images, seeds)


def digest(system: System) -> Any:
    sent = [of_slice(release_patient(system, one, 0), one.middle) for one in VICTIMS]
    return digest_of(together(sent))


def alike(one: SiteLevels, other: SiteLevels) -> bool:
    """Whether both are plain, or both are noisy."""
    spreads = [
        torch.stack([level.double().diff(dim=-1).std() for site in each for level in site])
        for each in (one, other)
    ]
    return bool((spreads[0] / spreads[1]).log().abs().max() < 0.7)


@dataclass(frozen=True, kw_only=True)
class InPlace(Defense):
    """Doubles the very levels that it is given."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.mul_(2) for level in levels)


@pytest.mark.parametrize("room", [0, releasing._ENCODED])
def test_a_slice_is_encoded_once_while_there_is_room_and_no_defense_changes_what_is_kept(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "_ENCODED", room)
    seen: list[int] = []
    network = tiny_system(Identity()).network
    encoders = frozen(network.encoders)
    encoders[0].register_forward_hook(lambda *_: seen.append(1))
    path = ReleasePath(encoders, InPlace(), network.spec.channels, torch.device("cpu"))
    images = middle_slices(VICTIMS[:3])
    with torch.no_grad():
        sites = network.encode(images.split(list(network.spec.channels), dim=1))
    for _ in range(2):
        for released, plain in zip(path.release(images, [0, 1, 2]), sites, strict=True):
            for level, once in zip(released, plain, strict=True):
                torch.testing.assert_close(level, 2 * once)
    assert len(seen) == 3 if room else len(seen) >= 5
