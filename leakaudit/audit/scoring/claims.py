"""Whether a privacy claim may be believed: what the run itself measures against it.

A defense says what it claims. Before the claim is written down, the mechanism is audited through
its own releases; after the attacks, what they reached must be possible under the claim. A claim
that fails either test is withdrawn, so that it never helps to a PASS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch

from leakaudit.contracts import Defense, PrivacyGuarantee
from leakaudit.contracts.defense import PUBLISHED_SEED
from leakaudit.dp_audit import audit_mechanism
from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import epsilon_of
from leakaudit.privacy.observed import chance_of_matches, chance_of_successes
from leakaudit.randomness import generator_for, normal_like
from leakaudit.records import (
    CellRecord,
    Guarantee,
    Leakage,
    Matching,
    Reidentification,
    TargetRecord,
)

# Releases a side of the run's own audit: a second, and enough to refute a claim without noise.
_DRAWS = 20_000
# Below this chance, shared by all attacks on a setting, a success contradicts the setting's claim:
# a true and tight claim falls in one of a thousand settings at most.
_IMPOSSIBLE = 1e-3
# What rounding leaves between a claim and the noise that it states.
_ROUNDING = 1e-3


@final
@dataclass(frozen=True)
class CheckedClaim:
    """A claim after the run's own audit.

    Args:
        claim: what is left of it; None if the defense makes none.
        contradiction: what refutes it, as a sentence; empty if nothing does.
    """

    claim: PrivacyGuarantee | None
    contradiction: str = ""


def checked_claim(
    defense: Defense, fitted: Defense, claim: PrivacyGuarantee | None, sites: int, releases: int
) -> CheckedClaim:
    """Audit a claim about what crosses the cut; other claims are returned as they are.

    Args:
        defense: as configured, not fitted.
        fitted: the same as it was fitted to the system.
        claim: what ``fitted`` claims for this run.
        sites: number of data sites.
        releases: how many of one patient in use cross; a claim must cover all.
    """
    if claim is None or claim.epsilon is None or claim.covers == "weights":
        return CheckedClaim(claim)
    if claim.covers == "releases" and claim.releases < releases:
        fewer = f"it covers {claim.releases} releases of a patient, and {releases} cross"
        return CheckedClaim(claim.withdrawn(fewer), fewer)
    secret = fitted.guarantee(claim.releases, reproducible=False)
    if not claim.claimed and not (secret is not None and secret.claimed):
        return CheckedClaim(claim)  # nothing is claimed, with secret noise or without
    if claim.claimed and _repeats(fitted):
        # Anybody who knows the published seed can subtract the noise.
        claim = replace(claim, claimed=False, reason=PUBLISHED_SEED)
    if claim.noise_std is None or claim.clip is None:
        return CheckedClaim(
            claim.withdrawn("it does not state its clip and its noise, so that no run can check it")
        )
    if stated := _states_another(claim, sites):
        return CheckedClaim(claim.withdrawn(stated), stated)
    if unsure := _composes_without_curve(fitted, claim):
        return CheckedClaim(claim.withdrawn(unsure))
    try:
        audit = audit_mechanism(defense, sites=sites, draws=_DRAWS)
    except ConfigError as error:
        return CheckedClaim(claim.withdrawn(f"it cannot be audited: {error}"))
    if audit.refuting:
        worst = max(max(pair.epsilon, pair.epsilon_if_gaussian) for pair in audit.pairs)
        found = (
            f"{fitted!r} claims an epsilon of {audit.claim.epsilon:.4g} for one release; its own "
            f"releases show at least {worst:.4g} (pairs {', '.join(audit.refuting)})"
        )
        return CheckedClaim(claim.withdrawn(found), found)
    return CheckedClaim(claim)


def contradicted_by_attacks(
    targets: Sequence[TargetRecord], cells: Sequence[CellRecord]
) -> tuple[TargetRecord, ...]:
    """The settings without the claims under which an attack's success is all but impossible.

    Args:
        targets: every training of the audit.
        cells: every cell, its reconstruction bound filled in.
    """
    return tuple(_without_false_claim(one, cells) for one in targets)


def _without_false_claim(target: TargetRecord, cells: Sequence[CellRecord]) -> TargetRecord:
    guarantee = target.guarantee
    if guarantee is None or guarantee.epsilon is None or guarantee.covers != "releases":
        return target
    mine = [cell for cell in cells if cell.target == target.target]
    least = _IMPOSSIBLE / max(1, len(mine))
    found = next(filter(None, (_impossible(cell, guarantee, least) for cell in mine)), "")
    if not found:
        return target
    nothing = {"claimed": False, "epsilon": None, "delta": None, "mu": None, "reason": found}
    return target.model_copy(update={"guarantee": guarantee.model_copy(update=nothing)})


def _impossible(cell: CellRecord, claim: Guarantee, least: float) -> str:
    """Why a cell's figures are less likely under a claim than ``least``; empty if they are not."""
    if cell.victims != "inference":
        return ""
    claimed = f"an epsilon of {claim.epsilon:.4g} is contradicted by {cell.attack_name}"
    matching = cell.matching or cell.withheld_matching
    if matching is not None:
        return _unlikely_matches(claimed, claim, matching, least)
    figures: Leakage | None = cell.leakage or cell.withheld
    if figures is None:
        return ""
    success = figures.success
    if success is not None and success.bound is not None:
        chance = chance_of_successes(success.reached, success.n, success.bound)
        if chance < least:
            return (
                f"{claimed}: it rebuilt {success.reached} of {success.n} patients, which has a "
                f"chance of {chance:.1g} under the claim's reconstruction bound"
            )
    if cell.recovers != "images":
        return ""
    return _unlikely_matches(claimed, claim, figures.reidentification, least)


