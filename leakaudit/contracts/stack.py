"""Several defenses in order, as one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import torch

from leakaudit.contracts.defense import (
    PUBLISHED_SEED,
    Applied,
    Defense,
    Evidence,
    PrivacyGuarantee,
    ReleaseSetting,
    Stage,
)
from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import epsilon_of
from leakaudit.randomness import generator_for
from leakaudit.types import Levels, SiteLevels


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Stack(Defense):
    """Defenses one after the other; what one makes of a release is what the next is given.

    Written ``[nopeek, gaussian-noise]`` in an audit file. Every part draws its randomness for the
    shapes that enter the stack. The adversary's `evidence` is read back from the last part to the
    first; where a part's `expected` is not linear, the error it is given is an approximation.

    Args:
        chain: the parts, in order, at least two.
    """

    chain: tuple[Defense, ...]

    def __post_init__(self) -> None:
        """Check that the parts go together.

        Raises:
            ConfigError: there are fewer than two, or two that privatize the same training.
        """
        if len(self.chain) < 2:
            raise ConfigError("a stack needs two defenses, as [nopeek, gaussian-noise]")
        for party in ("encoder", "server"):
            private = [part for part in self.chain if part.privatizes(party)]
            if len(private) > 1:
                raise ConfigError(
                    f"{private[0]!r} and {private[1]!r} both privatize the training; keep one"
                )

    def __repr__(self) -> str:
        """The parts with their parameters."""
        return " + ".join(map(repr, self.chain))

    @property
    def parts(self) -> tuple[Defense, ...]:
        """The defenses in order."""
        return self.chain

    def fit(self, setting: ReleaseSetting) -> Stack:
        """Fit each part to what the parts before it release of the auxiliary patients."""
        fitted: list[Defense] = []
        for index, part in enumerate(self.chain):
            fitted.append(part.fit(setting))
            if index == len(self.chain) - 1:
                break
            # Any draw does: it is of no patient's whose release is protected.
            levels: SiteLevels = tuple(
                fitted[-1].release(own, generator=generator_for(0, "fit", index, site))
                for site, own in enumerate(setting.auxiliary_levels)
            )
            setting = replace(setting, auxiliary_levels=levels)
        return replace(self, chain=tuple(fitted))

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """The draws of all parts in a row."""
        return tuple(each for part in self.chain for each in part.draw(levels, generator))

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Every part in order."""
        for part, own in self._drawn_by(levels, drawn):
            levels = part.apply(levels, own)
        return levels

    def trace(self, levels: Levels, drawn: Levels) -> tuple[Applied, ...]:
        """Apply part by part, and return each step."""
        steps = []
        for index, (part, own) in enumerate(self._drawn_by(levels, drawn)):
            after, expected = part.apply(levels, own), part.expected(levels)
            steps.append(Applied(part=index, before=levels, after=after, expected=expected))
            levels = after
        return tuple(steps)

    def expected(self, levels: Levels) -> Levels:
        """Return the levels after all that the parts do without chance."""
        for part in self.chain:
            levels = part.expected(levels)
        return levels

    def evidence(self, released: Levels) -> Evidence:
        """The last part's, read by the part before it, and so on."""
        *before, last = self.chain
        estimate = last.evidence(released)
        for part in reversed(before):
            estimate = part.evidence_from(estimate)
        return estimate

    def draw_returned(self, gradients: Levels, generator: torch.Generator) -> Levels:
        """The draws of all parts in a row."""
        return tuple(
            each for part in self.chain for each in part.draw_returned(gradients, generator)
        )

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        """Every part in order."""
        return self.trace_returned(gradients, drawn)[-1].after

    def trace_returned(self, gradients: Levels, drawn: Levels) -> tuple[Applied, ...]:
        """Change what returns part by part, and return each step."""
        steps = []
        for index, (part, own) in enumerate(self._drawn_by(gradients, drawn, returned=True)):
            after = part.apply_returned(gradients, own)
            steps.append(Applied(part=index, before=gradients, after=after, expected=gradients))
            gradients = after
        return tuple(steps)

    def privatizes(self, party: str) -> bool:
        """Whether one of the parts does."""
        return any(part.privatizes(party) for part in self.chain)

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee | None:
        """The guarantee of the whole, or none.

        A part's claim about releases stands beside any other parts: what comes before it is
        clipped, what comes after it sees nothing else; of several the smallest epsilon. A claim
        about weights stands if no other part lets the training see raw images. DP-SGD and noise on
        the releases of the training compose to a claim about both. Anything else claims nothing.
        """
        # What would hold with secret noise; that this run's is not secret is said at the end.
        claims = [part.guarantee(releases, reproducible=False) for part in self.chain]
        made = [claim for claim in claims if claim is not None]
        if not made:
            return None
        whole = self._whole(made)
        learns = [part for part in self.chain if _learns_from_images(part)]
        if learns and whole.covers != "releases":
            reason = f"{learns[0]!r} lets the encoders learn from raw images of a whole batch"
            whole = whole.withdrawn(reason)
        if whole.claimed and reproducible:
            return replace(whole, claimed=False, reason=PUBLISHED_SEED)
        return whole

    def _whole(self, claims: list[PrivacyGuarantee]) -> PrivacyGuarantee:
        about_releases = [claim for claim in claims if claim.covers == "releases"]
        if about_releases:
            return min(
                about_releases,
                key=lambda claim: (not claim.claimed, claim.epsilon or math.inf),
            )
        of = {claim.covers: claim for claim in claims}
        if len(claims) == 2 and set(of) == {"training releases", "weights"}:
            return _composed(of["training releases"], of["weights"])
        if len(claims) == 1:
            return claims[0]
        return claims[0].withdrawn(
            "leakaudit knows no claim of these defenses together, only of each alone"
        )

    def _drawn_by(
        self, levels: Levels, drawn: Levels, *, returned: bool = False
    ) -> Iterator[tuple[Defense, Levels]]:
        """Every part with the draws that are its own."""
        none = tuple(level[:0] for level in levels)
        start = 0
        for part in self.chain:
            # How many tensors a part draws is seen from a batch of none.
            drawing = part.draw_returned if returned else part.draw
            count = len(drawing(none, torch.Generator()))
            yield part, drawn[start : start + count]
            start += count


