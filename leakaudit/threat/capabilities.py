"""What each capability of an adversary is, in a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

from leakaudit.contracts import Capability
from leakaudit.threat.presets import PRESETS

MEANINGS: Mapping[Capability, str] = {
    Capability.ACTIVATIONS: (
        "What the sites released of each victim's slice at every level that crosses the cut, the "
        "defense on."
    ),
    Capability.REPEATED_RELEASES: (
        "Every further release of the same slices (releases in the audit file), each with "
        "randomness of its own, which can be averaged."
    ),
    Capability.CUT_GRADIENTS: (
        "The gradients that the label site returned to the sites for a batch with a victim's "
        "slice, at the observed moments of training."
    ),
    Capability.ENCODER_WEIGHTS: (
        "The sites' trained encoders themselves, to compute with and to differentiate."
    ),
    Capability.ENCODER_ARCHITECTURE: (
        "How the sites' encoders are built, so that untrained ones can be made; not their weights."
    ),
    Capability.ENCODER_QUERIES: (
        "Any image of its own encoded and released by the trained encoders, the defense on, as "
        "often as it likes."
    ),
    Capability.SERVER_WEIGHTS: "The label site's own part of the trained network.",
    Capability.COHORT_RELEASES: (
        "What slices of training patients, none of them a victim, were released as at the end of "
        "training; whose they are it is not told."
    ),
    Capability.TRANSCRIPT: (
        "What each epoch of the training released of the victims, through the encoders as they "
        "were at its end."
    ),
    Capability.TRANSCRIPT_QUERIES: (
        "Any image of its own released by the encoders of each epoch, the defense on."
    ),
    Capability.WEIGHT_GRADIENTS: (
        "The gradients of the encoders' weights for a batch with a victim's slice "
        "(gradient_batch), at some moments of training (gradient_checkpoints)."
    ),
    Capability.GRADIENT_QUERIES: (
        "The gradients, of weights and at the cut, that training on batches of its own images and "
        "masks would send at the same moments."
    ),
    Capability.WEIGHT_UPDATES: (
        "How far a round of several steps (round_steps) on a batch with a victim's slice moved "
        "the encoders' weights; no single gradient."
    ),
    Capability.UPDATE_QUERIES: (
        "The updates that the same rounds on batches of its own images and masks would send."
    ),
    Capability.MASKS: "The tumour masks of the victims' slices.",
    Capability.OWN_MODALITIES: "The victims' images in the modalities that its own site holds.",
    Capability.OWN_CUT_GRADIENTS: (
        "The gradients that the label site returned to its own site for a batch with a victim's "
        "slice."
    ),
    Capability.OWN_GRADIENT_QUERIES: (
        "The gradients that would return to its own site for patients of its own whom it enrols."
    ),
    Capability.HEAD_MESSAGES: (
        "In the U-shaped variant, the features sent to the hospital that holds the masks and the "
        "gradient that came back, for a victim's slice."
    ),
    Capability.HEAD_QUERIES: (
        "The same features and gradients for slices of its own that it enrols with masks."
    ),
    Capability.AUXILIARY_PATIENTS: (
        "Patients of its own, with all modalities, who are neither victims nor trained on; their "
        "masks too where the threat has a use for them."
    ),
    Capability.CANDIDATES: (
        "A list of patients with their images, the victims among them, in an order that says "
        "nothing; it shows who may have been released, not who was."
    ),
    Capability.DEFENSE_PARAMETERS: (
        "Which defense is on, with all its parameters; not what it drew at random."
    ),
    Capability.ACTIVE_MANIPULATION: (
        "The label site's place in a training of its own, from the first step: it returns "
        "whatever gradients it likes, and sees what the sites release."
    ),
}


def granting(capability: Capability) -> tuple[str, ...]:
    """The threat presets whose adversary holds it."""
    return tuple(name for name, one in PRESETS.items() if capability in one.capabilities)
