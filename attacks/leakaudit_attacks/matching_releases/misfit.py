"""Which misfit to a release an attack descends on: what the defense says, or what was measured.

`Defense.expected` and `Defense.evidence` are hints. Where releases of the adversary's own patients
bear them out they are followed; where not, they compete with what was measured, and own patients
whom nothing was measured on decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final, runtime_checkable

import torch

from leakaudit.api import (
    Capability,
    Images,
    Measured,
    MeasuredLevel,
    Observation,
    SiteLevels,
    hints_hold,
    measured,
)
from leakaudit_attacks.decoding.decoder import difference, releases_of
from leakaudit_attacks.matching_releases.activations import ActivationMatch
from leakaudit_attacks.matching_releases.measured import MeasuredMatch
from leakaudit_attacks.matching_releases.pull import Pull, Through
from leakaudit_attacks.matching_releases.surrogate import fitted_pull
from leakaudit_attacks.optimising.engine import Objective, StepRule, search, weighted
from leakaudit_attacks.optimising.priors import total_variation
from leakaudit_attacks.optimising.starts import middle_slices
from leakaudit_attacks.reading_releases.looked import Looked, looked_at

# Own patients that candidates are tried on, and steps of a trial.
_TRIED = 4
# Other own patients whose levels are released again and again.
_MEASURED = 8
_STEPS = 60
# Below this what autograd says of a defense is not followed without a rival.
_FOLLOWED = 0.5
# A rival that leaves less than this share of the start's error needs no learned way back.
_GOOD = 0.4
# Below this share of the variance over draws most draws do little.
_CALM = 0.05


@runtime_checkable
class ReleaseMatch(Protocol):
    """A misfit to what was released."""

    noise_share: torch.Tensor

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value per candidate."""


@final
@dataclass(frozen=True)
class Chosen:
    """A misfit and why it was taken.

    Args:
        match: to the victims' releases.
        notes: one sentence each; none where the hints hold.
    """

    match: ReleaseMatch
    notes: tuple[str, ...] = ()


Completed = Callable[[ReleaseMatch], Objective]


def smoothed(match: ReleaseMatch, tv: float = 2e-4, tv_noise: float = 0.3) -> Objective:
    """A misfit and total variation, which weighs the more the noisier the release is."""
    weight = tv + tv_noise * match.noise_share
    return weighted((1.0, match), (weight, lambda images, step: total_variation(images)))


