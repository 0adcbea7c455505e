"""What is the same in two reports, and what may not be compared at all."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.comparison import compare_reports, comparison_text
from leakaudit.comparison.configurations import reconfigured, retuned
from leakaudit.comparison.matching import SEVERAL
from leakaudit.errors import UsageError
from leakaudit.records import (
    CellRecord,
    Outcome,
    Policy,
    ReleasedTensor,
    ReportRecord,
    Rule,
    SettingVerdict,
    State,
    TargetRecord,
    Threshold,
    Verdict,
)
from tests.comparison.changed import IDENTITY, NOISE, failed, one_cell, with_cells, with_targets
from tests.configured import a_defense, a_plugin
from tests.report.sample import sample_report

SAMPLE = sample_report()


def renamed(record: ReportRecord) -> ReportRecord:
    """The same audit made by other code, which gives every result another key."""
    cells = tuple(
        one.model_copy(update={"cell": f"new-{one.cell}", "target": f"new-{one.target}"})
        for one in record.cells
    )
    targets = tuple(
        one.model_copy(update={"target": f"new-{one.target}"}) for one in record.targets
    )
    return record.model_copy(update={"cells": cells, "targets": targets})


def test_keys_do_not_matter() -> None:
    found = compare_reports(SAMPLE, renamed(SAMPLE))
    assert found.equal
    assert found.equal_keys == 0
    assert len(found.cells) == 24


def test_the_order_of_patients_settings_and_cells_does_not_matter() -> None:
    backwards = sample_report(
        cells=tuple(
            one.model_copy(
                update={
                    "leakage": one.leakage
                    and one.leakage.model_copy(
                        update={"patients": tuple(reversed(one.leakage.patients))}
                    )
                }
            )
            for one in reversed(SAMPLE.cells)
        ),
        targets=tuple(reversed(SAMPLE.targets)),
    )
    assert compare_reports(SAMPLE, backwards).equal


@pytest.mark.parametrize(
    "changed",
    [
        {"threat": "aggregator"},
        {"site": "T1w+T1gd"},
        {"victims": "training"},
        {"recovers": "other-site images"},
        {"tensor": ReleasedTensor(site=2, level=1)},
        {"releases": 4},
        {"gradient_batch": 4},
        {"gradient_checkpoints": (0, 2)},
        {"round_steps": 4},
        {"seed": 2},
        {"attack_name": "another-inversion"},
        {"attack": a_plugin("DecoderInversion(epochs='forty')")},
        {"attack": a_plugin("Decoder(epochs=40)")},
        {"attack": a_plugin("<no call>")},
    ],
    ids=str,
)
def test_a_cell_that_differs_in_what_it_is_has_no_counterpart(changed: dict[str, Any]) -> None:
    found = compare_reports(SAMPLE, one_cell(IDENTITY, **changed))
    (mine,), (theirs,) = found.cells_only_in_a, found.cells_only_in_b
    assert mine.key == theirs.key == IDENTITY
    assert mine.measured
    assert found.is_incomplete
    assert len(found.cells) == 23


@pytest.mark.parametrize(
    "changed",
    [
        {"defense": a_defense("LaplaceNoise(scale=2.0)")},
        {"defense": a_defense("GaussianNoise(std=2.0) + Rounding(bits=4)")},
        {"cut_level": 3},
        {"shared_skips": ()},
        {"bottleneck": 4},
        {"seed": 2},
        {"sites": (("T1w", "FLAIR"), ("T1gd", "T2w"))},
        {"kind": "centralised"},
    ],
    ids=str,
)
def test_a_setting_that_differs_in_what_it_is_has_no_counterpart(changed: dict[str, Any]) -> None:
    other = with_targets(
        lambda one: one.model_copy(update=changed) if one.target == "target-1-1" else one
    )
    found = compare_reports(SAMPLE, other)
    (mine,), (theirs,) = found.settings_only_in_a, found.settings_only_in_b
    assert mine.target == theirs.target == "target-1-1"
    assert mine.cells == theirs.cells == 3
    assert len(found.cells_only_in_a) == len(found.cells_only_in_b) == 3
    assert found.is_incomplete


def test_what_b_alone_has_makes_nothing_worse_or_incomplete() -> None:
    fewer = with_cells(lambda one: None if one.cell == IDENTITY else one)
    found = compare_reports(fewer, SAMPLE)
    assert [one.key for one in found.cells_only_in_b] == [IDENTITY]
    assert not found.equal
    assert not found.is_incomplete
    assert compare_reports(SAMPLE, fewer).is_incomplete


def test_another_number_of_iterations_matches_approximately() -> None:
    found = compare_reports(
        SAMPLE, one_cell(IDENTITY, attack=a_plugin("DecoderInversion(epochs=80)"))
    )
    (row,) = [one for one in found.cells if one.cell_a == IDENTITY]
    (change,) = row.changes
    assert (change.kind, change.field) == ("attack", "DecoderInversion epochs")
    assert (change.a, change.b) == ("40", "80")
    (caveat,) = found.caveats
    assert (caveat.change, caveat.settings, caveat.cells) == (change, 0, 1)


def test_in_a_sweep_nobody_knows_which_is_which() -> None:
    def swept(*epochs: int) -> ReportRecord:
        more = [
            one.model_copy(
                update={
                    "cell": f"{IDENTITY}-{n}",
                    "attack": a_plugin(f"DecoderInversion(epochs={n})"),
                }
            )
            for one in SAMPLE.cells
            if one.cell == IDENTITY
            for n in epochs
        ]
        return sample_report(cells=(*SAMPLE.cells, *more))

    found = compare_reports(swept(80), swept(160))
    assert [one.key for one in found.cells_only_in_a] == [f"{IDENTITY}-80"]
    assert [one.key for one in found.cells_only_in_b] == [f"{IDENTITY}-160"]
    grown = compare_reports(SAMPLE, swept(80))
    assert grown.cells_only_in_a == ()
    assert [one.key for one in grown.cells_only_in_b] == [f"{IDENTITY}-80"]


def test_an_attack_on_another_tensor_is_another_attack() -> None:
    def on(level: int, steps: int) -> ReportRecord:
        attack = a_plugin(f"TensorInversion(steps={steps}, site=1, level={level})")
        tensor = ReleasedTensor(site=1, level=level)
        return one_cell(IDENTITY, attack=attack, attack_name="tensor-inversion", tensor=tensor)

    apart = compare_reports(on(0, 60), on(1, 60))
    assert [one.key for one in apart.cells_only_in_a] == [IDENTITY]
    assert [one.key for one in apart.cells_only_in_b] == [IDENTITY]
    assert apart.cells_only_in_a[0].cell.tensor == ReleasedTensor(site=1, level=0)
    assert apart.cells_only_in_b[0].cell.tensor == ReleasedTensor(site=1, level=1)
    longer = compare_reports(on(0, 60), on(0, 90))
    assert longer.cells_only_in_a == longer.cells_only_in_b == ()
    assert [change.field for row in longer.cells for change in row.changes] == [
        "TensorInversion steps"
    ]


def test_a_defense_that_gained_a_parameter_matches_approximately() -> None:
    grown = a_defense("GaussianNoise(std=1, relative=False)")

    def change(one: TargetRecord) -> TargetRecord:
        return one.model_copy(update={"defense": grown}) if one.target == "target-1-1" else one

    found = compare_reports(SAMPLE, with_targets(change))
    (row,) = [one for one in found.settings if one.target_a == "target-1-1"]
    (made,) = row.changes
    assert (made.field, made.a, made.b) == ("GaussianNoise relative", "not there", "False")
    cells = [one for one in found.cells if one.setting == row.setting]
    assert len(cells) == 3
    assert all(one.changes == row.changes for one in cells)


def defended(*defenses: str, **update: Any) -> ReportRecord:
    """The sample with settings of these defenses, attacked alike, in the place of its noise."""
    (noise,) = [one for one in SAMPLE.targets if one.target == "target-1-1"]
    attacks = [one for one in SAMPLE.cells if one.target == noise.target and not one.control_only]
    own = {id(one) for one in (noise, *attacks)}
    return sample_report(
        targets=(
            *(one for one in SAMPLE.targets if id(one) not in own),
            *(
                noise.model_copy(update={"target": name, "defense": a_defense(name), **update})
                for name in defenses
            ),
        ),
        cells=(
            *(one for one in SAMPLE.cells if id(one) not in own),
            *(
                one.model_copy(update={"target": name, "cell": f"{one.cell} {name}"})
                for name in defenses
                for one in attacks
            ),
        ),
    )


def test_a_defense_that_was_changed_matches_approximately() -> None:
    found = compare_reports(SAMPLE, defended("GaussianNoise(std=2.0)"))
    assert not (found.settings_only_in_a)
    assert not (found.settings_only_in_b)
    assert not (found.cells_only_in_a)
    (row,) = [one for one in found.settings if one.changes]
    assert row.target_a == "target-1-1"
    (change,) = row.changed
    assert change.kind == "changed-defense"
    assert (change.field, change.a, change.b) == ("GaussianNoise std", "1.0", "2.0")
    assert [one.target_a for one in found.settings] == [
        one.target for one in SAMPLE.targets if not one.control_only
    ]
    assert len(found.cells) == 24
    assert sum(one.changes == row.changes for one in found.cells) == 3
    (caveat,) = found.caveats
    assert (caveat.change, caveat.settings, caveat.cells) == (change, 1, 3)
    assert not found.equal  # though no figure differs
    assert not found.is_incomplete


@pytest.mark.parametrize(
    ("a", "b", "changes"),
    [
        ("A(n=1) + B(m=1)", "A(n=1) + B(m=2)", ["B m"]),
        ("A(n=1, m='x')", "A(n=2, m='y')", ["A n", "A m"]),
        ("A(n=1, m=1)", "A(n=2)", ["A n", "A m"]),
        ("A(n=1) + B(m=1)", "B(m=1) + A(n=1)", None),
        ("A(n=1) + B(m=1)", "A(n=1)", None),
        ("A(n=1)", "B(n=1)", None),
        ("A(n=1)", "A(n=1.0)", None),
        ("<no call>", "<no other>", None),
    ],
)
def test_the_same_plugins_in_the_same_order_are_the_same_defense(
    a: str, b: str, changes: list[str] | None
) -> None:
    found = reconfigured(a_defense(a), a_defense(b))
    assert (None if found is None else sorted(one.field for one in found)) == (
        None if changes is None else sorted(changes)
    )


def test_what_is_in_both_leaves_one_that_was_changed() -> None:
    found = compare_reports(
        defended("GaussianNoise(std=1.0)", "GaussianNoise(std=2.0)"),
        defended("GaussianNoise(std=5.0)", "GaussianNoise(std=1.0)"),
    )
    assert [(one.target_a, one.target_b) for one in found.settings if one.changes] == [
        ("GaussianNoise(std=2.0)", "GaussianNoise(std=5.0)")
    ]


def test_of_several_that_were_changed_nobody_knows_which_is_which() -> None:
    found = compare_reports(
        defended("GaussianNoise(std=1.0)"),
        defended("GaussianNoise(std=2.0)", "GaussianNoise(std=5.0)"),
    )
    assert not any(one.changes for one in found.settings)
    (mine,) = found.settings_only_in_a
    assert [one.target for one in found.settings_only_in_b] == [
        "GaussianNoise(std=2.0)",
        "GaussianNoise(std=5.0)",
    ]
    (noise,) = [one for one in SAMPLE.targets if one.target == "target-1-1"]
    assert noise.utility is not None
    assert mine.dice == noise.utility.mean
    (strongest,) = mine.strongest
    assert (strongest.measure, strongest.cell.attack_name) == ("ssim_brain", "decoder-inversion")
    assert strongest.score.mean == pytest.approx(0.781)
    assert found.unpaired
    assert found.is_incomplete


def test_a_change_of_which_nothing_is_compared_is_incomplete() -> None:
    def broken(defense: str) -> ReportRecord:
        found = defended(defense, state=State.FAILED, reason="broke off", utility=None)
        cells = tuple(
            one.model_copy(update={**failed()}) if one.target == defense else one
            for one in found.cells
        )
        return found.model_copy(update={"cells": cells})

    found = compare_reports(broken("GaussianNoise(std=1.0)"), broken("GaussianNoise(std=2.0)"))
    assert found.lost.settings == found.lost.cells == 0
    assert found.intervals > 0
    assert found.is_incomplete
    text = comparison_text(found, ("a", "b"))
    assert "Changed: GaussianNoise std, 1.0 -> 2.0. On it nothing is compared" in text
    same = compare_reports(broken("GaussianNoise(std=1.0)"), broken("GaussianNoise(std=1.0)"))
    assert not same.is_incomplete


def test_two_candidates_are_none() -> None:
    def made(targets: tuple[TargetRecord, ...]) -> tuple[TargetRecord, ...]:
        (noise,) = [one for one in targets if one.target == "target-1-1"]
        return (
            *(one for one in targets if one is not noise),
            *(
                noise.model_copy(
                    update={
                        "target": f"target-{relative}",
                        "defense": a_defense(f"GaussianNoise(std=1.0, relative={relative})"),
                    }
                )
                for relative in (True, False)
            ),
        )

    found = compare_reports(SAMPLE, sample_report(targets=made(SAMPLE.targets)))
    assert [one.reason for one in found.settings_only_in_a] == [SEVERAL]
    assert [one.reason for one in found.settings_only_in_b] == [SEVERAL] * 2


def test_of_two_alike_none_is_matched() -> None:
    twice = sample_report(
        cells=(
            *SAMPLE.cells,
            *(
                one.model_copy(update={"cell": "again"})
                for one in SAMPLE.cells
                if one.cell == IDENTITY
            ),
        )
    )
    found = compare_reports(SAMPLE, twice)
    assert [one.reason for one in found.cells_only_in_a] == [SEVERAL]
    assert [one.reason for one in found.cells_only_in_b] == [SEVERAL] * 2


def test_a_cell_whose_training_is_missing_is_listed() -> None:
    stray = one_cell(IDENTITY, target="nowhere")
    found = compare_reports(stray, stray)
    assert [one.setting for one in found.cells_only_in_a] == [None]
    assert not found.equal


def test_gradients_after_the_last_epoch_match_whatever_its_number() -> None:
    def shorter(one: TargetRecord) -> TargetRecord:
        return one.model_copy(update={"epochs": 4})

    longer = sample_report(
        cells=tuple(
            one.model_copy(update={"gradient_checkpoints": (0, 60)})
            if one.gradient_checkpoints
            else one
            for one in SAMPLE.cells
        )
    )
    found = compare_reports(with_targets(shorter), longer)
    assert len(found.cells) == 24
    assert {one.changes[0].field for one in found.cells} == {"epochs"}
    (caveat,) = found.caveats
    assert (caveat.change.a, caveat.change.b) == ("4", "60")
    assert (caveat.settings, caveat.cells) == (14, 24)


def data(**changed: Any) -> ReportRecord:
    return sample_report(data=SAMPLE.data.model_copy(update=changed))


def prepared(**changed: Any) -> ReportRecord:
    return sample_report(audit={"data": {"size": 96, "crop": None, **changed}})


def split(part: str, *names: str) -> ReportRecord:
    return data(split=SAMPLE.data.split.model_copy(update={part: names}))


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (SAMPLE, data(fingerprint="77" * 32), ["data.fingerprint", "5a3b" * 16, "77" * 32]),
        (SAMPLE, data(spatial=(64, 64)), ["data.spatial (96, 96 and 64, 64)"]),
        (SAMPLE, data(modalities=("T1w", "FLAIR")), ["data.modalities"]),
        (SAMPLE, sample_report(metric_version="99"), ["metric_version (3 and 99)"]),
        (prepared(), prepared(size=64), ["data.size (96 and 64)", "data.crop (192 and 128)"]),
        (prepared(), prepared(crop=96), ["data.crop (192 and 96)"]),
        (
            SAMPLE,
            split("victims", "sample-03", "sample-20"),
            [
                "splits.victims (5 patients of A, sample-07, sample-11, sample-16 and 1 more only "
                "there and 2 patients of B, sample-20 only there)"
            ],
        ),
        (SAMPLE, split("train", "sample-01"), ["splits.train", "1 patient of B"]),
        (SAMPLE, split("auxiliary", "sample-13"), ["splits.auxiliary"]),
        (SAMPLE, split("validation"), ["splits.validation", "0 patients of B"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_patients_or_measures_are_refused_with_both_values(
    a: ReportRecord, b: ReportRecord, told: list[str]
) -> None:
    for one, other in ((a, b), (b, a)):
        with pytest.raises(UsageError) as refused:
            compare_reports(one, other)
        assert refused.value.exit_code == 2
        assert "A and B differ in" in str(refused.value)
    with pytest.raises(UsageError) as refused:
        compare_reports(a, b)
    for words in told:
        assert words in str(refused.value)


def test_every_field_that_differs_is_named_at_once() -> None:
    other = sample_report(
        metric_version="99", data=SAMPLE.data.model_copy(update={"fingerprint": "other"})
    )
    with pytest.raises(UsageError, match=r"metric_version.*data\.fingerprint"):
        compare_reports(SAMPLE, other)


def test_a_crop_that_is_twice_the_size_is_the_default() -> None:
    assert compare_reports(prepared(), prepared(crop=192)).equal


def training(**changed: Any) -> ReportRecord:
    settings = {"epochs": 60, "batch_size": 8, "learning_rate": 0.002, **changed}
    return sample_report(audit={"target": {"training": settings}})


def without_queries() -> ReportRecord:
    first, second, third = SAMPLE.threats
    fewer = second.model_copy(update={"capabilities": ("activations",)})
    return sample_report(threats=(first, fewer, third))


def newer_plugin() -> ReportRecord:
    changed = [
        one.model_copy(update={"distribution": "elsewhere", "version": "7"})
        if one.name == "decoder-inversion"
        else one
        for one in SAMPLE.plugins
    ]
    return sample_report(plugins=tuple(changed))


def wider() -> ReportRecord:
    return with_targets(lambda one: one.model_copy(update={"features": (8, 8, 8, 8, 8)}))


@pytest.mark.parametrize(
    ("a", "b", "kind", "field", "values", "settings", "cells"),
    [
        (
            SAMPLE,
            sample_report(versions={**SAMPLE.versions, "torch": "2.10.0"}),
            *("package", "torch", ("2.9.0", "2.10.0"), 0, 0),
        ),
        (
            SAMPLE,
            sample_report(versions={**SAMPLE.versions, "scipy": "1.0"}),
            *("package", "scipy", ("not recorded", "1.0"), 0, 0),
        ),
        (
            SAMPLE,
            newer_plugin(),
            *("plug-in", "decoder-inversion", ("leakaudit 0.1.0", "elsewhere 7"), 0, 0),
        ),
        (
            SAMPLE,
            SAMPLE.model_copy(update={"schema_version": "99"}),
            *("schema", "schema_version", (SAMPLE.schema_version, "99"), 0, 0),
        ),
        (training(), training(batch_size=4), "training", "batch_size", ("8", "4"), 14, 24),
        (
            training(),
            training(learning_rate=0.1),
            *("training", "learning_rate", ("0.002", "0.1"), 14, 24),
        ),
        (
            SAMPLE,
            wider(),
            *("system", "features", ("16, 16, 32, 64, 128", "8, 8, 8, 8, 8"), 14, 24),
        ),
        (
            SAMPLE,
            without_queries(),
            "threat",
            "curious-server grants",
            ("activations, auxiliary-patients, encoder-queries, repeated-releases", "activations"),
            0,
            8,
        ),
        (
            sample_report(audit={"budgets": {"minutes_per_job": 30.0, "workers": 1}}),
            sample_report(audit={"budgets": {"minutes_per_job": 5.0, "workers": 2}}),
            *("limit", "budgets.minutes_per_job", ("30.0", "5.0"), 0, 0),
        ),
        (
            sample_report(audit={"device": "cpu"}),
            sample_report(audit={"device": "cuda"}),
            *("device", "device", ("cpu", "cuda"), 0, 0),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_explain_a_difference_is_a_caveat(
    a: ReportRecord,
    b: ReportRecord,
    kind: str,
    field: str,
    values: tuple[str, str],
    settings: int,
    cells: int,
) -> None:
    found = compare_reports(a, b)
    (caveat,) = found.caveats
    assert (caveat.change.kind, caveat.change.field) == (kind, field)
    assert (caveat.change.a, caveat.change.b) == values
    assert (caveat.settings, caveat.cells) == (settings, cells)
    assert found.equal  # the figures are


def judged(outcome: Outcome, limit: float) -> ReportRecord:
    threshold = Threshold(
        measure="ssim",
        limit=limit,
        quantifier="mean",
        bound="upper",
        n_min=5,
        rationale="a reason",
        owner="officer",
        date="2026-01-31",
    )
    policy = Policy(
        owner="officer", date="2026-01-31", thresholds=(threshold,), required=None, proposed=()
    )
    verdict = Verdict(
        outcome=outcome,
        rule=Rule.ALL_HOLD,
        setting=0,
        exit_code=outcome.exit_code,
        counts={one: int(one is outcome) for one in Outcome},
        policy=policy,
        settings=(
            SettingVerdict(
                target="target-1-1", outcome=outcome, rule=Rule.ALL_HOLD, check=None, missing=()
            ),
        ),
        checks=(),
    )
    return sample_report(verdict=verdict)


def test_another_verdict_is_a_difference_and_another_policy_may_be_why() -> None:
    found = compare_reports(judged(Outcome.PASS, 0.9), judged(Outcome.FAIL, 0.5))
    assert (found.a.verdict, found.b.verdict) == ("PASS", "FAIL")
    assert not found.equal
    (caveat,) = found.caveats
    assert (caveat.change.kind, caveat.change.field) == ("policy", "limits")
    assert "at most 0.9 (upper, n_min 5)" in caveat.change.a
    text = comparison_text(found, ("a", "b"))
    assert "Verdict of the policy: PASS in A, FAIL in B." in text
    assert text.index("a policy that asks for something else") < text.index("Verdict of the policy")
    newer = judged(Outcome.FAIL, 0.5).model_copy(update={"versions": {"torch": "2.10.0"}})
    first = compare_reports(judged(Outcome.PASS, 0.9), newer).caveats[0]
    assert first.change.kind == "policy"
    assert found.is_worse
    assert not compare_reports(SAMPLE, judged(Outcome.PASS, 0.9)).equal
    assert compare_reports(judged(Outcome.PASS, 0.9), judged(Outcome.PASS, 0.9)).equal


def test_a_figure_without_a_row_of_its_own_is_a_difference_all_the_same() -> None:
    def clearer(cell: CellRecord) -> CellRecord:
        if cell.leakage is None or cell.leakage.harm is None:
            return cell
        harm = cell.leakage.harm.model_copy(update={"original": 0.99})
        return cell.model_copy(update={"leakage": cell.leakage.model_copy(update={"harm": harm})})

    found = compare_reports(SAMPLE, sample_report(cells=tuple(map(clearer, SAMPLE.cells))))
    assert not found.equal
    assert found.differing_elsewhere > 0
    assert "in a figure that has no row here" in comparison_text(found, ("a", "b"))


@pytest.mark.parametrize(
    ("a", "b", "changes"),
    [
        ("A(n=1)", "A(n=2)", 1),
        ("A(n=1, m=1)", "A(n=2)", 2),
        ("A(n=(1, 2))", "A(n=(1, 3))", 1),
        ("A(n='a')", "A(n='b')", None),
        ("A(n=None)", "A(n=1)", None),
        ("A(n=True)", "A(n=False)", None),
        ("A(n=1)", "B(n=1)", None),
    ],
)
def test_a_number_retunes_an_attack_and_a_word_makes_another(
    a: str, b: str, changes: int | None
) -> None:
    found = retuned(a_plugin(a), a_plugin(b))
    assert (None if found is None else len(found)) == changes


def test_an_attack_is_matched_within_its_own_setting() -> None:
    def swapped(one: CellRecord) -> CellRecord:
        places = {IDENTITY: "target-1-1", NOISE: "target-1-0"}
        return one.model_copy(update={"target": places.get(one.cell, one.target)})

    found = compare_reports(SAMPLE, with_cells(swapped))
    pairs = {one.cell_a: one.cell_b for one in found.cells}
    assert pairs[IDENTITY] == NOISE
    assert pairs[NOISE] == IDENTITY
