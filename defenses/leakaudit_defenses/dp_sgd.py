"""Training by per-patient clipped and noised gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import torch

from leakaudit.api import (
    NEIGHBORS,
    NOT_COVERED,
    PUBLISHED_SEED,
    ConfigError,
    PrivacyGuarantee,
    ReleaseSetting,
    Stage,
    mu_of,
    noise_multiplier,
    normal_like,
    require_between,
    sensitivity,
)
from leakaudit_defenses.epsilon import require_epsilon
from leakaudit_defenses.papers import cited
from leakaudit_defenses.unchanged import ReleaseUnchanged

_ASSUMPTIONS = (
    "Every trainable party, each encoder and the server, clips each patient's gradient to the "
    "same bound and adds its noise itself, with secret and independent randomness.",
    "The loss is a sum over slices, and no layer mixes the slices of a batch.",
    *NEIGHBORS,
    "Who is in which batch is known to the adversary: nothing is gained by sampling.",
    "No party takes more steps than were counted, even if another party asks it to.",
    NOT_COVERED,
)


@final
@dataclass(frozen=True, kw_only=True)
class DpSgd(ReleaseUnchanged):
    """Learn from the sum of each patient's clipped gradient and Gaussian noise (DP-SGD).

    It bounds what the trained weights say about a training patient, and nothing about the
    activations: those of a segmented patient cross as they are, and the attacks of the same
    report show it. The record is the patient: the gradients of a patient's slices in a batch are
    added up before they are clipped.

    Args:
        epsilon: total per training patient over all steps, above 0; ``inf`` for no noise.
        delta: total per patient, at most 0.5.
        clip: L2 bound C of one patient's gradient in a step, at each party.
        parties: ``all``, or ``encoders``, which claims nothing: the server learns from raw
            gradients and steers the encoders by what it returns.

    Reference: Abadi et al. 2016 (arXiv:1607.00133), algorithm 1; per-sample gradients by Opacus
    (Yousefpour et al. 2021).
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 1.0
    parties: str = "all"
    # Set by `fit`: the steps that the noise is made for.
    noise_std: float | None = field(default=None, repr=False, metadata={"fitted": True})
    steps: int | None = field(default=None, repr=False, metadata={"fitted": True})

    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.TRAINING})
    off: ClassVar[Mapping[str, Any] | None] = {"epsilon": math.inf, "clip": 1e12}
    citations = cited("abadi2016deep", "yousefpour2021opacus", "balle2018improving")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range, or ``parties`` is unknown.
        """
        require_epsilon("DpSgd", self.epsilon)
        require_between(self, 1e-30, 0.5, "delta")
        require_between(self, 1e-12, 1e12, "clip")
        if self.parties not in ("all", "encoders"):
            raise ConfigError(f"DpSgd: parties is {self.parties!r}; it is all or encoders")

    def fit(self, setting: ReleaseSetting) -> DpSgd:
        """Fix the noise from the number of parties and of a patient's steps."""
        noise_std = 0.0
        if self.epsilon != math.inf:
            z = noise_multiplier(self.epsilon, self.delta, setting.steps_per_patient)
            # Every site's encoder, and the server: one more party that clips to C.
            noise_std = z * sensitivity(self.clip, setting.sites + 1)
        return replace(self, noise_std=noise_std, steps=setting.steps_per_patient)

    def privatizes(self, party: str) -> bool:
        """Every encoder, and the server unless ``parties`` leaves it out."""
        return party == "encoder" or self.parties == "all"

    def draw_update(
        self, parameters: Sequence[torch.Tensor], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        """Standard normal values of the parameters' shapes."""
        return tuple(normal_like(parameter.detach(), generator) for parameter in parameters)

    def apply_update(
        self, gradients: Sequence[torch.Tensor], drawn: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """Clip each record's joint gradient to C, add up, add ``noise_std * drawn``."""
        if self.noise_std is None:
            raise ConfigError("DpSgd: call fit before training; the noise is not fixed yet")
        squares = [gradient.double().flatten(1).square().sum(dim=1) for gradient in gradients]
        norms = torch.stack(squares).sum(dim=0).sqrt().clamp_min(1e-30)
        factors = (self.clip / norms).clamp(max=1)
        return tuple(
            torch.tensordot(factors.to(gradient), gradient, dims=1) + self.noise_std * noise
            for gradient, noise in zip(gradients, drawn, strict=True)
        )

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        """Epsilon of the trained weights for one training patient, or why nothing is claimed."""
        if self.noise_std is None or self.steps is None:
            raise ConfigError("DpSgd: call fit before guarantee; the noise is not fixed yet")
        del releases
        reason = ""
        if self.parties == "encoders":
            reason = (
                "the server's part learns from unclipped gradients and steers the encoders by what "
                "it returns: a claim needs every trainable party under DP-SGD (parties: all)"
            )
        elif self.epsilon == math.inf:
            reason = "no noise was added"
        elif reproducible:
            reason = PUBLISHED_SEED
        claim = PrivacyGuarantee(
            claimed=not reason,
            epsilon=None if self.epsilon == math.inf else self.epsilon,
            delta=self.delta,
            releases=self.steps,
            mechanism=(
                f"DP-SGD at {'every party' if self.parties == 'all' else 'the encoders alone'}: "
                f"each patient's gradient clipped to {self.clip:.4g} in each of "
                f"{self.steps} steps, noise standard deviation {self.noise_std:.4g} on the sum"
            ),
            assumptions=_ASSUMPTIONS if self.parties == "all" else (),
            reason=reason,
            mu=None if self.epsilon == math.inf else mu_of(self.epsilon, self.delta),
            covers="weights",
            update_noise_std=None if self.epsilon == math.inf else self.noise_std,
        )
        return claim.withdrawn(reason) if self.parties == "encoders" else claim
