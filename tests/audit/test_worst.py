"""The reported leakage is the worst attack's, and a missing figure never looks like protection."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.audit.results.worst import worst_cases
from leakaudit.records import (
    CellRecord,
    Interval,
    Leakage,
    Reidentification,
    State,
    TargetRecord,
    Utility,
    WorstCase,
)
from tests.configured import a_defense, a_plugin


def interval(mean: float) -> Interval:
    return Interval(mean=mean, low=mean - 0.01, high=mean + 0.01, n=5, method="t")


def target(name: str, dice: float, **changes: Any) -> TargetRecord:
    plain: dict[str, Any] = {
        "target": name,
        "kind": "split",
        "sites": (("T1w",), ("FLAIR",)),
        "cut_level": 2,
        "shared_skips": (0, 1),
        "features": (4, 4, 4, 8, 8, 4),
        "parameters": 1,
        "defense": a_defense(f"{name}()"),
        "fitted_defense": (a_defense(f"{name}()"),),
        "seed": 0,
        "epochs": 1,
        "utility": Utility(mean=interval(dice), by_class={}, absent={}, patients=()),
        "untrained_dice": 0.05,
        "noise_to_signal": None,
        "state": State.OK,
    }
    return TargetRecord(**{**plain, **changes})


def cell(of: str, attack: str, ssim: float | None, victims: str = "inference") -> CellRecord:
    leakage = None
    if ssim is not None:
        leakage = Leakage(
            ssim_brain=interval(ssim),
            ssim_image=interval(ssim),
            psnr=None,
            ncc=interval(ssim),
            ssim_tumour=None,
            blind_floor=0.2,
            blind_floor_name="mean",
            outline_floor=0.3,
            advantage=interval((ssim - 0.2) / 0.8),
            reidentification=Reidentification(
                top1=0.2, low=0.0, high=0.7, chance=0.1, gallery=10, n=5, blind_top1=0.2
            ),
            patients=(),
            objective_first=1.0,
            objective_last=0.5,
        )
    return CellRecord(
        cell=f"{of}-{attack}-{victims}",
        target=of,
        cut_level=2,
        shared_skips=(0, 1),
        defense=a_defense(f"{of}()"),
        attack=a_plugin(f"{attack}()"),
        attack_name=attack,
        threat="curious-server",
        victims=victims,
        releases=1,
        seed=0,
        state=State.TIMED_OUT if leakage is None else State.OK,
        reason="took too long" if leakage is None else "",
        leakage=leakage,
    )


def cases(*records: TargetRecord | CellRecord) -> dict[tuple[str, str], WorstCase]:
    targets = [record for record in records if isinstance(record, TargetRecord)]
    cells = [record for record in records if isinstance(record, CellRecord)]
    return {(case.target, case.victims): case for case in worst_cases(targets, cells)}


def test_the_worst_attack_is_reported_and_the_weakest_beside_it() -> None:
    found = cases(target("A", 0.6), cell("A", "weak", 0.3), cell("A", "strong", 0.8))
    case = found["A", "inference"]
    assert case.worst == "A-strong-inference"
    assert case.weakest == "A-weak-inference"
    assert case.misled_by == pytest.approx(0.5)


def test_a_defense_whose_strong_attack_crashed_is_on_no_front_and_pushes_nobody_off() -> None:
    found = cases(
        target("A", 0.6),
        cell("A", "weak", 0.3),
        cell("A", "strong", 0.8),
        target("B", 0.6),
        cell("B", "weak", 0.25),
        cell("B", "strong", None),
    )
    assert found["A", "inference"].pareto
    assert not found["B", "inference"].pareto
    assert found["B", "inference"].incomplete == ("strong under curious-server: timed-out",)


def test_an_attack_that_saw_other_epochs_is_another_attack() -> None:
    def saw(epochs: tuple[int, ...], of: str, ssim: float | None) -> CellRecord:
        made = cell(of, "gradients", ssim)
        seen = {"gradient_checkpoints": epochs, "cell": f"{of}-{epochs}"}
        return made.model_copy(update=seen)

    found = cases(
        target("A", 0.6),
        saw((0,), "A", 0.3),
        saw((0, 4), "A", 0.8),
        target("B", 0.6),
        saw((0,), "B", 0.2),
        saw((0, 4), "B", None),
    )
    first = found["A", "inference"]
    assert (first.worst, first.weakest, first.misled_by) == ("A-(0, 4)", "A-(0, 4)", 0.0)
    assert first.pareto
    assert not found["B", "inference"].pareto


def test_a_dominated_setting_is_off_the_front() -> None:
    found = cases(target("A", 0.6), cell("A", "x", 0.5), target("B", 0.5), cell("B", "x", 0.5))
    assert found["A", "inference"].pareto
    assert not found["B", "inference"].pareto


def test_what_does_not_cross_is_compared_with_the_defenses_of_its_cut_level() -> None:
    shaped = [
        target("A", 0.6),
        target("B", 0.5, shared_skips=()),
        target("C", 0.55, bottleneck=4),
        target("D", 0.1, cut_level=1, shared_skips=(0,), bottleneck=4),
    ]
    leaks = zip("ABCD", (0.5, 0.5, 0.4, 0.9), strict=True)
    found = cases(*shaped, *(cell(name, "x", ssim) for name, ssim in leaks))
    front = {name for (name, _), case in found.items() if case.pareto}
    assert front == {"A", "C", "D"}  # B is worth less than A and leaks as much
    assert [case.bottleneck for case in found.values()] == [None, None, 4, 4]


def test_a_network_that_may_be_worth_nothing_is_on_no_front() -> None:
    def gain(mean: float, low: float | None) -> Interval:
        high = None if low is None else 2 * mean - low
        return Interval(mean=mean, low=low, high=high, n=3 if low is not None else 1, method="t")

    found = cases(
        target("A", 0.6, above_untrained=gain(0.5, 0.1)),
        cell("A", "x", 0.9),
        target("B", 0.2, above_untrained=gain(0.1, -0.1)),
        cell("B", "x", 0.1),
        # One victim, of whom there is no interval.
        target("C", 0.4, above_untrained=gain(0.3, None)),
        cell("C", "x", 0.5),
    )
    assert found["A", "inference"].pareto
    assert not found["B", "inference"].pareto
    assert found["C", "inference"].pareto


def test_victims_of_training_and_inference_are_never_compared() -> None:
    found = cases(target("A", 0.6), cell("A", "x", 0.3), cell("A", "y", 0.9, victims="training"))
    assert found["A", "inference"].worst == "A-x-inference"
    assert found["A", "training"].worst == "A-y-training"


def test_what_is_missing_is_counted_with_the_victims_it_is_about() -> None:
    on_members = cell("A", "y", 0.9, victims="training")
    found = cases(target("A", 0.6), cell("A", "x", 0.3), cell("A", "z", None), on_members)
    assert found["A", "inference"].incomplete == ("z under curious-server: timed-out",)
    assert found["A", "training"].incomplete == ()
    silent = cell("A", "y", None, victims="training")
    found = cases(target("A", 0.6), cell("A", "x", 0.3), silent)
    assert found["A", "inference"].incomplete == ("y under curious-server: timed-out",)


def test_without_any_figure_there_is_a_case_without_a_worst_attack() -> None:
    found = cases(target("A", 0.6), cell("A", "x", None))
    assert found["A", "inference"].worst is None
    assert found["A", "inference"].ssim_brain is None
    assert not found["A", "inference"].pareto


def test_an_attack_that_broke_down_makes_no_defense_better_than_a_guess_is() -> None:
    # Both settings leak what the blind guess (0.2) gets; A is worth more, so B is off the front.
    found = cases(target("A", 0.6), cell("A", "x", 0.1), target("B", 0.5), cell("B", "x", -0.3))
    assert found["A", "inference"].pareto
    assert not found["B", "inference"].pareto


def test_only_attacks_under_the_same_conditions_say_what_misled() -> None:
    alone, filled = (
        cell("A", attack, ssim, "training").model_copy(update={"gradient_batch": batch})
        for attack, ssim, batch in (("one", 0.6, 1), ("eight", 0.3, 8))
    )
    found = cases(target("A", 0.6), alone, filled)["A", "training"]
    assert found.worst == alone.cell == found.weakest
    assert found.misled_by == 0


def test_other_sites_images_are_a_case_for_each_site() -> None:
    one, other = (
        cell("A", "x", ssim, "training").model_copy(
            update={"recovers": "other-site images", "site": site, "cell": site}
        )
        for ssim, site in ((0.6, "T1w"), (0.4, "FLAIR"))
    )
    found = worst_cases([target("A", 0.6)], [one, other])
    assert [(case.site, case.worst) for case in found] == [("FLAIR", "FLAIR"), ("T1w", "T1w")]


def test_a_control_on_the_same_network_is_no_leakage_of_it() -> None:
    control = cell("a", "decoder", 0.9).model_copy(update={"control_only": True, "cell": "control"})
    (case,) = worst_cases([target("a", 0.5)], [cell("a", "decoder", 0.6), control])
    assert case.ssim_brain is not None
    assert case.ssim_brain.mean == 0.6
