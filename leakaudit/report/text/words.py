"""The report's sentences: who could see what, and how well; no jargon and no verdict."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from leakaudit.records import (
    CellRecord,
    Interval,
    Leakage,
    MaskLeakage,
    Matching,
    ReportRecord,
    State,
    ThreatRecord,
    WorstCase,
)
from leakaudit.report.text.formatting import (
    estimate,
    figure,
    guess_name,
    matched,
    patients_words,
    singled_out,
    spoken,
)
from leakaudit.report.text.pointers import count
from leakaudit.report.text.validity import (
    doubt,
    valid_figures,
    valid_leakage,
    valid_masks,
    valid_matching,
    valid_rebuilt,
)

SUPPORTS = "This supports, and does not replace, the controller's case-by-case assessment."


def headline(record: ReportRecord, targets: Collection[str] | None = None) -> str:
    """The highest observed leakage in the words that the project agreed on.

    Args:
        record: the run.
        targets: keys of the settings that it is about; None for all.
    """
    cells = [
        cell
        for cell in record.cells
        if not cell.control_only and (targets is None or cell.target in targets)
    ]
    images, others = (_highest(cells, what) for what in ("images", "other-site images"))
    masks = max(
        (found for cell in cells if (found := valid_masks(cell))),
        key=lambda found: found.dice.mean,
        default=None,
    )
    more = [_others_words(others)] if others else []
    more += [_masks_words(masks)] if masks else []
    who = max(
        (shares for cell in cells if (shares := valid_matching(cell))),
        key=lambda shares: shares.top1,
        default=None,
    )
    more += [_who_words(who)] if who else []
    if images is None and not more:
        return (
            "Within the tested attacks, budgets and data, no attack gave a valid figure: "
            f"nothing can be said about what could be recovered. {SUPPORTS}"
        )
    if images is None:
        first = (
            "Within the tested attacks, budgets and data, no attack on images gave a valid figure."
        )
        return " ".join([first, *more, SUPPORTS])
    single = max(
        patient.ssim_brain
        for cell in cells
        if cell.recovers == "images" and (one := valid_leakage(cell))
        for patient in one.patients
    )
    first = (
        "Within the tested attacks, budgets and data, the highest observed similarity of a "
        "reconstruction to the original (SSIM inside the brain, 1 is identical) was "
        f"{estimate(images.ssim_brain)} on average over {patients_words(images.ssim_brain.n)}, and "
        f"{figure(single)} for the worst single patient."
    )
    return " ".join([first, *more, *_missing_words(cells), SUPPORTS])


def _missing_words(cells: Sequence[CellRecord]) -> list[str]:
    """That a figure may be too low, where attacks that were planned have none."""
    asked = [cell for cell in cells if cell.state is not State.UNSUPPORTED]
    images = [cell for cell in asked if cell.recovers == "images"]
    if not any(cell.reads_all and valid_leakage(cell) for cell in images):
        return [
            "No attack that reads all it is shown gave a valid figure; what stands here was "
            "recovered from one released tensor alone, so the true worst case may be higher."
        ]
    if any(valid_figures(cell) is None for cell in asked):
        return ["Some planned attacks gave no valid figure, so the true worst case may be higher."]
    return []


def _highest(cells: Sequence[CellRecord], recovers: str) -> Leakage | None:
    return max(
        (
            found
            for cell in cells
            if cell.recovers == recovers and (found := valid_leakage(cell)) is not None
        ),
        key=lambda found: found.ssim_brain.mean,
        default=None,
    )


def _others_words(others: Leakage) -> str:
    return (
        "Of the images that another site holds, one site reached an SSIM inside the brain of "
        f"{estimate(others.ssim_brain)} over {patients_words(others.ssim_brain.n)}, "
        f"{_against(others)}."
    )


def exposure_sentences(
    worst: WorstCase | None, cell: CellRecord | None, threat: ThreatRecord | None
) -> tuple[str, ...]:
    """One to three sentences on what one setting gives away of one kind of victims.

    Args:
        worst: its reported leakage; None if there is none.
        cell: the cell of its worst attack, None if no attack gave a valid figure.
        threat: the preset of that cell.
    """
    sentences: list[str] = []
    leakage, masks, who = valid_leakage(cell), valid_masks(cell), valid_matching(cell)
    if cell is None or (leakage is None and masks is None and who is None):
        sentences.append(
            "No attack gave a valid figure here, so nothing can be said about what could be "
            "recovered. This is not a sign of protection."
        )
    else:
        if who is not None:
            sentences.append(_matched(cell, who, threat))
        if masks is not None:
            sentences.append(_recovered(cell, masks, threat))
        if leakage is not None:
            sentences.append(_recovered(cell, leakage, threat))
            if cell.recovers == "images":  # a site knows already whose images it holds
                sentences.append(_identified(leakage))
        if worst is not None and worst.incomplete:
            missing = count(worst.incomplete)
            what = "attack" if missing == 1 else "attacks"
            sentences.append(
                f"{figure(missing)} planned {what} gave no figure here, so "
                "the true worst case may be higher."
            )
    return tuple(sentences)


def kept_sentence(dice: Interval | None) -> str:
    """Word how well the network of a setting segments."""
    if dice is None:
        return "The tumour segmentation gave no figure in this setting."
    return f"The tumour segmentation reaches a mean Dice of {estimate(dice)}."


def weakest_sentence(worst: WorstCase, weakest: CellRecord | None) -> str:
    """How far the weakest attack alone would have misled; empty if only one attack counts."""
    found = valid_rebuilt(weakest)
    if weakest is None or found is None or worst.misled_by is None:
        return ""
    if worst.advantage is None or worst.advantage.mean <= 0:
        return ""
    whom = kind_words(worst.victims, worst.recovers, worst.site)
    if weakest.cell == worst.worst:
        return (
            f"No other attack on {whom} that reads all it is shown gave a valid figure under the "
            "same conditions; there is none to compare."
        )
    name = spoken(weakest.attack_name, start=False)
    return (
        f"An audit of {whom} with the weakest attack alone ({name}) would have reported "
        f"{figure(found.score.mean)}, i.e. misled by {figure(worst.misled_by)}."
    )


def victims_words(victims: str) -> str:
    """Which patients were attacked."""
    known = {
        "inference": "patients the network never saw in training",
        "training": "patients of the training set",
    }
    return known.get(victims, f"{victims} patients")


def kind_words(victims: str, recovers: str, site: str = "") -> str:
    """Which patients were attacked, and what of them if not all their images."""
    other = f"other sites than {site}" if site else "other sites"
    what = {
        "masks": "the masks of ",
        "other-site images": f"the images that {other} hold of ",
        "identities": "who is who among ",
    }
    return f"{what.get(recovers, '')}{victims_words(victims)}"


# What a party holds by its position, for a reader who never met it; then by what a threat adds.
_HOLDS = {
    "label site": "which holds the masks and the decoder",
    "server without the masks": "which runs the network's middle part",
    "data site": "which holds other images of these patients",
    "aggregator": "which averages the sites' encoders",
    "label site and aggregator": "which are one party",
}
_ADDS = {
    "label site": {
        "encoder-weights": "also the encoders",
        "transcript": "also what crossed in every epoch",
        "candidates": "also images of the candidates",
    },
    "aggregator": {
        "cut-gradients": "with the label site's gradients",
        "weight-updates": "round by round",
    },
}


def party(cell: CellRecord, threat: ThreatRecord | None) -> str:
    """Who ran the attack, as the start of a sentence for readers new to split learning."""
    if threat is None:
        return f"An adversary of preset {cell.threat}"
    if threat.behaviour == "malicious":
        start = f"A malicious {threat.position}"
    elif cell.site:
        start = f"A {threat.position} with {cell.site}"
    else:
        start = f"The {threat.position}"
    holds = _HOLDS.get(threat.position)
    if holds is None:
        return start
    adds = _ADDS.get(threat.position, {})
    more = [words for name, words in adds.items() if name in threat.capabilities]
    return f"{start}, {', '.join([holds, *more])},"


def attacker(cell: CellRecord, threat: ThreatRecord | None) -> str:
    """Who ran the attack."""
    if threat is None:
        return f"an adversary of preset {cell.threat}"
    held = f" with {cell.site}" if cell.site else ""
    described = f"{threat.behaviour} {threat.position}".strip() + held
    article = "an" if described[:1].lower() in "aeiou" or described.startswith("hon") else "a"
    return f"{article} {described}"


def _recovered(
    cell: CellRecord, leakage: Leakage | MaskLeakage, threat: ThreatRecord | None
) -> str:
    name = spoken(cell.attack_name, start=False)
    tensor = f" from one released tensor alone ({cell.tensor.words})" if cell.tensor else ""
    if isinstance(leakage, MaskLeakage):
        score, what, unit = leakage.dice, "the tumour masks", "Dice"
    else:
        score, unit = leakage.ssim_brain, "SSIM inside the brain"
        what = "the other sites' images" if cell.recovers == "other-site images" else "the images"
    return (
        f"The strongest attack on {kind_words(cell.victims, cell.recovers)}, {name} by "
        f"{attacker(cell, threat)} ({cell.threat}), rebuilt {what} of {figure(score.n)} "
        f"of them{tensor} with a mean {unit} of {estimate(score)}, {_against(leakage)}."
    )


def _matched(cell: CellRecord, who: Matching, threat: ThreatRecord | None) -> str:
    shown = "" if who.singles_out else ", which is not shown to be better than chance"
    return (
        f"{spoken(cell.attack_name)} by {attacker(cell, threat)} ({cell.threat}), who holds images "
        f"of {figure(who.gallery)} candidates, told from what was released alone who was sent in "
        f"{matched(who)}{shown}."
    )


def _guess_words(name: str) -> str:
    names = name.split(", ")  # of folds each may have its own
    if "own images alone" in names:
        return "what the site's own images alone say"
    if "own features alone" in names:
        return "what the server's own features alone say"
    return "the best guess that sees nothing"


def _masks_words(masks: MaskLeakage) -> str:
    return (
        "Of the tumour masks of training patients, a mean Dice of "
        f"{estimate(masks.dice)} was recovered over {patients_words(masks.dice.n)}, "
        f"{_against(masks)}."
    )


def _who_words(who: Matching) -> str:
    return (
        "Whose message it is was told, by images of candidates and without a picture, for "
        f"{matched(who)}."
    )


def _against(leakage: Leakage | MaskLeakage) -> str:
    """The floor that a figure stands against, and whether it is shown to lie above it."""
    floor, guess = figure(leakage.blind_floor), _guess_words(leakage.blind_floor_name)
    doubtful = doubt(leakage.advantage)
    if not doubtful or doubtful.startswith("too few"):
        return f"against {floor} for {guess}{', ' if doubtful else ''}{doubtful}"
    return f"which is not shown to exceed the {floor} of {guess}"


def _identified(leakage: Leakage) -> str:
    measured = leakage.reidentification
    if measured.low > max(measured.chance, measured.blind_top1):
        compared = ""
    else:
        compared = f", which is not shown to be better than {guess_name(measured)}"
    gallery = figure(measured.gallery)
    return (
        f"From the rebuilt images the right patient was picked out of {gallery} in "
        f"{singled_out(measured)}{compared}."
    )


def verify_hint(folder: Path) -> str:
    """The command that checks every file, and what writes the report anew.

    Args:
        folder: of a run or of a report, as the user can name it.
    """
    return (
        f"`leakaudit verify {shlex.quote(str(folder))}` says what else is not as it was written; "
        "then run the audit again, which keeps the results that are whole and writes the report "
        "anew"
    )
