"""The cells of an audit, and what their keys depend on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.planning.audited import Plan, plan_audit
from leakaudit.audit.planning.labels import Labels
from leakaudit.audit.planning.matrix import build_matrix
from leakaudit.audit.planning.plans import Matrix, TargetPlan
from leakaudit.audit_file import parse_audit
from leakaudit.contracts import Capability
from leakaudit.data import Splits
from leakaudit.errors import ConfigError
from leakaudit.target.training import TrainingSettings

SPLITS = Splits(train=("a", "b"), validation=("c",), auxiliary=("d",), victims=("e",))
Change = Callable[[dict[str, Any]], object]


def where_of(target: TargetPlan) -> str:
    """Cut level, shared skips if one is withheld, and channels if narrowed: ``cut 2 skips 1``."""
    spec = target.spec
    skips = "+".join(map(str, spec.shared_skips)) or "none"
    parts = [f"cut {spec.cut_level}"]
    parts += [f"skips {skips}"] if len(spec.shared_skips) < spec.cut_level else []
    parts += [f"channels {spec.bottleneck}"] if spec.bottleneck else []
    return " ".join(parts)


def matrix(
    audit: dict[str, Any],
    change: Change = lambda audit: None,
    *,
    data: str = "fingerprint",
    splits: Splits = SPLITS,
) -> Matrix:
    changed = copy.deepcopy(audit)
    change(changed)
    config = parse_audit(json.dumps(changed).encode(), "audit", folder=Path("/"))
    return build_matrix(config, data, splits)


def keys(made: Matrix) -> tuple[set[str], set[str]]:
    return {target.key for target in made.targets}, {cell.key for cell in made.cells}


def test_cells_are_targets_times_the_attacks_that_their_threats_meet(
    tiny_audit: dict[str, Any],
) -> None:
    def grid(audit: dict[str, Any]) -> None:
        audit["target"]["cut_level"] = [0, 2]
        audit["seeds"] = [0, 1, 1]
        audit["defenses"] = [{"gaussian-noise": {"std": [0.5, 1.0]}}]

    made = matrix(tiny_audit, grid)
    assert len(made.targets) == 2 * 3 * 2  # cuts, identity and two defenses, seeds
    cells = [cell for cell in made.cells if cell.disguise is None]
    assert len(cells) == len(made.targets) * 4  # four meetings of threat and attack
    assert not any(target.control_only for target in made.targets)
    assert not any(cell.control_only for cell in cells)
    asked = {(c.target.key, c.threat.name, c.attack_name) for c in cells}
    assert len(asked) == len(cells)
    assert len(keys(made)[0]) == len(made.targets)
    assert len(keys(made)[1]) == len(made.cells)


def test_an_attack_on_one_tensor_is_made_where_that_tensor_crosses(
    tiny_audit: dict[str, Any],
) -> None:
    def grid(audit: dict[str, Any]) -> None:
        audit["target"]["cut_level"] = [1, 2]
        audit["defenses"] = [{"architecture": {"withheld_skips": 1}}]
        alone = {"tensor-inversion": {"site": [1, 2], "level": [0, 2]}}
        audit["attacks"] = ["decoder-inversion", alone]
        audit["threats"] = ["curious-server"]

    made = matrix(tiny_audit, grid)
    found: dict[tuple[int, tuple[int, ...]], list[tuple[int, int]]] = {}
    for cell in made.cells:
        spec, tensor = cell.target.spec, cell.attack.reads()
        if tensor is not None and cell.disguise is None:
            met = found.setdefault((spec.cut_level, spec.shared_skips), [])
            met.append((tensor.site, tensor.level))
    assert found == {
        (1, (0,)): [(1, 0), (2, 0)],  # level 2 does not cross, and withheld nothing does
        (2, (0, 1)): [(1, 0), (1, 2), (2, 0), (2, 2)],
        (2, (1,)): [(1, 2), (2, 2)],
    }
    cells = {cell.key: cell for cell in made.cells}
    for cell in made.cells:
        control = cells[cell.positive_control]
        assert (control.target.defense_name, control.attack) == ("identity", cell.attack)
        # At the same cut, where all that crosses there without a defense crosses.
        cut = cell.target.spec.cut_level
        assert control.target.spec.crossing == tuple(range(cut + 1))


def test_an_attack_on_one_tensor_never_stands_for_all_nor_is_left_out_in_silence(
    tiny_audit: dict[str, Any],
) -> None:
    def of(parameters: dict[str, Any], beside: list[str]) -> Change:
        def change(audit: dict[str, Any]) -> None:
            audit["attacks"] = [*beside, {"tensor-inversion": parameters}]
            audit["threats"] = ["curious-server"]

        return change

    matrix(tiny_audit, of({}, ["decoder-inversion"]))
    message = (
        "^tensor-inversion reads one tensor alone, which says nothing of all together; let "
        "curious-server meet an attack that reads all of them too, such as decoder-inversion$"
    )
    with pytest.raises(ConfigError, match=message):
        matrix(tiny_audit, of({}, []))

    def beside_unsupported(audit: dict[str, Any]) -> None:
        audit["attacks"] = ["gradient-inversion", "tensor-inversion"]
        audit["threats"] = {"curious-server": ["gradient-inversion", "tensor-inversion"]}

    with pytest.raises(ConfigError, match="says nothing of all together"):
        matrix(tiny_audit, beside_unsupported)
    for nowhere, where in (({"level": 5}, "5 of site 1"), ({"site": 3}, "0 of site 3")):
        message = (
            f"^tensor-inversion: level {where} crosses none of the audited cuts; the target has 2 "
            "sites$"
        )
        with pytest.raises(ConfigError, match=message):
            matrix(tiny_audit, of(nowhere, ["decoder-inversion"]))


def test_a_parameter_may_be_infinite_and_has_a_key_of_its_own(tiny_audit: dict[str, Any]) -> None:
    def grid(audit: dict[str, Any]) -> None:
        dp = {"dp-gaussian": {"epsilon": ["inf", 8.0]}}
        audit["defenses"] = [dp, [dp, "gaussian-noise"]]

    targets = matrix(tiny_audit, grid).targets
    assert sum("epsilon=inf" in repr(target.defense) for target in targets) == 2
    assert len({target.key for target in targets}) == len(targets)


def test_withheld_skips_are_a_grid_and_all_there_are_where_there_are_fewer(
    tiny_audit: dict[str, Any],
) -> None:
    def grid(audit: dict[str, Any]) -> None:
        audit["target"].update(cut_level=[0, 1, 4], withheld_skips=[0, 2])
        audit["defenses"] = []

    made = matrix(tiny_audit, grid)
    specs = [(target.spec.cut_level, target.spec.shared_skips) for target in made.targets]
    assert specs == [(0, ()), (1, (0,)), (1, ()), (4, (0, 1, 2, 3)), (4, (2, 3))]
    assert [where_of(target) for target in made.targets] == [
        "cut 0",
        "cut 1",
        "cut 1 skips none",
        "cut 4",
        "cut 4 skips 2+3",
    ]

    def twice(audit: dict[str, Any]) -> None:
        audit["target"].update(cut_level=3, shared_skips=[0, 2], withheld_skips=1)

    asked = [target for target in matrix(tiny_audit, twice).targets if not target.control_only]
    assert {target.spec.shared_skips for target in asked} == {(2,)}


def test_bottlenecks_are_a_grid_and_one_that_narrows_nothing_is_none(
    tiny_audit: dict[str, Any],
) -> None:
    def grid(audit: dict[str, Any]) -> None:
        audit["target"].update(
            cut_level=[0, 2], withheld_skips=[0, 2], features=[16, 16, 32, 64, 128, 16]
        )
        audit["target"]["bottleneck"] = [None, 16, 2]
        audit["defenses"] = ["gaussian-noise"]
        audit["references"] = {"cut_level": 2}

    made = matrix(tiny_audit, grid)
    split = [target for target in made.targets if target.kind == "split"]
    wheres = ["cut 0", "cut 0 channels 2"]
    wheres += [
        f"cut 2{skips}{channels}"
        for skips in ("", " skips none")
        for channels in ("", " channels 16", " channels 2")
    ]
    assert [where_of(target) for target in split] == [where for where in wheres for _ in range(2)]
    assert all(target.spec.bottleneck is None for target in made.targets if target not in split)
    undefended = {where_of(t): t for t in split if t.defense_name == "identity"}
    cells = {cell.key: cell for cell in made.cells}
    for cell in made.cells:
        if not cell.missing:
            plain = undefended[f"cut {cell.target.spec.cut_level}"]
            assert cells[cell.positive_control].target == plain
            assert cell.segmenter in (undefended["cut 0"], None)


def test_an_adversary_sees_every_pass_only_if_it_is_granted_them(
    tiny_audit: dict[str, Any],
) -> None:
    made = matrix(tiny_audit, lambda audit: audit.update(releases=5))
    seen = {cell.threat.name: cell.releases for cell in made.cells}
    assert seen == {"curious-server": 5, "curious-server-with-encoder": 5, "aggregator": 1}


def test_each_size_of_batch_is_a_cell_where_gradients_are_seen_and_its_control_is_alone(
    tiny_audit: dict[str, Any],
) -> None:
    made = matrix(tiny_audit, lambda audit: audit.update(gradient_batch=[4, 2]))
    seen: dict[str, set[int | None]] = {}
    cells = {cell.key: cell for cell in made.cells}
    for cell in made.cells:
        if not cell.control_only:
            seen.setdefault(cell.threat.name, set()).add(cell.gradient_batch)
        if cell.missing:
            continue
        control = cells[cell.positive_control]
        easiest = None if cell.gradient_batch is None else 1
        assert (control.attack, control.gradient_batch) == (cell.attack, easiest)
    assert seen == {
        "curious-server": {None},
        "curious-server-with-encoder": {None},
        "aggregator": {4, 2},
    }
    alone = {c.gradient_batch for c in made.cells if c.control_only and c.disguise is None}
    assert alone == {1}
    labels = Labels(made)
    assert any(", batch 4 on" in labels.cell(cell) for cell in made.cells)


def test_a_batch_that_can_not_be_filled_is_refused_before_anything_is_trained(
    tiny_audit: dict[str, Any],
) -> None:
    def planned(batch: int) -> Plan:
        audit = {**tiny_audit, "gradient_batch": batch}
        return plan_audit(parse_audit(json.dumps(audit).encode(), "audit", folder=Path("/")))

    with pytest.raises(ConfigError, match=r"gradient_batch is 200; .* it can be .* at most") as no:
        planned(200)
    most = int(str(no.value).split()[-3])
    assert planned(most).matrix.cells
    with pytest.raises(ConfigError, match=f"it can be {most} at most"):
        planned(most + 1)


def test_a_round_has_the_steps_that_the_audit_says(tiny_audit: dict[str, Any]) -> None:
    def rounds(audit: dict[str, Any]) -> None:
        audit["attacks"] = [{"learned-update-inversion": {"batches": 10}}]
        audit["threats"] = ["aggregator-of-rounds"]
        audit.update(round_steps=2, gradient_batch=[1, 2])

    cells = matrix(tiny_audit, rounds).cells
    assert {cell.round_steps for cell in cells} == {2}
    assert {cell.gradient_batch for cell in cells} == {1, 2}
    assert not any(cell.missing for cell in cells)

    def longer_rounds(audit: dict[str, Any]) -> None:
        rounds(audit)
        audit["round_steps"] = 3

    longer = matrix(tiny_audit, longer_rounds).cells
    assert not {cell.key for cell in cells} & {cell.key for cell in longer}
    assert {cell.round_steps for cell in matrix(tiny_audit).cells} == {None}


def test_only_what_an_adversary_sees_of_a_training_is_kept(tiny_audit: dict[str, Any]) -> None:
    def settings(change: Callable[[dict[str, Any]], object]) -> TrainingSettings:
        made = matrix(tiny_audit, change)
        (found,) = {target.settings for target in made.targets}
        return found

    def transcript(audit: dict[str, Any]) -> None:
        audit["attacks"] = [{"transcript-inversion": {"steps": 1}}]
        audit["threats"] = ["curious-server-in-training"]
        audit["target"]["training"]["epochs"] = 3

    def halfway(audit: dict[str, Any]) -> None:
        audit["target"]["training"]["epochs"] = 3
        audit["gradient_checkpoints"] = [0, 2]

    kept = settings(transcript)
    assert (kept.keep_encoders, kept.kept) == (True, (1, 2))
    kept = settings(halfway)
    assert (kept.keep_encoders, kept.kept) == (False, (2,))
    cells = matrix(tiny_audit, halfway).cells
    seen = {cell.threat.name: cell.gradient_checkpoints for cell in cells}
    assert seen == {
        "curious-server": (),
        "curious-server-with-encoder": (),
        "aggregator": (0, 2),
    }
    # What needs no epoch in between changes no target, but every cell that sees gradients.
    ends, last = (
        matrix({**tiny_audit, "gradient_checkpoints": observed}) for observed in ([0, 8], [8])
    )
    assert {one.key for one in ends.targets} == {one.key for one in last.targets}
    assert ends.targets == matrix(tiny_audit).targets
    for one, other in zip(ends.cells, last.cells, strict=True):
        assert (one.key != other.key) == bool(one.gradient_checkpoints)


def test_sets_of_observed_epochs_are_cells_side_by_side(tiny_audit: dict[str, Any]) -> None:
    def swept(audit: dict[str, Any]) -> None:
        audit["target"]["training"]["epochs"] = 3
        audit["gradient_checkpoints"] = [[0], [0, 2], "ends", [0, 3]]

    def alone(audit: dict[str, Any]) -> None:
        audit["target"]["training"]["epochs"] = 3
        audit["gradient_checkpoints"] = [0, 2]

    made, one = matrix(tiny_audit, swept), matrix(tiny_audit, alone)
    assert {target.settings.kept for target in made.targets} == {(2,)}
    assert [target.key for target in made.targets] == [target.key for target in one.targets]
    seen: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for cell in made.cells:
        seen.setdefault((cell.target.key, cell.threat.name), []).append(cell.gradient_checkpoints)
    for (_, threat), epochs in seen.items():
        assert set(epochs) == ({(0,), (0, 2), (0, 3)} if threat == "aggregator" else {()})
    told = Labels(made)
    labels = [told.cell(cell) for cell in made.cells if cell.threat.name == "aggregator"]
    assert len(set(labels)) == len(labels)
    # The same gradients are the same work, whatever else is observed in turn; so of its control.
    assert {cell.key for cell in one.cells} < {cell.key for cell in made.cells}
    keys = {cell.key for cell in made.cells}
    assert {cell.positive_control for cell in made.cells if not cell.missing} <= keys


def test_a_network_that_nobody_attacks_keeps_nothing(tiny_audit: dict[str, Any]) -> None:
    def transcript(audit: dict[str, Any]) -> None:
        audit["attacks"] = [{"transcript-inversion": {"steps": 1}}]
        audit["threats"] = ["curious-server-in-training"]
        audit["references"] = {"cut_level": 0, "seeds": [0]}

    for target in matrix(tiny_audit, transcript).targets:
        assert target.settings.keep_encoders == (target.kind == "split")


@pytest.mark.parametrize("named", [[], ["identity"], ["gaussian-noise", "identity", "identity"]])
def test_identity_is_there_once(tiny_audit: dict[str, Any], named: list[str]) -> None:
    made = matrix(tiny_audit, lambda audit: audit.update(defenses=named))
    assert [t.defense_name for t in made.targets].count("identity") == 1


def test_the_positive_control_is_undefended_at_the_same_cut_and_nothing_withheld(
    tiny_audit: dict[str, Any],
) -> None:
    def withheld(audit: dict[str, Any]) -> None:
        audit["target"].update(cut_level=[1, 2], withheld_skips=[1], bottleneck=[4])

    made = matrix(tiny_audit, withheld)
    controls = [target for target in made.targets if target.control_only]
    assert [(where_of(t), t.defense_name) for t in controls] == [
        ("cut 1", "identity"),
        ("cut 2", "identity"),
    ]
    cells = {cell.key: cell for cell in made.cells}
    for cell in made.cells:
        if cell.missing:
            continue
        control = cells[cell.positive_control]
        assert control.control_only
        assert control.target.spec.cut_level == cell.target.spec.cut_level
        assert control.target in controls
        assert (control.attack, control.threat) == (cell.attack, cell.threat)
        assert control.positive_control == control.key
    assert not any(c.missing for c in made.cells if c.control_only)


def test_a_control_that_the_audit_asks_for_itself_is_no_mere_control(
    tiny_audit: dict[str, Any],
) -> None:
    made = matrix(tiny_audit, lambda audit: audit["target"].update(cut_level=[2, 0]))
    assert not any(target.control_only for target in made.targets)
    undefended = {c.key for c in made.cells if c.target.defense_name == "identity"}
    assert {c.positive_control for c in made.cells} <= undefended
    assert all(bool(cell.disguise) == cell.control_only for cell in made.cells)


def test_an_attack_that_reads_releases_is_shown_at_work_behind_a_disguise(
    tiny_audit: dict[str, Any],
) -> None:
    def cuts(audit: dict[str, Any]) -> None:
        audit["target"]["cut_level"] = [1, 2]

    made = matrix(tiny_audit, cuts)
    cells = {cell.key: cell for cell in made.cells}
    disguised = [cell for cell in made.cells if cell.disguise is not None]
    # Two attacks that read releases under one threat each, and another at each cut.
    assert len(disguised) == 4
    assert {repr(cell.disguise) for cell in disguised} == {repr(disguised[0].disguise)}
    for cell in disguised:
        assert cell.control_only
        assert cell.target.defense_name == "identity"
        assert not cell.disguise_control
        assert cells[cell.positive_control].disguise is None
        assert Labels(made).cell(cell).endswith(", disguised")
    for cell in made.cells:
        if cell.attack_name == "gradient-inversion":
            assert not cell.disguise_control
        elif cell.disguise is None and not cell.missing:
            control = cells[cell.disguise_control]
            assert control.target.key == cells[cell.positive_control].target.key
            assert (control.attack, control.threat) == (cell.attack, cell.threat)
            assert control.key != cell.key
    other = matrix(tiny_audit, lambda audit: audit.update(seeds=[1]))
    (drawn,) = {repr(cell.disguise) for cell in other.cells if cell.disguise is not None}
    assert drawn != repr(disguised[0].disguise)


def test_a_control_per_seed(tiny_audit: dict[str, Any]) -> None:
    made = matrix(tiny_audit, lambda a: a.update(seeds=[3, 4]))
    by_key = {cell.key: cell for cell in made.cells}
    for cell in made.cells:
        if not cell.missing:
            controls = [cell.positive_control, *filter(None, [cell.disguise_control])]
            assert all(by_key[key].target.seed == cell.target.seed for key in controls)


def test_a_cell_that_can_not_be_says_what_is_not_granted(tiny_audit: dict[str, Any]) -> None:
    made = matrix(tiny_audit)
    refused = [cell for cell in made.cells if cell.missing]
    assert {(c.threat.name, c.attack_name) for c in refused} == {
        ("curious-server", "activation-inversion")
    }
    assert {c.missing for c in refused} == {frozenset({Capability.ENCODER_WEIGHTS})}
    assert len(refused) == 2


def test_equal_work_has_equal_keys(tiny_audit: dict[str, Any]) -> None:
    def otherwise(audit: dict[str, Any]) -> None:
        audit["name"] = "another"
        audit["budgets"] = {"workers": 7}
        audit["images"] = "full"
        audit["defenses"] = ["identity", {"gaussian-noise": {"std": 1}}]
        audit["attacks"].reverse()

    assert keys(matrix(tiny_audit, otherwise)) == keys(matrix(tiny_audit))


CHANGES: dict[str, Change] = {
    "seed": lambda a: a.update(seeds=[1]),
    "releases": lambda a: a.update(releases=2),
    "epochs": lambda a: a["target"]["training"].update(epochs=9),
    "batch size": lambda a: a["target"]["training"].update(batch_size=4),
    "learning rate": lambda a: a["target"]["training"].update(learning_rate=0.003),
    "features": lambda a: a["target"].update(features=[8, 8, 8, 16, 16, 16]),
    "sites": lambda a: a["target"].update(sites=[["T1w"], ["T1gd", "FLAIR", "T2w"]]),
    "order of modalities": lambda a: a["target"].update(sites=[["T1gd", "T1w"], ["FLAIR", "T2w"]]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_key_changes_with_what_every_result_depends_on(
    tiny_audit: dict[str, Any], change: Change
) -> None:
    for before, after in zip(
        keys(matrix(tiny_audit)), keys(matrix(tiny_audit, change)), strict=True
    ):
        assert len(before) == len(after)
        assert not before & after


def test_every_key_changes_with_the_patients_and_their_split(tiny_audit: dict[str, Any]) -> None:
    swapped = Splits(train=("a", "c"), validation=("b",), auxiliary=("d",), victims=("e",))
    before = keys(matrix(tiny_audit))
    for other in (matrix(tiny_audit, data="other"), matrix(tiny_audit, splits=swapped)):
        assert not before[0] & keys(other)[0]
        assert not before[1] & keys(other)[1]


def test_a_parameter_of_a_defense_changes_what_it_defends_alone(tiny_audit: dict[str, Any]) -> None:
    before = matrix(tiny_audit)
    after = matrix(tiny_audit, lambda a: a.update(defenses=[{"gaussian-noise": {"std": 1.5}}]))
    undefended = {t.key for t in before.targets if t.defense_name == "identity"}
    assert keys(before)[0] & keys(after)[0] == undefended
    kept = {c.key for c in before.cells if c.target.key in undefended}
    assert keys(before)[1] & keys(after)[1] == kept


def test_a_parameter_of_an_attack_changes_its_cells_alone(tiny_audit: dict[str, Any]) -> None:
    before = matrix(tiny_audit)
    after = matrix(tiny_audit, lambda a: a["attacks"][1]["decoder-inversion"].update(steps=6))
    assert keys(before)[0] == keys(after)[0]
    kept = {c.key for c in before.cells if c.attack_name != "decoder-inversion"}
    assert keys(before)[1] & keys(after)[1] == kept
    assert len(keys(before)[1]) == len(keys(after)[1])


def test_withheld_skips_change_the_target(tiny_audit: dict[str, Any]) -> None:
    def skips(levels: object) -> Matrix:
        return matrix(tiny_audit, lambda a: a["target"].update(cut_level=2, shared_skips=levels))

    everything = skips("all")
    assert keys(everything) == keys(skips([0, 1]))
    some = skips([1])
    controls = {t.key for t in everything.targets if t.control_only}
    assert keys(everything)[0] & keys(some)[0] == controls
    assert {t.spec.crossing for t in some.targets if not t.control_only} == {(1, 2)}


def test_references_are_trained_beside_and_never_attacked(tiny_audit: dict[str, Any]) -> None:
    made = matrix(tiny_audit, lambda a: a.update(references={"cut_level": 1, "seeds": [0, 1]}))
    kinds = [t.kind for t in made.targets]
    assert kinds.count("centralised") == 2
    everything, own = ("T1w", "T1gd", "FLAIR", "T2w"), {("T1w", "T1gd"), ("FLAIR", "T2w")}
    assert {t.sites for t in made.targets if t.kind == "centralised"} == {(everything,)}
    assert {t.sites for t in made.targets if t.kind == "single-site"} == {(one,) for one in own}
    assert kinds.count("single-site") == 2 * 2
    assert sum(t.kind == "split" and t.spec.cut_level == 1 for t in made.targets) == 2
    assert {c.target.spec.cut_level for c in made.cells} == {0}


def test_every_site_is_tried_and_a_site_without_others_is_refused(
    tiny_audit: dict[str, Any],
) -> None:
    def sites(audit: dict[str, Any]) -> None:
        audit["attacks"], audit["threats"] = ["other-site-inversion"], ["curious-site"]

    def one_site(audit: dict[str, Any]) -> None:
        sites(audit)
        audit["target"]["sites"] = [["T1w", "T1gd", "FLAIR", "T2w"]]

    made = matrix(tiny_audit, sites)
    held = {cell.held: cell for cell in made.cells}
    assert set(held) == {"T1w+T1gd", "FLAIR+T2w"}
    assert held["T1w+T1gd"].recovered == ("FLAIR", "T2w")
    assert held["T1w+T1gd"].positive_control != held["FLAIR+T2w"].positive_control
    message = "^other-site-inversion recovers what other sites hold; the target has one site alone$"
    with pytest.raises(ConfigError, match=message):
        matrix(tiny_audit, one_site)


def test_an_architecture_of_its_own_is_met_by_its_own_defense_alone(
    tiny_audit: dict[str, Any],
) -> None:
    def listed(audit: dict[str, Any]) -> None:
        audit["target"]["cut_level"] = 2
        audit["defenses"] = [
            {"architecture": {"withheld_skips": [1, 2]}},
            [{"architecture": {"bottleneck": 1}}, {"gaussian-noise": {"std": [1, 2]}}],
            {"gaussian-noise": {"std": 1}},
        ]

    made = matrix(tiny_audit, listed)
    found = [
        (one.spec.shared_skips, one.spec.bottleneck, one.defense_name)
        for one in made.targets
        if not one.control_only
    ]
    assert found == [
        ((0, 1), None, "identity"),
        ((0, 1), None, "gaussian-noise"),
        ((1,), None, "identity"),
        ((), None, "identity"),
        ((0, 1), 1, "identity"),
        ((0, 1), 1, "gaussian-noise"),
        ((0, 1), 1, "gaussian-noise"),
    ]
