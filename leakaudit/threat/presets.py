"""Named threat models: who the adversary is, what it holds, in terms and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from leakaudit.contracts import Capability
from leakaudit.errors import ConfigError


@final
@dataclass(frozen=True, kw_only=True)
class Threat:
    """A threat model.

    Args:
        name: preset name.
        position: ``label site`` (server), ``data site``, ``aggregator``, ``label site and
            aggregator``, ``server without the masks`` or ``eavesdropper``.
        behaviour: ``honest-but-curious`` or ``malicious``.
        capabilities: what the adversary holds.
        victims: ``inference`` (patients never trained on) or ``training`` (members).
        words: the same in words, for the report.
    """

    name: str
    position: str
    behaviour: str
    capabilities: frozenset[Capability]
    victims: str
    words: str


_CURIOUS_SERVER = frozenset(
    {
        Capability.ACTIVATIONS,
        Capability.REPEATED_RELEASES,
        Capability.ENCODER_ARCHITECTURE,
        Capability.ENCODER_QUERIES,
        Capability.SERVER_WEIGHTS,
        Capability.COHORT_RELEASES,
        Capability.AUXILIARY_PATIENTS,
        Capability.DEFENSE_PARAMETERS,
    }
)

PRESETS: dict[str, Threat] = {
    threat.name: threat
    for threat in (
        Threat(
            name="curious-server",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_CURIOUS_SERVER,
            victims="inference",
            words=(
                "The label site follows the protocol and keeps every activation it receives. It "
                "knows how the encoders are built and which defense is on. It has patients of its "
                "own, and can have any image of its own encoded and released by the trained "
                "encoders as often as it likes, as a site that takes part can. It does not hold "
                "the encoders' weights. It holds its own part of the trained network, the masks "
                "of its own patients, and what training patients released at the end of "
                "training (up to 6 slices of each of up to 16 patients, who are not those under "
                "attack). The victims' masks, and the cut gradients that it computes, are not "
                "used against the patients here."
            ),
        ),
        Threat(
            name="curious-server-with-encoder",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_CURIOUS_SERVER | {Capability.ENCODER_WEIGHTS},
            victims="inference",
            words=(
                "As curious-server, and the label site also holds the trained encoders, as it does "
                "where it distributes the model to the hospitals."
            ),
        ),
        Threat(
            name="curious-server-with-candidates",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.ACTIVATIONS,
                    Capability.REPEATED_RELEASES,
                    Capability.ENCODER_QUERIES,
                    Capability.CANDIDATES,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="inference",
            words=(
                "The label site follows the protocol and keeps every activation it receives. It "
                "holds images of candidate patients, as a registry or a former hospital of theirs "
                "would, and asks which of them it was sent: all patients of the audit but its own "
                "are candidates, the victims among them. It can have any image encoded and "
                "released as often as it likes, as a site that takes part can. Nothing but who is "
                "who may be asked under this threat, since the victims' images are on the list."
            ),
        ),
        Threat(
            name="curious-server-in-training",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.TRANSCRIPT,
                    Capability.TRANSCRIPT_QUERIES,
                    Capability.ACTIVATIONS,
                    Capability.ENCODER_QUERIES,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.SERVER_WEIGHTS,
                    Capability.COHORT_RELEASES,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "The label site follows the protocol and keeps what it receives while the network "
                "trains: each epoch releases a slice of every training patient once more, through "
                "encoders that have moved on, the defense on. Each epoch's release is made here "
                "with the encoders as they are at its end; the patient's other slices cross as "
                "well, and are not used. The label site has patients of its own and can have them "
                "encoded and released in each of these epochs, as a site that takes part can. It "
                "holds its own part of the network and what other training patients released at "
                "the end, not the encoders' weights. The masks and cut gradients that it has are "
                "not used against the patients here."
            ),
        ),
        Threat(
            name="aggregator",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.WEIGHT_GRADIENTS,
                    Capability.CUT_GRADIENTS,
                    Capability.GRADIENT_QUERIES,
                    Capability.ENCODER_WEIGHTS,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "In the SplitFed variant an aggregator averages the encoders of sites that hold "
                "the same modalities; here one site holds each, as if alone in its round. It holds "
                "their weights at some moments of training (gradient_checkpoints), receives at "
                "each of them the weight gradient of a batch that holds a slice of one training "
                "patient, alone or among other patients' (gradient_batch), and knows the cut "
                "gradients that the label site returned for it. It has patients of its own with "
                "masks, and can compute the same gradients for them, as the owner of the "
                "label site can. It is shown no activations."
            ),
        ),
        Threat(
            name="aggregator-alone",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.WEIGHT_GRADIENTS,
                    Capability.GRADIENT_QUERIES,
                    Capability.ENCODER_WEIGHTS,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "As aggregator, but it does not run the label site: no cut gradient reaches it. It "
                "has patients of its own with masks, and as a site that takes part can train on "
                "them at the same moments, which shows it the weight gradients and cut gradients "
                "of its own patients alone."
            ),
        ),
        Threat(
            name="aggregator-of-rounds",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.WEIGHT_UPDATES,
                    Capability.UPDATE_QUERIES,
                    Capability.ENCODER_WEIGHTS,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "In the SplitFed variant an aggregator averages the encoders once a round, and "
                "never sees a single gradient: what reaches it is how far a round of several "
                "optimizer steps (round_steps) on a batch with one training patient's slice "
                "(gradient_batch) moved a site's weights, at some moments of training "
                "(gradient_checkpoints). It does not run the label site. It has patients of its "
                "own with masks, and as a site that takes part can let the same rounds be trained "
                "on them."
            ),
        ),
        Threat(
            name="server-and-aggregator",
            position="label site and aggregator",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.ACTIVATIONS,
                    Capability.ENCODER_QUERIES,
                    Capability.WEIGHT_GRADIENTS,
                    Capability.CUT_GRADIENTS,
                    Capability.GRADIENT_QUERIES,
                    Capability.ENCODER_WEIGHTS,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "In the SplitFed variant one party runs the label site and averages the encoders. "
                "It sees what an aggregator sees, and besides what the slice of the training "
                "patient is released as once more at the end of training; the releases that the "
                "gradients belong to are not used. It has patients of its own with masks, and can "
                "compute for them what it sees of others."
            ),
        ),
        Threat(
            name="curious-site",
            position="data site",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.OWN_MODALITIES,
                    Capability.OWN_CUT_GRADIENTS,
                    Capability.OWN_GRADIENT_QUERIES,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "One of the hospitals follows the protocol and keeps what comes back to it: for a "
                "slice of a training patient its own images, which it has anyway, and the cut "
                "gradient that the label site returned, at some moments of training "
                "(gradient_checkpoints). It has "
                "patients of its own with all modalities and masks, can enrol them in training, "
                "and keeps what comes back for them too. It sees nothing that another site "
                "sends. Each data site is tried in turn."
            ),
        ),
        Threat(
            name="u-shaped-server",
            position="server without the masks",
            behaviour="honest-but-curious",
            capabilities=frozenset(
                {
                    Capability.HEAD_MESSAGES,
                    Capability.HEAD_QUERIES,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "In the U-shaped variant the masks stay at a hospital, which runs the network's "
                "last layer; the server runs what lies between the sites and that layer. It "
                "follows the protocol and keeps, for a slice of a training patient, the features "
                "that it sent to the hospital and the gradient that came back, at some moments of "
                "training (gradient_checkpoints). It has patients of its own with masks, can "
                "enrol them, and keeps the same for them. The activations that it receives, which "
                "are those of curious-server-in-training, are not used here."
            ),
        ),
        Threat(
            name="malicious-server",
            position="label site",
            behaviour="malicious",
            capabilities=frozenset(
                {
                    Capability.ACTIVE_MANIPULATION,
                    Capability.ENCODER_ARCHITECTURE,
                    Capability.AUXILIARY_PATIENTS,
                    Capability.DEFENSE_PARAMETERS,
                }
            ),
            victims="training",
            words=(
                "The label site breaks the protocol: from the first step of training it returns "
                "gradients of its own choice instead of those of the segmentation, and the sites, "
                "which cannot tell, train their encoders by them, the defense on. It keeps what "
                "they release of training patients. It ends the training when it likes, however "
                "long the audited one takes. It has patients of its own and knows how the "
                "encoders are built and which defense is on."
            ),
        ),
    )
}


def threat_named(name: str) -> Threat:
    """The preset of that name.

    Raises:
        ConfigError: there is none; the message lists the presets.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown threat {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
