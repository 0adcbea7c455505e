"""The Gaussian mechanism on the released activations of one patient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import torch

from leakaudit.api import (
    NEIGHBORS,
    NOT_COVERED,
    PUBLISHED_SEED,
    ConfigError,
    Defense,
    Evidence,
    Levels,
    PrivacyGuarantee,
    ReleaseSetting,
    noise_multiplier,
    normal_like,
    require_between,
    sensitivity,
)
from leakaudit_defenses.epsilon import require_epsilon
from leakaudit_defenses.papers import cited

_OF_USE = (
    "The patient was not among the patients the encoders were trained on (scope: inference).",
    "Encoder weights are not covered.",
)
_OF_TRAINING = (
    "The training has as many epochs as were counted: a label site that goes on beyond them sees "
    "more releases than are covered.",
)
_ASSUMPTIONS = (
    "Every site clips and adds its noise itself, with secret and independent randomness.",
    *NEIGHBORS,
    "The clip bound is fixed beforehand or from auxiliary patients, never from private data.",
    NOT_COVERED,
)


@final
@dataclass(frozen=True, kw_only=True)
class DpGaussian(Defense):
    """Clip each slice's joint vector over the released levels, then add Gaussian noise.

    With clip C at each of S sites, replacing a record moves the joint release by at most
    ``Delta = 2 C sqrt(S)``; the noise's standard deviation is ``z Delta`` with ``z`` from the exact
    curve for all releases of one patient. Per sample; differentiable.

    Args:
        epsilon: total per patient over all its releases, above 0; infinity (``inf`` in an audit
            file) clips, adds no noise at all and claims nothing.
        delta: total per patient, at most 0.5.
        scope: ``inference``: epsilon is for patients that nothing was trained on. ``training``:
            for patients in training, whose slices cross in every epoch; alone it claims nothing,
            since the encoders learn from raw images, and with `dp-sgd` in one stack the whole does.
        clip: L2 bound C of one slice's joint vector; None takes the median norm of the auxiliary
            patients' slices under the freshly initialised encoders.

    Reference: Dwork et al. 2006; Balle and Wang 2018 (arXiv:1805.06530), theorem 8.
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    scope: str = "inference"
    clip: float | None = None
    # Set by `fit`, not by an audit file: releases of one patient are what the noise is made for.
    noise_std: float | None = field(default=None, repr=False, metadata={"fitted": True})
    releases: int | None = field(default=None, repr=False, metadata={"fitted": True})

    citations = cited("dwork2006calibrating", "balle2018improving")
    off: ClassVar[Mapping[str, Any] | None] = {"epsilon": math.inf, "clip": 1e12}

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range, or ``scope`` is unknown.
        """
        require_epsilon("DpGaussian", self.epsilon)
        require_between(self, 1e-30, 0.5, "delta")
        if self.scope not in ("inference", "training"):
            raise ConfigError(f"DpGaussian: scope is {self.scope!r}; it is inference or training")
        if self.clip is not None:
            require_between(self, 1e-12, 1e12, "clip")

    def fit(self, setting: ReleaseSetting) -> DpGaussian:
        """Fix clip and noise from the number of sites, the releases and the auxiliary patients."""
        clip = self.clip
        if clip is None:
            squares = torch.cat([_squares(levels) for levels in setting.auxiliary_levels])
            clip = float(squares.sqrt().median())
        training = self.scope == "training"
        releases = setting.releases_in_training if training else setting.releases_per_patient
        return replace(
            self,
            clip=clip,
            noise_std=self._multiplier(releases) * sensitivity(clip, setting.sites),
            releases=releases,
        )

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Standard normal values of the levels' shapes; none if there is no noise."""
        if math.isinf(self.epsilon):
            return ()
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Clip to the joint norm C, then add ``noise_std * drawn``."""
        _, noise_std = self._fitted()
        clipped = self.expected(levels)
        if not drawn:
            return clipped
        return tuple(level + noise_std * noise for level, noise in zip(clipped, drawn, strict=True))

    def expected(self, levels: Levels) -> Levels:
        """The levels, each sample clipped to the joint norm C."""
        clip, _ = self._fitted()
        # Bounded before the root, whose gradient is infinite for the levels of a blank image.
        factor = (clip / _squares(levels).clamp_min(1e-60).sqrt()).clamp(max=1)
        return tuple(level * factor.to(level).view(-1, *[1] * (level.ndim - 1)) for level in levels)

    def evidence(self, released: Levels) -> Evidence:
        """The release, with the variance of the noise."""
        _, noise_std = self._fitted()
        return Evidence(
            values=released,
            variances=tuple(
                level.new_full((), noise_std**2).expand_as(level) for level in released
            ),
        )

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        """Epsilon for one patient, or the reason why nothing is claimed."""
        clip, noise_std = self._fitted()
        training = self.scope == "training"
        if training:
            releases = self.releases or releases  # of a patient in training, for any patient
        reason, noisy = "", not math.isinf(self.epsilon)
        if not noisy:
            reason = "epsilon is infinite: no noise was added, which hides nothing"
        elif training:
            reason = (
                "the encoders learn from raw images, so a claim needs every trainable party under "
                "DP-SGD: noise added, no DP guarantee claimed"
            )
        elif self.releases != releases:
            reason = f"the noise was made for {self.releases} releases of a patient, not {releases}"
        elif reproducible:
            reason = PUBLISHED_SEED
        return PrivacyGuarantee(
            claimed=not reason,
            epsilon=self.epsilon if noisy else None,
            delta=self.delta if noisy else None,
            releases=releases,
            mechanism=(
                f"Gaussian mechanism per site and slice: clip {clip:.4g}, noise standard deviation "
                f"{noise_std:.4g} on every value"
            )
            if noisy
            else f"Clipping per site and slice to {clip:.4g}, without noise",
            assumptions=(_OF_TRAINING if training else _OF_USE) + _ASSUMPTIONS if noisy else (),
            reason=reason,
            # The noise is that of the fit, for any composition.
            mu=math.sqrt(releases) / self._multiplier(self.releases or releases) if noisy else None,
            clip=clip,
            covers="training releases" if training else "releases",
            noise_std=noise_std if noisy else None,
            lacks_private_training=noisy and training,
        )

    def _multiplier(self, releases: int) -> float:
        """The noise's standard deviation over the sensitivity, 0 for no noise."""
        if math.isinf(self.epsilon):
            return 0.0
        return noise_multiplier(self.epsilon, self.delta, releases)

    def _fitted(self) -> tuple[float, float]:
        if self.clip is None or self.noise_std is None:
            raise ConfigError("DpGaussian: call fit before release; the clip is not fixed yet")
        return self.clip, self.noise_std


def _squares(levels: Levels) -> torch.Tensor:
    """Squared L2 norm of each sample's joint vector over all levels, ``(B,)``, in float64."""
    squares = [level.double().flatten(1).square().sum(dim=1) for level in levels]
    return torch.stack(squares).sum(dim=0)
