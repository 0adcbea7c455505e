"""The one table of what an adversary may hold.

Each row names the attribute of `Observation` by which an attack reads a capability, says what that
holds, and how its use is counted and controlled. Observation, query counter, isolation, plan,
controls, threats and ``leakaudit show`` read this table and keep no list of their own. Reports read
it too, so it needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, final

Trait = Literal[
    "release",  # of the victims; hidden from an attack that requires none
    "cohort release",  # of other patients; hidden together with the victims'
    "every epoch",  # released by the encoders of each epoch
    "adaptive",  # shows what the defense does
    "gradient",  # comes from a backward pass of the training
    "update",  # comes from a round of several steps
    "batch",  # belongs to a batch that holds companions
    "own masks",  # its holder can use the masks of its own patients
]
# How a function that the attack calls is counted: by the images that it sends, by the slices that
# come back, or not at all, since no patient's data is behind it.
Asked = Literal["images sent", "slices received", "uncounted"]
# How a control takes the information away. "shuffled": a query is answered for a random auxiliary
# slice. "swapped": the adversary is shown nothing, then what came back for another victim.
Control = Literal["shuffled", "swapped"]


@final
@dataclass(frozen=True)
class Row:
    """One capability, with all that is true of it.

    Args:
        name: by which threats, attacks and ``leakaudit show`` name it.
        attribute: of `Observation`, by which an attack reads it.
        holds: what the attribute holds, with shapes; for the author of an attack.
        words: what the adversary holds, in a sentence; for everybody.
        traits: the sets that it belongs to.
        asked: how its use is counted, where it is a function; None for a value.
        control: how a control takes its information away; None where none does.
    """

    name: str
    attribute: str
    holds: str
    words: str
    traits: tuple[Trait, ...] = ()
    asked: Asked | None = None
    control: Control | None = None


class Capability(StrEnum):
    """One thing an adversary may hold; a threat model is a set of these."""

    row: Row

    def __new__(cls, row: Row | str) -> Capability:
        """Make a name that carries its row; ``Capability("masks")`` finds one by its name."""
        assert isinstance(row, Row)
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member

    ACTIVATIONS = Row(
        "activations",
        attribute="activations",
        holds="The victims' released levels, per site, each (victims, C, *spatial).",
        words="What the sites release of a victim's slice.",
        traits=("release",),
    )
    REPEATED_RELEASES = Row(
        "repeated-releases",
        attribute="repeated_releases",
        holds="Every release of the victims; the first is `activations`.",
        words="Every further release of that slice, which can be averaged.",
        traits=("release",),
    )
    CUT_GRADIENTS = Row(
        "cut-gradients",
        attribute="cut_gradients",
        holds=(
            "Cut gradients of one batch per victim, at each checkpoint of `weight_gradients`: per "
            "site one tensor (victims * layout.gradient_batch, C, *spatial) per crossing level. "
            "The batches follow each other; in each the victim's slice comes first."
        ),
        words="The cut gradients of a batch with a victim's slice.",
        traits=("gradient", "batch"),
    )
    ENCODER_WEIGHTS = Row(
        "encoder-weights",
        attribute="encoders",
        holds="Every site's encoder at the end of training, in evaluation mode, gradients off.",
        words="The weights of the sites' encoders.",
    )
    ENCODER_ARCHITECTURE = Row(
        "encoder-architecture",
        attribute="untrained_encoders",
        holds="untrained_encoders(seed) builds every site's encoder anew.",
        words="How the encoders are built.",
        asked="uncounted",
    )
    ENCODER_QUERIES = Row(
        "encoder-queries",
        attribute="query",
        holds="query(images, generator) returns what the sites would release of these images.",
        words="Releases of any image of its own, as a site that takes part gets them.",
        traits=("adaptive",),
        asked="images sent",
        control="shuffled",
    )
    SERVER_WEIGHTS = Row(
        "server-weights",
        attribute="server_network",
        holds=(
            "The label site's own network, in evaluation mode, gradients off. It turns what all "
            "sites released (`SiteLevels`) into logits (B, classes, *spatial)."
        ),
        words="The label site's part of the trained network.",
        traits=("own masks",),
    )
    COHORT_RELEASES = Row(
        "cohort-releases",
        attribute="cohort_releases",
        holds=(
            "What slices of training patients were released as at the end, per site (slices, C, "
            "*spatial) per level. None belongs to a victim; no image or mask is known of any."
        ),
        words="Releases of up to 16 training patients who are not victims.",
        traits=("cohort release",),
    )
    TRANSCRIPT = Row(
        "transcript",
        attribute="transcript",
        holds="What each epoch released of the victims, first to last, each as `activations`.",
        words="What each epoch of training released of a victim's slice.",
        traits=("release", "every epoch"),
    )
    TRANSCRIPT_QUERIES = Row(
        "transcript-queries",
        attribute="query_transcript",
        holds="query_transcript(images, generator) returns what each epoch would release of them.",
        words="Releases of any image of its own in each epoch.",
        traits=("every epoch", "adaptive"),
        asked="images sent",
        control="shuffled",
    )
    WEIGHT_GRADIENTS = Row(
        "weight-gradients",
        attribute="weight_gradients",
        holds="Weight gradients of one batch per victim, at each observed checkpoint.",
        words=(
            "The encoders' weight gradients of a batch with a victim's slice (gradient_batch), at "
            "some moments of training (gradient_checkpoints)."
        ),
        traits=("gradient", "batch"),
    )
    GRADIENT_QUERIES = Row(
        "gradient-queries",
        attribute="query_gradients",
        holds=(
            "query_gradients(images, masks, generator) returns what training on them would send, "
            "one entry per observed checkpoint. Images (slices, modalities, *spatial) in [0, 1] "
            "and masks (slices, *spatial); every layout.gradient_batch in a row are a batch."
        ),
        words="All these gradients, and those at the cut, of batches of its own.",
        traits=("gradient", "batch", "own masks"),
        asked="images sent",
        control="shuffled",
    )
    WEIGHT_UPDATES = Row(
        "weight-updates",
        attribute="weight_updates",
        holds=(
            "How a round of several steps on one batch per victim moved the encoders' weights, per "
            "checkpoint as `weight_gradients`. Every party starts the round with a fresh "
            "optimizer, and steps on the same batch each time."
        ),
        words=(
            "How far a round of several steps (round_steps) on a batch with a victim's slice "
            "moved the encoders."
        ),
        traits=("gradient", "update", "batch"),
    )
    UPDATE_QUERIES = Row(
        "update-queries",
        attribute="query_updates",
        holds="query_updates(images, masks, generator) returns what a round on them would send.",
        words="How far such rounds on batches of its own move them.",
        traits=("gradient", "update", "batch", "own masks"),
        asked="images sent",
        control="shuffled",
    )
    MASKS = Row(
        "masks",
        attribute="masks",
        holds="The victims' tumour masks, (victims, *spatial).",
        words="The tumour masks of the victims' slices.",
    )
    OWN_MODALITIES = Row(
        "own-modalities",
        attribute="own_images",
        holds="What a data site itself holds of the victims, (victims, own modalities, *spatial).",
        words="The victims' images in the modalities of its own site.",
    )
    OWN_CUT_GRADIENTS = Row(
        "own-cut-gradients",
        attribute="own_cut_gradients",
        holds=(
            "What returned to the adversary's site for each victim's slice alone: per checkpoint "
            "one tensor (victims, C, *spatial) per crossing level."
        ),
        words="The gradients that came back to its own site for a victim's slice.",
        traits=("gradient",),
        control="swapped",
    )
    OWN_GRADIENT_QUERIES = Row(
        "own-gradient-queries",
        attribute="query_own_gradients",
        holds=(
            "query_own_gradients(images, masks, generator) returns what would come back to the "
            "adversary's own site for them, in the form of `own_cut_gradients`."
        ),
        words="The gradients that come back for patients of its own whom it enrols.",
        traits=("gradient", "own masks"),
        asked="images sent",
        control="swapped",
    )
    HEAD_MESSAGES = Row(
        "head-messages",
        attribute="head_messages",
        holds="What crossed the second cut for each victim's slice alone, per checkpoint.",
        words=(
            "The features that went to the hospital with the masks, and the gradient that came "
            "back, for a victim's slice."
        ),
        traits=("gradient",),
        control="swapped",
    )
    HEAD_QUERIES = Row(
        "head-queries",
        attribute="query_head",
        holds="query_head(images, masks, generator) returns `head_messages` of own slices.",
        words="The same for slices of its own that it enrols with masks.",
        traits=("gradient", "own masks"),
        asked="images sent",
        control="swapped",
    )
    AUXILIARY_PATIENTS = Row(
        "auxiliary-patients",
        attribute="auxiliary",
        holds="The adversary's own patients, as `AuxiliaryPatients`.",
        words="Patients of its own, with masks where it can use them.",
    )
    CANDIDATES = Row(
        "candidates",
        attribute="candidates",
        holds=(
            "Images of candidate patients, (candidates, modalities, *spatial) in [0, 1], the "
            "victims among them in an order that does not tell who they are."
        ),
        words="Images of candidate patients, the victims among them.",
    )
    DEFENSE_PARAMETERS = Row(
        "defense-parameters",
        attribute="defense",
        holds="The defense with all its parameters (Kerckhoffs's principle), not its draws.",
        words="Which defense is on and how it is set, but not what it drew.",
        traits=("adaptive",),
    )
    ACTIVE_MANIPULATION = Row(
        "active-manipulation",
        attribute="exchange",
        holds=(
            "exchange(gradients, of_victims) takes the label site's place in a training of its "
            "own. (None, False) begins: the sites build their encoders anew and release a first "
            "batch of training slices, per site (B, C, *spatial) per level. (gradients, False) "
            "hands every site the cut gradients for its last batch; the site takes one optimizer "
            "step and releases the next. (None, True) returns what the sites now release of the "
            "victims' slices, and leaves no batch to answer."
        ),
        words=(
            "The label site's place in a training of its own, and all that the sites release there."
        ),
        asked="slices received",
    )


def having(*traits: Trait) -> frozenset[Capability]:
    """The capabilities with any of these traits."""
    return frozenset(one for one in Capability if set(traits) & set(one.row.traits))


# What a cell holds of the victims' releases. An attack that requires none of these sees none.
RELEASES = having("release")
