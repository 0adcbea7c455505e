"""Named threat models: who the adversary is, what it holds, in terms and in words.

A threat is declared here and nowhere else.
"""

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
        who: the adversary in a sentence or two.
        limits: what it does not have, or has and does not use here; may be empty.
    """

    name: str
    position: str
    behaviour: str
    capabilities: frozenset[Capability]
    victims: str
    who: str
    limits: str = ""

    @property
    def words(self) -> str:
        """The threat for a reader: who, what each capability is, and the limits."""
        held = (one.row.words for one in Capability if one in self.capabilities)
        return " ".join(filter(None, (self.who, "It holds:", *held, self.limits)))


_OF_ANYBODY = frozenset({Capability.AUXILIARY_PATIENTS, Capability.DEFENSE_PARAMETERS})
_CURIOUS_SERVER = _OF_ANYBODY | {
    Capability.ACTIVATIONS,
    Capability.REPEATED_RELEASES,
    Capability.ENCODER_ARCHITECTURE,
    Capability.ENCODER_QUERIES,
    Capability.SERVER_WEIGHTS,
    Capability.COHORT_RELEASES,
}
_AGGREGATOR_ALONE = _OF_ANYBODY | {
    Capability.WEIGHT_GRADIENTS,
    Capability.GRADIENT_QUERIES,
    Capability.ENCODER_WEIGHTS,
    Capability.ENCODER_ARCHITECTURE,
}
_AGGREGATOR = _AGGREGATOR_ALONE | {Capability.CUT_GRADIENTS}

PRESETS: dict[str, Threat] = {
    threat.name: threat
    for threat in (
        Threat(
            name="curious-server",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_CURIOUS_SERVER,
            victims="inference",
            who="The label site follows the protocol and keeps every activation it receives.",
            limits=(
                "It does not hold the encoders' weights. The victims' masks, and the cut gradients "
                "that it computes, are not used against the patients here."
            ),
        ),
        Threat(
            name="curious-server-with-encoder",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_CURIOUS_SERVER | {Capability.ENCODER_WEIGHTS},
            victims="inference",
            who=(
                "The label site follows the protocol, keeps every activation it receives, and "
                "distributes the model to the hospitals."
            ),
            limits=(
                "The victims' masks, and the cut gradients that it computes, are not used against "
                "the patients here."
            ),
        ),
        Threat(
            name="curious-server-with-candidates",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_OF_ANYBODY
            | {
                Capability.ACTIVATIONS,
                Capability.REPEATED_RELEASES,
                Capability.ENCODER_QUERIES,
                Capability.CANDIDATES,
            },
            victims="inference",
            who=(
                "The label site follows the protocol and keeps every activation it receives. It "
                "asks which patient it was sent. Its list of candidates may come from a registry "
                "or a former hospital. All patients of the audit except its own are on it."
            ),
            limits=(
                "An attack may ask only who is who under this threat, since the victims' images "
                "are on the list."
            ),
        ),
        Threat(
            name="curious-server-in-training",
            position="label site",
            behaviour="honest-but-curious",
            capabilities=_CURIOUS_SERVER - {Capability.REPEATED_RELEASES}
            | {Capability.TRANSCRIPT, Capability.TRANSCRIPT_QUERIES},
            victims="training",
            who=(
                "The label site follows the protocol and keeps what it receives while the network "
                "trains. Each epoch releases a slice of every training patient once more, through "
                "encoders that have moved on."
            ),
            limits=(
                "It does not hold the encoders' weights. The patient's other slices cross as well, "
                "and are not used. Nor are the masks and the cut gradients that it has."
            ),
        ),
        Threat(
            name="aggregator",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=_AGGREGATOR,
            victims="training",
            who=(
                "In the SplitFed variant an aggregator averages the encoders of sites that hold "
                "the same modalities. Here one site holds each, as if alone in its round. The "
                "aggregator works with the label site, which tells it the cut gradients."
            ),
            limits="It is shown no activations.",
        ),
        Threat(
            name="aggregator-alone",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=_AGGREGATOR_ALONE,
            victims="training",
            who="As aggregator, but it does not run the label site.",
            limits=(
                "No cut gradient of a victim reaches it. Of its own patients it learns them, as a "
                "site that takes part."
            ),
        ),
        Threat(
            name="aggregator-of-rounds",
            position="aggregator",
            behaviour="honest-but-curious",
            capabilities=_OF_ANYBODY
            | {
                Capability.WEIGHT_UPDATES,
                Capability.UPDATE_QUERIES,
                Capability.ENCODER_WEIGHTS,
                Capability.ENCODER_ARCHITECTURE,
            },
            victims="training",
            who=(
                "In the SplitFed variant an aggregator averages the encoders once a round. It is "
                "sent one update for several optimizer steps."
            ),
            limits="It does not run the label site.",
        ),
        Threat(
            name="server-and-aggregator",
            position="label site and aggregator",
            behaviour="honest-but-curious",
            capabilities=_AGGREGATOR | {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES},
            victims="training",
            who=(
                "In the SplitFed variant one party runs the label site and averages the encoders. "
                "It also sees what the training patient's slice is released as once more at the "
                "end of training."
            ),
            limits="The releases that the gradients belong to are not used.",
        ),
        Threat(
            name="curious-site",
            position="data site",
            behaviour="honest-but-curious",
            capabilities=_OF_ANYBODY
            | {
                Capability.OWN_MODALITIES,
                Capability.OWN_CUT_GRADIENTS,
                Capability.OWN_GRADIENT_QUERIES,
                Capability.ENCODER_ARCHITECTURE,
            },
            victims="training",
            who=(
                "One of the hospitals follows the protocol and keeps what comes back to it. Each "
                "data site is tried in turn."
            ),
            limits="It sees nothing that another site sends.",
        ),
        Threat(
            name="u-shaped-server",
            position="server without the masks",
            behaviour="honest-but-curious",
            capabilities=_OF_ANYBODY | {Capability.HEAD_MESSAGES, Capability.HEAD_QUERIES},
            victims="training",
            who=(
                "In the U-shaped variant the masks stay at a hospital, which runs the network's "
                "last layer. The server runs what lies between the sites and that layer, and "
                "follows the protocol."
            ),
            limits=(
                "The activations that it receives, which are those of curious-server-in-training, "
                "are not used here."
            ),
        ),
        Threat(
            name="malicious-server",
            position="label site",
            behaviour="malicious",
            capabilities=_OF_ANYBODY
            | {Capability.ACTIVE_MANIPULATION, Capability.ENCODER_ARCHITECTURE},
            victims="training",
            who=(
                "The label site breaks the protocol. It returns other gradients than those of the "
                "segmentation, and the sites, which cannot tell, train their encoders by them. It "
                "ends the training when it likes."
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