def _unlikely_matches(
    claimed: str, claim: Guarantee, share: Reidentification | Matching, least: float
) -> str:
    """Why so many patients cannot have been picked out under a claim; empty if they can."""
    if claim.epsilon is None:
        return ""
    picked = int(share.top1 * share.n + 1e-9)  # a tie counts in part: never rounded up
    chance = chance_of_matches(
        picked, share.n, share.gallery, claim.epsilon, claim.delta or 0.0, claim.mu
    )
    if chance >= least:
        return ""
    return (
        f"{claimed}: it picked out {picked} of {share.n} patients among {share.gallery}, which has "
        f"a chance of {chance:.1g} under the claim"
    )


def _repeats(fitted: Defense) -> bool:
    """Whether the same seed brings about the same release; what is not a number repeats itself."""
    probe = generator_for(0, "repeated levels")
    levels = tuple(normal_like(torch.empty(shape), probe) for shape in ((2, 3, 4, 4), (2, 5, 2, 2)))
    first, second = (
        fitted.release(levels, generator=generator_for(0, "repeats")) for _ in range(2)
    )
    return all(
        torch.equal(one.nan_to_num(), other.nan_to_num())
        for one, other in zip(first, second, strict=True)
    )


def _composes_without_curve(fitted: Defense, claim: PrivacyGuarantee) -> str:
    """Why a claim over several releases cannot be believed; empty if it can.

    Without a Gaussian-DP parameter only basic composition is known: epsilons add up.
    """
    if claim.mu is not None or claim.releases <= 1 or claim.epsilon is None:
        return ""
    one = fitted.guarantee(1, reproducible=False)
    if one is None or one.epsilon is None:
        return "it claims an epsilon of many releases, and none of one"
    least = claim.releases * one.epsilon
    if claim.epsilon >= least * (1 - _ROUNDING):
        return ""
    return (
        f"it claims an epsilon of {claim.epsilon:.4g} over {claim.releases} releases; one has "
        f"{one.epsilon:.4g}, and together they have {least:.4g} by basic composition"
    )


def _states_another(claim: PrivacyGuarantee, sites: int) -> str:
    """How a claim disagrees with the noise that it states, as a sentence; empty if it agrees."""
    if claim.mu is None or claim.delta is None or claim.covers != "releases":
        return ""
    assert claim.noise_std is not None
    assert claim.clip is not None
    assert claim.epsilon is not None
    # Replacing a record moves S sites' joint vector by 2 C sqrt(S) at most (docs, method).
    sensitivity = 2 * claim.clip * sites**0.5
    mu = claim.releases**0.5 * sensitivity / max(claim.noise_std, 1e-300)
    least = epsilon_of(claim.delta, mu) if mu < 1e3 else float("inf")
    if claim.epsilon >= least * (1 - _ROUNDING):
        return ""
    return (
        f"it claims an epsilon of {claim.epsilon:.4g}; a clip of {claim.clip:.4g} with noise of "
        f"{claim.noise_std:.4g} over {claim.releases} releases gives {least:.4g}"
    )


def recorded_guarantee(claim: PrivacyGuarantee | None, idle: str) -> Guarantee | None:
    """Return a claim as it is recorded; a defense that was off claims nothing, with the reason."""
    if claim is None:
        return None
    if idle:
        claim = claim.withdrawn(idle)
    return Guarantee(
        claimed=claim.claimed,
        epsilon=claim.epsilon,
        delta=claim.delta,
        releases=claim.releases,
        mechanism=claim.mechanism,
        assumptions=claim.assumptions,
        reason=claim.reason,
        mu=claim.mu,
        clip=claim.clip,
        covers=claim.covers,
    )
