"""Made-up reports that fill every figure: test data, no audit ever gave these figures."""

from __future__ import annotations

from typing import Literal

from leakaudit.audit.results.worst import worst_cases
from leakaudit.policy import judge
from leakaudit.records import (
    CellRecord,
    MaskLeakage,
    MaskScore,
    ReleasedTensor,
    ReportRecord,
    State,
    TargetRecord,
)
from tests.configured import a_defense, a_plugin
from tests.policy.test_judging import policy, threshold
from tests.report.sample import VICTIMS, cell, interval, leakage, sample_report, target, utility

STRENGTHS = {
    "GaussianNoise(std={})": (0.5, 1.0, 3.0),
    "GaussianNoise(std={}, relative=True)": (1.0, 2.0, 4.0),
    "LaplaceNoise(scale={})": (0.5, 1.0, 3.0),
    "ActivationDropout(p={}, unit='element')": (0.5, 0.8, 0.95),
    "ActivationDropout(p={}, unit='channel')": (0.5, 0.8, 0.95),
    "TopK(keep={})": (0.3, 0.1, 0.03),
    "Quantization(bits={})": (4, 2, 1),
    "DpGaussian(epsilon={}, delta=1e-05, scope='inference')": (8.0, 64.0, 512.0),
    "DpSgd(epsilon={}, delta=1e-05, clip=1.0, parties='all')": (8.0, 64.0, 512.0),
    "Nopeek(weight={})": (1.0, 3.0, 10.0),
    "Adversarial(weight={}, width=16)": (1.0, 3.0, 10.0),
    "Adversarial(weight=3.0, width=16) + GaussianNoise(std={}, relative=True)": (1.0, 2.0, 4.0),
    "CutGradientNoise(std={})": (1.0, 4.0, 16.0),
    "Shuffled(seed={})": (1, 2, 3),
}
Images = Literal["none", "blurred", "full"]
_ATTACKS = ("activation-inversion", "decoder-inversion")


def twenty_eight(images: Images = "none") -> ReportRecord:
    """The sample with one attack more on four of its settings, judged by a policy that fails."""
    more = [
        cell(cut, index, "decoder-inversion").model_copy(
            update={
                "cell": f"cell-{cut}-{index}-cut-gradients",
                "attack": a_plugin("CutGradientInversion(steps=100)"),
                "attack_name": "cut-gradient-inversion",
            }
        )
        for cut in (1, 2)
        for index in (0, 1)
    ]
    record = sample_report(images=images, cells=(*sample_report().cells, *more))
    assert record.counts.planned == 28
    asked = policy(threshold(limit=0.5))
    verdict = judge(asked, record.targets, record.cells, {"target-2-1", "target-2-2"})
    return record.model_copy(update={"verdict": verdict})


def crowded_report(cuts: tuple[int, ...] = (2,), count: int = len(STRENGTHS)) -> ReportRecord:
    """So many defenses at three strengths each at every cut level, under two attacks."""
    chosen = list(STRENGTHS.items())[:count]
    defenses = ["Identity()", *(name.format(one) for name, given in chosen for one in given)]
    targets: list[TargetRecord] = []
    cells: list[CellRecord] = []
    for cut in cuts:
        for number, defense in enumerate(defenses):
            name = f"target-{cut}-{number}"
            shared = {
                "target": name,
                "cut_level": cut,
                "shared_skips": tuple(range(cut)),
                "defense": a_defense(defense),
            }
            strength = (number - 1) % 3 if number else -1
            dice = 0.66 - 0.015 * (number % 7) - 0.05 * (strength + 1) * (number % 4)
            reached = 0.95 - 0.02 * (number % 11) - 0.14 * (strength + 1) - 0.05 * cut
            trained = {
                "fitted_defense": (a_defense(defense),),
                "utility": utility(dice),
                "guarantee": None,
            }
            targets.append(target(2, 0).model_copy(update=shared | trained))
            for attack, less in zip(_ATTACKS, (0.09, 0.0), strict=True):
                figures = {"cell": f"{name}-{attack}", "leakage": leakage(max(0.1, reached - less))}
                cells.append(cell(2, 0, attack).model_copy(update=shared | figures))
    return sample_report(targets=tuple(targets), cells=tuple(cells), references=())


def watched_report() -> ReportRecord:
    """The sample, where gradient inversion saw one, two and three moments of the training."""
    record = sample_report()
    cells: list[CellRecord] = []
    for one in record.cells:
        if one.attack_name != "gradient-inversion" or one.control_only:
            cells.append(one)
            continue
        for more, epochs in enumerate(((0,), (0, 4), (0, 2, 4))):
            seen = {"gradient_checkpoints": epochs, "cell": f"{one.cell}-{more}"}
            stronger = leakage(one.leakage.ssim_brain.mean + 0.12 * more) if one.leakage else None
            cells.append(one.model_copy(update=seen | {"leakage": stronger}))
    worst = worst_cases(record.targets, cells)
    return record.model_copy(update={"cells": tuple(cells), "worst": worst})


def tensors_report(crashed: tuple[tuple[int, int], ...] = ((1, 1),)) -> ReportRecord:
    """The sample, where tensors of two settings were read alone as well; some attacks crashed."""
    record = sample_report()
    cells = list(record.cells)
    for one in record.cells:
        if one.attack_name != "decoder-inversion" or one.leakage is None or one.cut_level != 2:
            continue
        for site, level in ((2, 0), (1, 2), (1, 0), (1, 1)):
            broke = (site, level) in crashed
            reached = one.leakage.ssim_brain.mean - 0.1 * level - 0.1 * site
            update = {
                "cell": f"{one.cell}-{site}-{level}",
                "attack": a_plugin(f"TensorInversion(site={site}, level={level})"),
                "attack_name": "tensor-inversion",
                "tensor": ReleasedTensor(site=site, level=level),
                "leakage": None if broke else leakage(reached),
                "state": State.FAILED if broke else State.OK,
                "reason": "it broke off" if broke else "",
            }
            cells.append(one.model_copy(update=update))
    worst = worst_cases(record.targets, cells)
    return record.model_copy(update={"cells": tuple(cells), "worst": worst})


def masks_report(count: int = 5) -> ReportRecord:
    """The sample, where decoder inversion recovers the masks of so many patients."""
    record = sample_report()

    def masks(mean: float) -> MaskLeakage:
        scores = [mean - 0.2 * (number * 7 % count) / count for number in range(count)]
        named = [*VICTIMS, *(f"other-{number:03d}" for number in range(count))][:count]
        return MaskLeakage(
            dice=interval(mean, n=count),
            blind_floor=0.2,
            blind_floor_name="average mask",
            advantage=interval((mean - 0.2) / 0.8, n=count),
            patients=tuple(
                MaskScore(patient=patient, dice=score, blind_floor=0.2)
                for patient, score in zip(named, scores, strict=True)
            ),
            without_tumour=0,
            objective_first=1.0,
            objective_last=0.1,
        )

    cells = tuple(
        one.model_copy(
            update={
                "recovers": "masks",
                "leakage": None,
                "mask_leakage": masks(one.leakage.ssim_brain.mean),
            }
        )
        if one.attack_name == "decoder-inversion" and one.leakage and one.state is State.OK
        else one
        for one in record.cells
    )
    worst = worst_cases(record.targets, cells)
    return record.model_copy(update={"cells": cells, "worst": worst})
