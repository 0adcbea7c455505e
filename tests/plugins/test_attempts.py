"""What an attempt costs, and what of an attack's answer is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch

from leakaudit.contracts import (
    Attack,
    AttackFacts,
    AuxiliaryPatients,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    SystemLayout,
    attempted,
)
from leakaudit.errors import CellError, NotGranted
from leakaudit_defenses.identity import Identity

LAYOUT = SystemLayout(
    channels=(2, 1, 3),
    crossing=(0, 2),
    features=(4, 8, 16),
    spatial=(6, 5),
    victims=2,
    candidates=7,
)
IMAGES = torch.zeros(3, 6, 6, 5)
MASKS = torch.zeros(3, 6, 5, dtype=torch.long)
DRAWS = torch.Generator()


# Of two sites one level of four slices.
RELEASED = ((torch.zeros(4, 1, 2, 2),), (torch.zeros(4, 1, 2, 2),))


QUESTIONS: dict[Capability, tuple[Callable[[Observation], object], int]] = {
    Capability.ENCODER_QUERIES: (lambda seen: seen.query(IMAGES, DRAWS), 3),
    Capability.TRANSCRIPT_QUERIES: (lambda seen: seen.query_transcript(IMAGES, DRAWS), 3),
    Capability.GRADIENT_QUERIES: (lambda seen: seen.query_gradients(IMAGES, MASKS, DRAWS), 3),
    Capability.OWN_GRADIENT_QUERIES: (
        lambda seen: seen.query_own_gradients(IMAGES, MASKS, DRAWS),
        3,
    ),
    Capability.UPDATE_QUERIES: (lambda seen: seen.query_updates(IMAGES, MASKS, DRAWS), 3),
    Capability.HEAD_QUERIES: (lambda seen: seen.query_head(IMAGES, MASKS, DRAWS), 3),
    Capability.ACTIVE_MANIPULATION: (lambda seen: seen.exchange(None, True), 4),
}


def gray(**changes: Any) -> Reconstruction:
    given: dict[str, Any] = {
        "images": torch.full(LAYOUT.image_shape, 0.5),
        "objective_first": 2.0,
        "objective_last": 1.0,
        "iterations": 0,
    }
    return Reconstruction(**(given | changes))


def attempt(
    held: dict[Capability, object],
    run: Callable[[Observation], Reconstruction],
    *,
    needs: frozenset[Capability] = frozenset(),
    recovers: Any = "images",
) -> Any:
    seen = Observation(threat="a threat", layout=LAYOUT, held=held)
    return attempted(seen, name="Gray", needs=needs, recovers=recovers, run=run)


def test_every_function_that_is_counted_is_asked_here() -> None:
    assert set(QUESTIONS) == {one for one in Capability if one.row.asked not in (None, "uncounted")}


@pytest.mark.parametrize("capability", QUESTIONS, ids=str)
def test_every_sample_of_every_question_is_counted(capability: Capability) -> None:
    ask, samples = QUESTIONS[capability]
    given: list[tuple[object, ...]] = []

    def answer(*arguments: object) -> object:
        given.append(arguments)
        return RELEASED if samples == 4 or capability is Capability.ENCODER_QUERIES else ()

    def run(seen: Observation) -> Reconstruction:
        assert ask(seen) is not None
        ask(seen)
        return gray()

    found = attempt({capability: answer}, run)
    assert found.queries == 2 * samples
    # It is asked what the attack asks.
    ask(Observation(threat="a threat", layout=LAYOUT, held={capability: answer}))
    assert [id(one) for one in given[0]] == [id(one) for one in given[2]]
    assert attempt({}, lambda seen: gray()).queries == 0


def test_a_sample_that_is_named_is_counted_too() -> None:
    def answer(images: torch.Tensor, generator: torch.Generator) -> object:
        return RELEASED

    def run(seen: Observation) -> Reconstruction:
        query: Any = seen.query
        query(generator=DRAWS, images=IMAGES)
        with pytest.raises(TypeError):
            query(IMAGES)
        return gray()

    assert attempt({Capability.ENCODER_QUERIES: answer}, run).queries == 3


def test_the_adversarys_own_patients_are_counted_each_once() -> None:
    own = AuxiliaryPatients(
        images=torch.zeros(5, 6, 6, 5),
        masks=None,
        patient=torch.tensor([0, 0, 1, 2, 2]),
        middle=torch.tensor([0, 2, 3]),
    )
    found = attempt({Capability.AUXILIARY_PATIENTS: own}, lambda seen: gray())
    assert found.auxiliary_patients == 3
    assert attempt({}, lambda seen: gray()).auxiliary_patients == 0


@pytest.mark.parametrize(
    ("recovers", "shape", "kept"),
    [
        ("images", (2, 6, 6, 5), torch.float32),
        ("masks", (2, 1, 6, 5), torch.float32),
        ("identities", (2, 7), torch.float64),
    ],
)
def test_what_is_recovered_is_kept_as_it_is_needed(
    recovers: str, shape: tuple[int, ...], kept: torch.dtype
) -> None:
    values = torch.full(shape, 0.25, dtype=torch.float64, requires_grad=True)
    found = attempt({}, lambda seen: gray(images=values), recovers=recovers).reconstruction
    assert (found.images.dtype, found.images.requires_grad) == (kept, False)
    assert (found.objective_first, found.objective_last) == (2.0, 1.0)


def test_scores_of_candidates_may_be_any_finite_number_and_have_no_objective() -> None:
    scores = torch.linspace(-1e9, 1e9, 14).view(2, 7)
    given = Reconstruction.of_scores(scores, iterations=3, notes=("a note",))
    found = attempt({}, lambda seen: given, recovers="identities").reconstruction
    assert torch.equal(found.scores, scores.double())
    assert (found.objective_first, found.objective_last) == (0.0, 0.0)
    assert (found.iterations, found.notes) == (3, ("a note",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": torch.zeros(2, 6, 6, 4)},
            "the attack returned shape (2, 6, 6, 4), expected (2, 6, 6, 5)",
        ),
        (
            {"images": torch.full(LAYOUT.image_shape, torch.inf)},
            "the attack returned values that are not finite",
        ),
        (
            {"images": torch.full(LAYOUT.image_shape, torch.nan)},
            "the attack returned values that are not finite",
        ),
        (
            {"images": torch.full(LAYOUT.image_shape, 1.01)},
            "the attack returned values in [1.01, 1.01], expected [0, 1]",
        ),
        (
            {"images": torch.full(LAYOUT.image_shape, -0.01)},
            "the attack returned values in [-0.01, -0.01], expected [0, 1]",
        ),
        ({"objective_first": math.nan}, "the attack's own objective went from nan to 1.0"),
        ({"objective_last": math.inf}, "the attack's own objective went from 2.0 to inf"),
    ],
)
def test_what_is_no_reconstruction_is_refused_in_a_sentence(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CellError, match=f"^{re.escape(message)}$"):
        attempt({}, lambda seen: gray(**changes))


@pytest.mark.parametrize("value", [0.0, 1.0, -5e-7, 1 + 5e-7])
def test_rounding_at_the_ends_of_the_range_is_no_fault(value: float) -> None:
    images = torch.full(LAYOUT.image_shape, value, dtype=torch.float64)
    assert attempt({}, lambda seen: gray(images=images)).reconstruction.images.max() <= 1 + 1e-6


def test_an_attack_is_refused_what_its_threat_does_not_grant() -> None:
    needs = frozenset({Capability.DEFENSE_PARAMETERS, Capability.ACTIVATIONS})
    message = "Gray needs activations, defense-parameters, which threat model 'a threat' does not"
    with pytest.raises(NotGranted, match=f"^{message} grant$"):
        attempt({}, lambda seen: gray(), needs=needs)
    with pytest.raises(NotGranted, match=r"^Gray recovers masks; threat model 'a threat' shows im"):
        attempt({Capability.CANDIDATES: IMAGES}, lambda seen: gray(), recovers="masks")


def test_releases_are_shown_to_an_attack_that_requires_some() -> None:
    held: dict[Capability, object] = {
        Capability.ACTIVATIONS: RELEASED,
        Capability.REPEATED_RELEASES: (RELEASED,),
        Capability.ENCODER_QUERIES: lambda images, generator: RELEASED,
    }
    shown: list[frozenset[Capability]] = []

    def run(seen: Observation) -> Reconstruction:
        shown.append(seen.granted)
        return gray()

    attempt(held, run, needs=frozenset({Capability.REPEATED_RELEASES}))
    attempt(held, run, needs=frozenset({Capability.ENCODER_QUERIES}))
    assert shown == [frozenset(held), frozenset({Capability.ENCODER_QUERIES})]


def test_the_layout_says_which_channels_cross_and_which_are_foreign() -> None:
    assert LAYOUT.sent_channels == (4, 16)
    assert LAYOUT.foreign == tuple(range(6))
    at = {site: SystemLayout(**{**vars_of(LAYOUT), "site": site}) for site in range(3)}
    assert [at[site].foreign for site in range(3)] == [(2, 3, 4, 5), (0, 1, 3, 4, 5), (0, 1, 2)]
    assert at[1].shape_of("other-site images") == (2, 5, 6, 5)
    narrow = SystemLayout(**{**vars_of(LAYOUT), "bottleneck": 5})
    assert narrow.sent_channels == (4, 5)
    assert [view.shape[1] for view in LAYOUT.views(IMAGES)] == [2, 1, 3]


def vars_of(layout: SystemLayout) -> dict[str, Any]:
    return {name: getattr(layout, name) for name in layout.__dataclass_fields__}


@pytest.mark.parametrize(
    ("held", "name", "message"),
    [
        ({}, "encoders", "threat model 'a threat' grants no 'encoders'; it grants nothing"),
        (
            {Capability.ENCODER_QUERIES: None, Capability.CUT_GRADIENTS: None},
            "secret",
            "threat model 'a threat' grants no 'secret'; it grants cut-gradients, encoder-queries",
        ),
        (
            {Capability.ENCODER_QUERIES: None},
            "transcript",
            "threat model 'a threat' grants no 'transcript'; it grants encoder-queries; releases "
            "are shown where an attack requires activations or repeated-releases or transcript",
        ),
    ],
)
def test_what_is_not_granted_is_refused_in_a_sentence(
    held: dict[Capability, object], name: str, message: str
) -> None:
    seen = Observation(threat="a threat", layout=LAYOUT, held=held)
    with pytest.raises(NotGranted, match=f"^{re.escape(message)}$"):
        getattr(seen, name)


@dataclass(frozen=True, kw_only=True)
class Fitted(Attack):
    """Has a field that is found, not configured."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})
    steps: int = 3
    found: float = field(default=0.0, metadata={"fitted": True})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        return gray()


def test_what_an_attack_finds_is_no_part_of_its_configuration() -> None:
    assert AttackFacts.of(Fitted(found=2.0)).configuration == (("steps", 3),)


def test_a_defense_alone_shows_what_returns_as_one_step() -> None:
    gradients = (torch.ones(2, 3, 4, 4),)
    (step,) = Identity().trace_returned(gradients, ())
    assert (step.part, step.before, step.expected) == (0, gradients, gradients)
    assert torch.equal(step.after[0], gradients[0])
