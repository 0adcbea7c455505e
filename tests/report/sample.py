"""A made-up report: test data, no audit ever gave these figures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from leakaudit.audit.results.worst import worst_cases
from leakaudit.records import (
    CellRecord,
    Control,
    Cost,
    Counts,
    DataRecord,
    Guarantee,
    Harm,
    Interval,
    Leakage,
    MaskLeakage,
    MaskScore,
    PatientDice,
    PatientScore,
    PluginRecord,
    ReferenceComparison,
    Reidentification,
    ReportRecord,
    SplitRecord,
    State,
    TargetRecord,
    ThreatRecord,
    Utility,
)
from leakaudit.report import Gallery, GalleryItem, draw_gallery
from tests.configured import a_defense, a_plugin

NAME = "SAMPLE (test data, not a real audit)"
VICTIMS = tuple(f"sample-{number:02d}" for number in (3, 7, 11, 16, 19))
TRAIN = tuple(f"sample-{number:02d}" for number in (1, 2, 4, 5, 6, 8, 9, 10, 12))
AUXILIARY = tuple(f"sample-{number:02d}" for number in (13, 14, 15, 17, 18))
MODALITIES = ("T1w", "T1gd", "FLAIR", "T2w")
SITES = (("T1w", "T1gd"), ("FLAIR", "T2w"))
SKIPS = {1: (0,), 2: (0, 1)}
DEFENSES = (
    "Identity()",
    "GaussianNoise(std=1.0)",
    "ActivationDropout(p=0.5)",
    "DpGaussian(epsilon=8.0, delta=1e-05)",
)
DICE = {
    DEFENSES[0]: (0.712, 0.684),
    DEFENSES[1]: (0.694, 0.676),
    DEFENSES[2]: (0.655, 0.662),
    DEFENSES[3]: (0.081, 0.093),
}
NOISE = {DEFENSES[0]: None, DEFENSES[1]: 1.31, DEFENSES[2]: 0.97, DEFENSES[3]: 612.4}
ATTACKS = {
    "activation-inversion": (
        "ActivationInversion(iterations=300, tv=0.01)",
        "curious-server-with-encoder",
        "inference",
    ),
    "decoder-inversion": ("DecoderInversion(epochs=40)", "curious-server", "inference"),
    "gradient-inversion": ("GradientInversion(iterations=400)", "aggregator", "training"),
}
# SSIM inside the brain by cut level, defense and attack; a state where there is no figure.
OUTCOMES: dict[tuple[int, int, str], float | State] = {
    (1, 0, "activation-inversion"): 0.912,
    (1, 0, "decoder-inversion"): 0.874,
    (1, 0, "gradient-inversion"): 0.418,
    (1, 1, "activation-inversion"): 0.337,
    (1, 1, "decoder-inversion"): 0.781,
    (1, 1, "gradient-inversion"): State.FAILED,
    (1, 2, "activation-inversion"): 0.402,
    (1, 2, "decoder-inversion"): 0.766,
    (1, 2, "gradient-inversion"): State.UNSUPPORTED,
    (1, 3, "activation-inversion"): State.CONTROL_FAILED,
    (1, 3, "decoder-inversion"): 0.291,
    (1, 3, "gradient-inversion"): State.UNSUPPORTED,
    (2, 0, "activation-inversion"): 0.846,
    (2, 0, "decoder-inversion"): 0.803,
    (2, 0, "gradient-inversion"): 0.395,
    (2, 1, "activation-inversion"): 0.284,
    (2, 1, "decoder-inversion"): 0.742,
    (2, 1, "gradient-inversion"): State.TIMED_OUT,
    (2, 2, "activation-inversion"): 0.297,
    (2, 2, "decoder-inversion"): 0.729,
    (2, 2, "gradient-inversion"): State.UNSUPPORTED,
    (2, 3, "activation-inversion"): State.CONTROL_FAILED,
    (2, 3, "decoder-inversion"): State.CONTROL_FAILED,
    (2, 3, "gradient-inversion"): State.NOT_RUN,
}
REASONS = {
    State.UNSUPPORTED: "needs encoder weight gradients; this variant sends none under the defense",
    State.FAILED: "RuntimeError: the objective became NaN at iteration 212",
    State.CONTROL_FAILED: "positive control: on the undefended system at cut level 0 the attack "
    "did not exceed the blind floor",
    State.TIMED_OUT: "stopped after 1800 s; 230 of 400 iterations were done",
    State.NOT_RUN: "the run was stopped before this cell",
}
FLOOR = 0.297
OUTLINE = 0.364
_SPREAD = (-0.041, 0.013, 0.028, -0.022, 0.022)


def interval(mean: float, half: float = 0.05, n: int = 5) -> Interval:
    if n == 1:
        return Interval(mean=mean, low=None, high=None, n=1, method="none")
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n, method="t")


@cache
def leakage(ssim: float) -> Leakage:
    hits = 5 if ssim > 0.7 else 2 if ssim > 0.35 else 0
    low, high = {5: (0.478, 1.0), 2: (0.053, 0.853), 0: (0.0, 0.522)}[hits]
    return Leakage(
        ssim_brain=interval(ssim, 0.036),
        ssim_image=interval(min(0.97, 0.5 + ssim / 2), 0.03),
        psnr=interval(14 + 14 * ssim, 1.4),
        ncc=interval(0.2 + 0.8 * ssim, 0.03),
        further={"mae": interval(0.2 * (1 - ssim), 0.01)},
        ssim_tumour=interval(0.9 * ssim, 0.05, n=4),
        blind_floor=FLOOR,
        blind_floor_name="auxiliary mean",
        outline_floor=OUTLINE,
        advantage=interval((ssim - FLOOR) / (1 - FLOOR), 0.036 / (1 - FLOOR)),
        reidentification=Reidentification(
            top1=hits / 5, low=low, high=high, chance=1 / 15, gallery=15, n=5, blind_top1=0.067
        ),
        patients=tuple(
            PatientScore(
                patient=patient,
                ssim_brain=ssim + spread,
                ssim_image=min(0.98, 0.5 + ssim / 2 + spread),
                psnr=14 + 14 * ssim + 10 * spread,
                mae=0.2 * (1 - ssim),
                ncc=0.2 + 0.8 * ssim,
                ssim_tumour=None if patient == VICTIMS[1] else 0.9 * ssim + spread,
                blind_floor=FLOOR + spread / 2,
                outline_floor=OUTLINE + spread / 2,
                tumour_dice=0.7 * ssim + spread,
            )
            for patient, spread in zip(VICTIMS, _SPREAD, strict=True)
        ),
        harm=Harm(reconstruction=interval(0.7 * ssim, 0.1), original=0.71, blind=0.043),
        by_modality={
            name: interval(ssim + spread, 0.04)
            for name, spread in zip(MODALITIES, _SPREAD, strict=False)
        },
        blind_by_modality={
            name: FLOOR + 2 * spread for name, spread in zip(MODALITIES, _SPREAD, strict=False)
        },
        objective_first=1.73,
        objective_last=0.041,
    )


def cell(cut: int, index: int, attack: str) -> CellRecord:
    representation, threat, victims = ATTACKS[attack]
    outcome = OUTCOMES[cut, index, attack]
    failed_control = outcome is State.CONTROL_FAILED
    figures = leakage(outcome) if isinstance(outcome, float) else None
    ran = figures is not None or failed_control
    return CellRecord(
        cell=f"cell-{cut}-{index}-{attack}",
        target=f"target-{cut}-{index}",
        cut_level=cut,
        shared_skips=SKIPS[cut],
        defense=a_defense(DEFENSES[index]),
        attack=a_plugin(representation),
        attack_name=attack,
        threat=threat,
        victims=victims,
        releases=1 if victims == "training" else 3,
        gradient_checkpoints=(0, 4) if victims == "training" else (),
        seed=1,
        state=State.OK if isinstance(outcome, float) else outcome,
        reason="" if isinstance(outcome, float) else REASONS[outcome],
        leakage=figures,
        withheld=leakage(0.1234) if failed_control else None,
        isolation=("namespaces" if index else "process") if ran else "",
        negative_control=Control(
            passed=True,
            detail="on another patient's observation: 0.01 below the blind floor",
            difference=interval(-0.012, 0.02),
        )
        if ran
        else None,
        positive_control=Control(
            passed=not failed_control,
            detail="undefended at cut level 0: 0.00 above the blind floor, expected more than 0.02"
            if failed_control
            else "undefended at cut level 0: 0.58 above the blind floor",
            difference=interval(0.004 if failed_control else 0.58, 0.02),
        )
        if ran
        else None,
        cost=Cost(iterations=300, queries=0, auxiliary_patients=5) if ran else None,
        notes=("Noise is averaged out by training with the defense on.",) if ran else (),
        volatile={"seconds": 61.5 + 40 * index, "pid": 4242} if ran else {},
    )


def utility(mean: float) -> Utility:
    return Utility(
        mean=interval(mean, 0.083),
        by_class={
            "edema": mean + 0.06,
            "non_enhancing": mean - 0.09 if mean > 0.1 else 0.012,
            "enhancing": mean + 0.03,
            "whole_tumour": mean + 0.12,
            "tumour_core": mean + 0.01,
        },
        absent={
            "edema": 0,
            "non_enhancing": 0,
            "enhancing": 1,
            "whole_tumour": 0,
            "tumour_core": 0,
        },
        patients=tuple(
            PatientDice(
                patient=patient,
                edema=mean + 0.06 + spread,
                non_enhancing=max(0.0, mean - 0.09 + spread),
                enhancing=None if patient == VICTIMS[0] else mean + 0.03 + spread,
                whole_tumour=mean + 0.12 + spread,
                tumour_core=mean + 0.01 + spread,
                mean=mean + spread,
            )
            for patient, spread in zip(VICTIMS, _SPREAD, strict=True)
        ),
    )


def target(cut: int, index: int) -> TargetRecord:
    defense = DEFENSES[index]
    noise = NOISE[defense]
    dp = defense.startswith("Dp")
    return TargetRecord(
        target=f"target-{cut}-{index}",
        kind="split",
        sites=SITES,
        cut_level=cut,
        shared_skips=SKIPS[cut],
        features=(16, 16, 32, 64, 128),
        parameters=1_284_312,
        defense=a_defense(defense),
        fitted_defense=(a_defense(defense.replace(")", ", clip=318.4)") if dp else defense),),
        seed=1,
        epochs=60,
        utility=utility(DICE[defense][cut - 1]),
        untrained_dice=0.031,
        noise_to_signal=noise,
        noise_to_signal_by_level={}
        if noise is None
        else {str(level): noise * (1 + 0.1 * level) for level in (*SKIPS[cut], cut)},
        guarantee=Guarantee(
            claimed=cut == 2,
            epsilon=8.0 if cut == 2 else None,
            delta=1e-5 if cut == 2 else None,
            releases=96,
            mechanism="Gaussian mechanism, clip norm 318.4, noise standard deviation 612.4",
            assumptions=(
                "The patient took no part in the training of the encoder.",
                "Three evaluation passes of 32 slices cross the cut.",
                "Labels and returned gradients are not covered.",
            ),
            reason="" if cut == 2 else "the noise comes from a published seed",
            mu=1.666 if cut == 2 else None,
            clip=318.4,
        )
        if dp
        else None,
        state=State.OK,
        volatile={"seconds": 812.0, "device": "cpu"},
    )


def reference(cut: int, kind: str, site: str, mean: float) -> TargetRecord:
    return target(cut, 0).model_copy(
        update={
            "target": f"reference-{cut}-{kind}-{site}",
            "kind": kind,
            "site": site,
            "utility": utility(mean),
        }
    )


def narrow_report() -> ReportRecord:
    """The sample with half of the settings at cut level 2 behind a bottleneck of 4 channels."""
    record = sample_report()
    chosen = {f"target-2-{index}" for index in (2, 3)}
    narrow = {"bottleneck": 4}
    targets = tuple(
        one.model_copy(update=narrow) if one.target in chosen else one for one in record.targets
    )
    cells = tuple(
        one.model_copy(update=narrow) if one.target in chosen else one for one in record.cells
    )
    return record.model_copy(
        update={"targets": targets, "cells": cells, "worst": worst_cases(targets, cells)}
    )


def protected_report() -> ReportRecord:
    """One cut level under noise, a bottleneck and withheld skips, alone and together."""
    settings: list[tuple[str, tuple[int, ...], int | None, float, float]] = [
        ("Identity()", (0, 1), None, 0.684, 0.862),
        ("GaussianNoise(std=0.5)", (0, 1), None, 0.681, 0.803),
        ("GaussianNoise(std=1.0)", (0, 1), None, 0.662, 0.742),
        ("GaussianNoise(std=3.0)", (0, 1), None, 0.571, 0.611),
        ("ActivationDropout(p=0.5)", (0, 1), None, 0.655, 0.793),
        ("Identity()", (0, 1), 4, 0.671, 0.768),
        ("Identity()", (0, 1), 1, 0.601, 0.554),
        ("Identity()", (1,), None, 0.612, 0.643),
        ("Identity()", (), None, 0.433, 0.489),
        ("GaussianNoise(std=1.0)", (0, 1), 4, 0.634, 0.652),
        ("Identity()", (), 4, 0.402, 0.391),
        ("GaussianNoise(std=1.0)", (), 4, 0.377, 0.338),
    ]
    targets, cells = [], []
    for number, (defense, skips, bottleneck, dice, ssim) in enumerate(settings):
        of_all = {
            "target": f"target-{number}",
            "shared_skips": skips,
            "bottleneck": bottleneck,
            "defense": a_defense(defense),
        }
        of_target = {
            "fitted_defense": (a_defense(defense),),
            "utility": utility(dice),
            "guarantee": None,
        }
        targets.append(target(2, 0).model_copy(update=of_all | of_target))
        of_cell = {"cell": f"cell-{number}", "leakage": leakage(ssim)}
        cells.append(cell(2, 0, "decoder-inversion").model_copy(update=of_all | of_cell))
    return sample_report(targets=tuple(targets), cells=tuple(cells), references=())


def sample_report(**changes: Any) -> ReportRecord:
    """Two cut levels, four defenses, three attacks, every state; fields can be replaced."""
    grid = [(cut, index) for cut in SKIPS for index in range(len(DEFENSES))]
    control = cell(1, 0, "activation-inversion").model_copy(
        update={
            "cell": "cell-control",
            "target": "target-control",
            "cut_level": 0,
            "shared_skips": (),
            "control_only": True,
        }
    )
    control_target = target(1, 0).model_copy(
        update={
            "target": "target-control",
            "cut_level": 0,
            "shared_skips": (),
            "control_only": True,
        }
    )
    references = [
        (cut, kind, site, mean)
        for cut in SKIPS
        for kind, site, mean in (
            ("centralised", "", 0.731),
            ("single-site", "T1w, T1gd", 0.522),
            ("single-site", "FLAIR, T2w", 0.561),
        )
    ]
    fields: dict[str, Any] = {
        "name": NAME,
        "audit": {
            "name": NAME,
            "data": {"source": "phantom", "patients": 20},
            "system": {"cut_level": [1, 2], "sites": [list(site) for site in SITES]},
            "seeds": [1],
            "defenses": list(DEFENSES),
            "attacks": [representation for representation, _, _ in ATTACKS.values()],
        },
        "images": "none",
        "data": DataRecord(
            name="phantom",
            fingerprint="5a3b" * 16,
            modalities=MODALITIES,
            patients=20,
            slices=640,
            spatial=(96, 96),
            split=SplitRecord(
                train=TRAIN, validation=("sample-20",), auxiliary=AUXILIARY, victims=VICTIMS
            ),
            simulated=True,
        ),
        "threats": (
            ThreatRecord(
                name="curious-server-with-encoder",
                position="label site",
                behaviour="honest-but-curious",
                capabilities=(
                    "activations",
                    "auxiliary-patients",
                    "encoder-weights",
                    "repeated-releases",
                ),
                victims="inference",
                words="The label site follows the protocol, keeps what it receives, knows the "
                "sites' encoders and has five patients of its own.",
            ),
            ThreatRecord(
                name="curious-server",
                position="label site",
                behaviour="honest-but-curious",
                capabilities=(
                    "activations",
                    "auxiliary-patients",
                    "encoder-queries",
                    "repeated-releases",
                ),
                victims="inference",
                words="The label site follows the protocol, keeps what it receives, can ask the "
                "encoders about its own five patients and does not see their weights.",
            ),
            ThreatRecord(
                name="aggregator",
                position="aggregator",
                behaviour="honest-but-curious",
                capabilities=("weight-gradients", "encoder-weights"),
                victims="training",
                words="The party that averages the encoders sees the weight gradients of every "
                "epoch.",
            ),
        ),
        "plugins": (
            *(
                PluginRecord(
                    name=name,
                    kind="attack",
                    summary=f"Sample summary of {name}.",
                    distribution="leakaudit",
                    version="0.1.0",
                    requires=("activations",),
                )
                for name in ATTACKS
            ),
            *(
                PluginRecord(
                    name=name,
                    kind="defense",
                    summary=f"Sample summary of {name}.",
                    distribution="leakaudit",
                    version="0.1.0",
                )
                for name in ("identity", "gaussian-noise", "activation-dropout", "dp-gaussian")
            ),
        ),
        "targets": (
            *(target(cut, index) for cut, index in grid),
            *(reference(*one) for one in references),
            control_target,
        ),
        "cells": (
            *(cell(cut, index, attack) for cut, index in grid for attack in ATTACKS),
            control,
        ),
        "references": tuple(
            ReferenceComparison(
                cut_level=cut,
                kind=kind,
                site=site,
                seeds=(1,),
                dice=interval(mean, 0.08),
                split_dice=interval(DICE[DEFENSES[0]][cut - 1], 0.083),
                difference=interval(DICE[DEFENSES[0]][cut - 1] - mean, 0.031),
            )
            for cut, kind, site, mean in references
        ),
        "versions": {"python": "3.11.7", "leakaudit": "0.1.0", "torch": "2.9.0", "monai": "1.5.2"},
        "volatile": {"started": "2000-01-01T00:00:00Z", "seconds": 5400.0},
    }
    fields |= changes
    # Found as in a run; a reference's training has no cells and so no case.
    fields.setdefault("worst", worst_cases(fields["targets"], fields["cells"]))
    fields.setdefault("counts", Counts.of(fields["cells"]))
    return ReportRecord(**fields)


def members_leak_more() -> ReportRecord:
    """The sample where gradient inversion works, and recovers more than all other attacks."""
    cells = tuple(
        one.model_copy(update={"state": State.OK, "reason": "", "leakage": leakage(0.987)})
        if one.attack_name == "gradient-inversion"
        else one
        for one in sample_report().cells
    )
    return sample_report(cells=cells)


def mask_cell() -> CellRecord:
    """An attack on masks; only two of the five victims' slices show a tumour."""
    scores = zip(VICTIMS[:2], (0.412, 0.733), (0.21, 0.19), strict=True)
    patients = tuple(MaskScore(patient=one, dice=d, blind_floor=f) for one, d, f in scores)
    return cell(1, 0, "gradient-inversion").model_copy(
        update={
            "cell": "cell-masks",
            "attack": a_plugin("MaskInference(steps=60)"),
            "attack_name": "mask-inference",
            "threat": "curious-site",
            "site": "T1w+T1gd",
            "recovers": "masks",
            "leakage": None,
            "mask_leakage": MaskLeakage(
                dice=interval(0.5725, 0.2, n=2),
                blind_floor=0.2,
                blind_floor_name="own images alone",
                advantage=interval(0.466, 0.21, n=2),
                patients=patients,
                without_tumour=3,
                objective_first=1.2,
                objective_last=0.3,
            ),
        }
    )


