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
        position: ``label site`` (server), ``data site``, ``aggregator`` or ``eavesdropper``.
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
                "knows how the encoders are built and which defence is on. It has patients of its "
                "own, and can have any image of its own encoded and released by the trained "
                "encoders as often as it likes, as a site that takes part can. It does not hold "
                "the encoders' weights. Its masks, and the cut gradients that it computes, are "
                "not used against the patients here."
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
                "In the SplitFed variant an aggregator averages the encoders. It holds their "
                "weights before training and at the end, receives at both times the weight "
                "gradient of a batch that holds a slice of one training patient, alone or among "
                "other patients' (`gradient_batch`), and knows the cut gradients that the label "
                "site returned for it. It has patients of its "
                "own with masks, and can compute the same gradients for them, as whoever also "
                "runs the label site can. It is shown no activations."
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
                "them at the same two times, which shows it the weight gradients and cut gradients "
                "of its own patients alone."
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