def release_match(
    observation: Observation, completed: Completed = smoothed, rate: float = 0.05
) -> Chosen:
    """The misfit that serves best on the adversary's own patients.

    Args:
        observation: releases, encoders and defense; without own patients the hints are followed.
        completed: what is minimised in a trial, from a misfit.
        rate: learning rate of a trial.
    """
    if Capability.AUXILIARY_PATIENTS not in observation.granted:
        return Chosen(ActivationMatch(observation))
    mine = middle_slices(observation.auxiliary)
    tried = mine[-max(1, min(_TRIED, observation.layout.victims, len(mine) // 2)) :]
    others = mine[: max(1, len(mine) - len(tried))]
    with torch.no_grad():
        sites = _encoded(observation, others[:_MEASURED])
        found = [measured(observation.defense, levels) for levels in sites]
        hold = all(
            hints_hold(observation.defense, levels, one)
            for levels, one in zip(sites, found, strict=True)
        )
    if hold:
        return Chosen(ActivationMatch(observation))
    makers: dict[str, Callable[[Observation], ReleaseMatch]] = {"told": ActivationMatch}
    through = [Through(observation.defense) for _ in sites]
    makers["measured"] = lambda seen: MeasuredMatch(seen, found, through)
    if any(_calm(level) for one in found for level in one.levels):
        makers["robust"] = lambda seen: MeasuredMatch(seen, found, through, robust=True)
    if any(level.entangled for one in found for level in one.levels):
        makers["mixed"] = lambda seen: MeasuredMatch(seen, found, through, mixed=True)
    looks = _looks(observation, sites, found)
    if looks is not None:
        makers["looked"] = lambda seen: MeasuredMatch(
            _as_seen(seen, looks),
            [each.found for each in looks],
            [Through(each.looked) for each in looks],
        )
    trial = _trial(observation, tried)
    # One patient alone is not a start: that is who is looked for.
    start = torch.full_like(tried, 0.5)
    if len(mine) > len(tried):
        start = others.mean(dim=0, keepdim=True).expand_as(tried)
    astray = any(level.followed < _FOLLOWED for one in found for level in one.levels)

    def error_of(name: str) -> float:
        return _error(completed(makers[name](trial)), start, tried, rate)

    errors = {name: error_of(name) for name in makers}
    if astray and min(errors.values()) > _GOOD * float(difference(start, tried)):
        around: list[Pull] = [
            fitted_pull(observation.defense, levels, one)
            for levels, one in zip(sites, found, strict=True)
        ]
        makers["surrogate"] = lambda seen: MeasuredMatch(seen, found, around)
        errors["surrogate"] = error_of("surrogate")
    best = min(errors, key=lambda name: errors[name])
    note = _note(best, errors)
    if best == "looked" and looks is not None:
        words = dict.fromkeys(each.looked.words for each in looks)
        note += f" They were looked at so: {'; '.join(filter(None, words))}."
    return Chosen(makers[best](observation), (note,))


@final
@dataclass(frozen=True)
class _Site:
    """How one site's releases are looked at, and what was measured so."""

    looked: Looked
    found: Measured


def _looks(
    observation: Observation, sites: SiteLevels, found: Sequence[Measured]
) -> list[_Site] | None:
    """A look at each site's releases where draws hide them; None where none tells more."""
    if not all(one.random for one in found):
        return None
    chosen = []
    for levels in sites:
        best = looked_at(observation.defense, levels)
        if best is None:
            return None
        chosen.append(_Site(*best))
    return chosen


def _as_seen(observation: Observation, looks: Sequence[_Site]) -> Observation:
    """The observation with what the looks make of its releases."""
    releases = tuple(
        tuple(each.looked.seen(levels) for each, levels in zip(looks, release, strict=True))
        for release in releases_of(observation)
    )
    held = {
        Capability.ACTIVATIONS: releases[0],
        Capability.REPEATED_RELEASES: releases,
        Capability.ENCODER_WEIGHTS: observation.encoders,
    }
    return Observation(threat=observation.threat, layout=observation.layout, held=held)


def _calm(level: MeasuredLevel) -> bool:
    """Whether most draws do far less than the variance over all says."""
    return bool(level.usual.mean() < _CALM * level.noise.mean())


def _note(best: str, errors: dict[str, float]) -> str:
    words = {
        "told": "what the defense says of itself (Defense.evidence)",
        "measured": "what releases of own patients show",
        "robust": "what most releases of own patients show, values that are far off left out",
        "looked": "what releases of own patients show in another look at them",
        "mixed": "what releases of own patients show of mixtures of channels",
        "surrogate": "what releases of own patients show, with a learned way back",
    }
    rest = ", ".join(
        f"{error:.3f} by {words[name]}" for name, error in errors.items() if name != best
    )
    return (
        "The defense's hints do not hold on the adversary's own patients, so rivals were tried on "
        f"them: error {errors[best]:.3f} by {words[best]}, which is used; {rest}."
    )


def _error(objective: Objective, start: Images, truth: Images, rate: float) -> float:
    found = search(
        objective,
        start.unsqueeze(0),
        StepRule(learning_rate=rate),
        iterations=_STEPS,
        progress=lambda done, total: None,
    )
    error = float(difference(found.images, truth))
    return error if error == error else float("inf")


def _trial(observation: Observation, images: Images) -> Observation:
    """Copy the observation with releases of own patients in place of the victims'."""
    with torch.no_grad():
        sites = _encoded(observation, images)
        releases = tuple(
            tuple(
                observation.defense.release(levels, generator=_fresh(number, site))
                for site, levels in enumerate(sites)
            )
            for number, _ in enumerate(releases_of(observation))
        )
    held = {
        Capability.ACTIVATIONS: releases[0],
        Capability.REPEATED_RELEASES: releases,
        Capability.ENCODER_WEIGHTS: observation.encoders,
        Capability.DEFENSE_PARAMETERS: observation.defense,
    }
    layout = replace(observation.layout, victims=len(images))
    return Observation(threat=observation.threat, layout=layout, held=held)


def _encoded(observation: Observation, images: Images) -> SiteLevels:
    views = observation.layout.views(images)
    return tuple(encoder(view) for encoder, view in zip(observation.encoders, views, strict=True))


def _fresh(*labels: int) -> torch.Generator:
    seed = sum((label + 7) * 1_000_003**place for place, label in enumerate(labels))
    return torch.Generator().manual_seed(seed)