def sample_items(of: CellRecord, patient: str) -> list[GalleryItem]:
    """Discs with a bright spot, the same with noise, and a disc of one shade; or the spot alone."""
    number = VICTIMS.index(patient)
    rows, columns = np.mgrid[0:48, 0:48] / 47 - 0.5
    spot = (rows - 0.1 + 0.05 * number) ** 2 + (columns - 0.12) ** 2 < 0.008
    shifted = (rows - 0.13 + 0.05 * number) ** 2 + (columns - 0.12) ** 2 < 0.008
    if of.recovers == "masks":
        return [GalleryItem("tumour mask", spot.astype(float), shifted.astype(float))]
    noise = np.random.default_rng([7, number])
    items = []
    for shift, modality in enumerate(MODALITIES):
        disc = rows**2 * 1.6 + columns**2 * (2.2 - 0.2 * number) < 0.3
        image = disc * (0.35 + 0.08 * shift) + 0.4 * (spot & disc)
        recovered = np.clip(image + noise.normal(0, 0.07, image.shape), 0, 1)
        guess = (rows**2 * 1.6 + columns**2 * 1.8 < 0.3) * (0.4 + 0.08 * shift)
        items.append(GalleryItem(modality, np.clip(image, 0, 1), recovered, guess))
    return items


def sample_gallery(
    cells: tuple[str, ...] | None = ("cell-1-0-activation-inversion",),
    record: ReportRecord | None = None,
) -> Gallery:
    """Pictures of these cells, or of all; at hand for no other cell of the record."""

    def source(of: CellRecord, patient: str) -> list[GalleryItem]:
        return sample_items(of, patient) if cells is None or of.cell in cells else []

    return draw_gallery(sample_report(images="full") if record is None else record, source)