def _learns_from_images(part: Defense) -> bool:
    """Whether it adds to the training what is not clipped; what it overrides says so."""
    kind = type(part)
    if kind.penalty is not Defense.penalty or kind.companion is not Defense.companion:
        return True
    return Stage.TRAINING in part.acts_on and not part.privatizes("encoder")


def _composed(sent: PrivacyGuarantee, weights: PrivacyGuarantee) -> PrivacyGuarantee:
    """DP-SGD and noise on every release of the training: ``mu`` adds up in squares.

    Reference: Dong, Roth and Su 2022 (arXiv:1905.02383), corollary 3.3.
    """
    whole = replace(
        sent,
        mechanism=f"{weights.mechanism}; {sent.mechanism}",
        assumptions=tuple(dict.fromkeys((*weights.assumptions, *sent.assumptions))),
        covers="training",
        lacks_private_training=False,
    )
    if not weights.claimed:
        return whole.withdrawn(weights.reason)
    if not sent.claimed and not sent.lacks_private_training:
        return whole.withdrawn(sent.reason)
    if not (weights.mu and sent.mu and weights.delta and sent.delta):
        return whole.withdrawn("one of the parts does not say its Gaussian-DP parameter")
    mu, delta = math.hypot(weights.mu, sent.mu), min(weights.delta, sent.delta)
    return replace(
        whole, claimed=True, epsilon=epsilon_of(delta, mu), delta=delta, mu=mu, reason=""
    )
