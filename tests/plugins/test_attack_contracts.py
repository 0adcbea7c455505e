"""That a broken or cheating attack is told so: a check that cannot fail checks nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from leakaudit.contracts import (
    Attack,
    AttackFacts,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    as_text,
    facts_from,
)
from leakaudit.errors import CellError, NotGranted, PluginError
from leakaudit.testing import check_attack, example_observation
from leakaudit.testing.attacks import _check_facts
from leakaudit.threat.presets import PRESETS
from leakaudit_defenses.identity import Identity
from tests.plugins.test_contracts import Honest
from tests.tiny import tiny_observation, tiny_patients


@pytest.fixture(scope="module")
def observation() -> Observation:
    return tiny_observation(
        "curious-server-with-encoder",
        Identity(),
        victims=tiny_patients(2, slices=1, seed=1),
        auxiliary=tiny_patients(2, slices=1, seed=2),
    )


@dataclass(frozen=True, kw_only=True)
class Grey(Attack):
    """Returns mid-grey for every victim."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        return self.claim(torch.full(observation.layout.image_shape, 0.5))

    def claim(self, images: torch.Tensor, objective: float = 1.0) -> Reconstruction:
        return Reconstruction(
            images=images, objective_first=2.0, objective_last=objective, iterations=0
        )


class Wrapped(Grey):
    """Does one thing wrong around the same guess."""

    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        return images

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        grey = Grey.run(self, observation, generator=generator, progress=progress)
        return self.claim(self.spoil(observation, grey.images))


class DrawsGlobally(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        torch.rand(1)
        return images


class NeverTheSame(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator()
        generator.seed()
        return torch.rand(images.shape, generator=generator)


class ChangesTheThreads(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return images


class WritesToTheActivations(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        observation.activations[1][0].add_(1)
        return images


class UnfreezesTheEncoders(Wrapped):
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ENCODER_WEIGHTS})

    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        observation.encoders[0].requires_grad_(True)
        return images


class RequiresNothing(Grey):
    requires: ClassVar[frozenset[Capability]] = frozenset()


class NeedsLessThanItRequires(Grey):
    def needs(self) -> frozenset[Capability]:
        return frozenset()


class Understates(Grey):
    """Says that it reads nothing that was released, and does."""

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    releases: ClassVar[tuple[str, ...]] = (
        *("activations", "repeated_releases", "transcript", "cohort_releases"),
    )

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        assert callable(observation.query)
        assert len(observation.auxiliary.images)
        assert observation.defense == Identity()  # granted, and used without being required
        for name in self.releases:
            with pytest.raises(NotGranted, match="releases are shown where an attack requires"):
                getattr(observation, name)
        observation.activations  # noqa: B018
        raise AssertionError("it was shown releases that it does not require")


class ReadsMoreThanItRequires(Grey):
    """Reads every release, of which it requires the first."""

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        assert len(observation.repeated_releases) == 1
        return Grey.run(self, observation, generator=generator, progress=progress)


def quietly(done: int, total: int) -> None:
    pass


def test_an_attack_that_requires_no_releases_is_shown_none(observation: Observation) -> None:
    with pytest.raises(NotGranted, match="'activations'"):
        Understates()(observation, seed=0, progress=quietly)
    assert ReadsMoreThanItRequires()(observation, seed=0, progress=quietly).queries == 0


def test_facts_of_an_attack_that_needs_less_than_it_requires_are_refused() -> None:
    said = as_text(AttackFacts.of(NeedsLessThanItRequires()))
    with pytest.raises(PluginError, match=r"needs\(\) leaves out activations, which it requires"):
        facts_from(said)


class OvershootsItsTotal(Grey):
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        progress(2, 1)
        return Grey.run(self, observation, generator=generator, progress=progress)


class RepeatsItself(Grey):
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        progress(1, 2)
        progress(1, 2)
        return Grey.run(self, observation, generator=generator, progress=progress)


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        (DrawsGlobally(), "global random state"),
        (NeverTheSame(), "not repeatable"),
        (ChangesTheThreads(), "number of threads"),
        (WritesToTheActivations(), r"modified its observation \(activations"),
        (UnfreezesTheEncoders(), r"modified its observation \(encoder-weights\)"),
        (RequiresNothing(), "requires is empty"),
        (NeedsLessThanItRequires(), r"needs\(\) leaves out activations, which it requires"),
        (OvershootsItsTotal(), "progress past its end"),
        (RepeatsItself(), "progress that does not grow"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_attack_is_told_so_in_a_sentence(attack: Attack, sentence: str) -> None:
    # An observation of its own: two of the attacks spoil theirs.
    threads = torch.get_num_threads()
    own = tiny_observation(
        "curious-server-with-encoder",
        Identity(),
        victims=tiny_patients(1, slices=1, seed=1),
        auxiliary=tiny_patients(1, slices=1, seed=2),
    )
    try:
        with pytest.raises(AssertionError, match=sentence):
            check_attack(attack, own)
    finally:
        torch.set_num_threads(threads)


def test_an_honest_attack_of_a_third_party_passes(observation: Observation) -> None:
    attempt = check_attack(Grey(), observation)
    assert attempt.queries == 0
    assert attempt.auxiliary_patients == 2


class NotANumber(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        images[0, 0, 0, 0] = torch.nan
        return images


class Infinite(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        images[0, 0, 0, 0] = torch.inf
        return images


class NotAFiniteObjective(Grey):
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        return self.claim(torch.full(observation.layout.image_shape, 0.5), float("nan"))


class OneVictimOnly(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        return images[:1]


class TooBright(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        return images + 0.6


class TooDark(Wrapped):
    def spoil(self, observation: Observation, images: torch.Tensor) -> torch.Tensor:
        return images - 0.6


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (NotANumber(), "not finite"),
        (Infinite(), "not finite"),
        (NotAFiniteObjective(), "own objective went from 2.0 to nan"),
        (OneVictimOnly(), r"shape \(1, 4, 32, 32\), expected \(2, 4, 32, 32\)"),
        (TooBright(), r"values in \[1.1, 1.1\], expected \[0, 1\]"),
        (TooDark(), r"values in \[-0.1, -0.1\], expected \[0, 1\]"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_cheating_attack_is_refused(
    observation: Observation, attack: Attack, message: str
) -> None:
    with pytest.raises(CellError, match=message):
        attack(observation, seed=0, progress=lambda done, total: None)


@pytest.mark.parametrize("threat", PRESETS)
def test_an_example_of_what_a_threat_grants_is_there_for_every_preset(threat: str) -> None:
    observation = example_observation(threat, Honest())
    assert observation.granted == PRESETS[threat].capabilities
    assert observation.defense == Honest()
    assert observation.layout.image_shape == (2, 4, 32, 32)
    pictures = Capability.CANDIDATES not in observation.granted  # else for identities alone
    if pictures and Grey.requires <= observation.granted:
        assert check_attack(Grey(), observation).auxiliary_patients == 3


@dataclass(frozen=True, kw_only=True)
class WithFunction(Attack):
    """Cannot be sent to a process of its own."""

    function: Callable[[], int] = int
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        raise AssertionError


def test_an_attack_that_cannot_travel_is_told_so() -> None:
    with pytest.raises(AssertionError, match=r"an audit cannot know WithFunction: .* is a type"):
        _check_facts(WithFunction())
