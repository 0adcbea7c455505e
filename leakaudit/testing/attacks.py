"""The contract of an attack."""

from __future__ import annotations

import io
from functools import partial
from itertools import pairwise

import torch

from leakaudit.contracts import (
    Attack,
    AttackFacts,
    Attempt,
    Capability,
    Observation,
    as_text,
    facts_from,
)
from leakaudit.errors import NotGranted, PluginError
from leakaudit.testing.plugins import check_configuration, untouched


def check_attack(attack: Attack, observation: Observation, *, seed: int = 0) -> Attempt:
    """Check that an attack keeps its contract where it is granted what it needs; its `Attempt`.

    Args:
        attack: configured to be quick, it runs twice.
        observation: of a small system.
        seed: of the attack.

    Raises:
        AssertionError: something does not hold.
        CellError: the reconstruction has another shape, leaves [0, 1] or is not finite, or the
            attack's own objective is not.
    """
    name = type(attack).__name__
    check_configuration(attack)
    _check_facts(attack)
    held = {capability: observation._get(capability) for capability in observation.granted}
    requires: frozenset[Capability] = getattr(attack, "requires", frozenset())
    assert requires, f"{name}.requires is empty; name the capabilities it uses"
    unknown = sorted(map(str, set(requires) - set(Capability)))
    assert not unknown, f"{name}.requires names {', '.join(unknown)}, which no threat grants"
    assert isinstance(requires, frozenset), f"{name}.requires must be a frozenset"
    quietly = partial(attack, seed=seed, progress=lambda done, total: None)
    for lacking in sorted(attack.needs()):
        poorer = {each: value for each, value in held.items() if each != lacking}
        try:
            quietly(Observation(threat="less", layout=observation.layout, held=poorer))
            raise AssertionError(f"{name} runs without {lacking}, which it needs")
        except NotGranted:
            pass

    before = {each: _frozen(each, value) for each, value in held.items()}
    steps: list[tuple[int, int]] = []
    with untouched(f"{name}.run"):
        attempt = attack(observation, seed=seed, progress=lambda *step: steps.append(step))
    changed = [each for each, value in held.items() if _frozen(each, value) != before[each]]
    assert not changed, f"{name} modified its observation ({', '.join(changed)}); work on a copy"
    assert all(0 <= done <= total for done, total in steps), f"{name} reports progress past its end"
    grows = all(earlier < later for (earlier, _), (later, _) in pairwise(steps))
    assert grows, f"{name} reports progress that does not grow"
    result, again = attempt.reconstruction, quietly(observation).reconstruction
    assert torch.equal(result.images, again.images), f"{name} is not repeatable for a given seed"
    return attempt


def _check_facts(attack: Attack) -> None:
    """Check that the facts that an audit asks for can be sent, and arrive unchanged."""
    try:
        known = AttackFacts.of(attack)
        arrived = facts_from(as_text(known))
    except PluginError as error:
        raise AssertionError(f"an audit cannot know {type(attack).__name__}: {error}") from error
    assert arrived == known, f"{attack!r} says {arrived!r} of itself from another process"


def _frozen(capability: Capability, value: object) -> bytes:
    """Freeze the parts of a granted value that an attack could modify, with modules' flags."""
    stream = io.BytesIO()
    if not capability.row.asked and capability != Capability.DEFENSE_PARAMETERS:
        torch.save(value, stream)
    return stream.getvalue()
