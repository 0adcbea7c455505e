"""What folds make of the plan of an audit: more of the same, under keys of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.planning.audited import Plan, plan_audit
from leakaudit.audit.planning.labels import Labels
from leakaudit.audit_file import read_audit
from leakaudit.cli.commands.plan import plan as plan_command
from leakaudit.errors import SplitError

Audit = dict[str, Any]
Write = Callable[[Path, Audit], Path]


# One attack in use and one on the training, and nobody whose images are large.
SMALL = {
    "defenses": [],
    "attacks": ["activation-inversion", "gradient-inversion"],
    "threats": {
        "curious-server-with-encoder": ["activation-inversion"],
        "aggregator": ["gradient-inversion"],
    },
}


def planned(tiny_audit: Audit, folder: Path, write_audit: Write, folds: int, **more: Any) -> Plan:
    data = {**tiny_audit["data"], "folds": folds}
    path = write_audit(folder / "tiny.yaml", {**tiny_audit, **SMALL, "data": data, **more})
    return plan_audit(read_audit(path), cache=folder.parent / "cache")


def test_each_fold_has_the_same_settings_and_attacks_under_keys_of_its_own(
    tiny_audit: Audit, tmp_path: Path, write_audit: Write
) -> None:
    alone = planned(tiny_audit, tmp_path, write_audit, 1)
    made = planned(tiny_audit, tmp_path, write_audit, 3)
    assert (len(alone.folds), len(made.folds)) == (1, 3)
    assert len(made.matrix.targets) == 3 * len(alone.matrix.targets)
    assert len(made.matrix.cells) == 3 * len(alone.matrix.cells)
    labels = Labels(made.matrix)
    for plans, one in zip(made.matrix.attacks, alone.matrix.cells, strict=True):
        assert [plan.target.fold for plan in plans] == [1, 2, 3]
        assert [labels.cell(plan) for plan in plans] == [
            f"{Labels(alone.matrix).cell(one)}, fold {fold} of 3" for fold in (1, 2, 3)
        ]
        assert {(plan.attack, plan.threat, plan.missing) for plan in plans} == {
            (one.attack, one.threat, one.missing)
        }
    keys = [one.key for one in made.matrix.targets] + [one.key for one in made.matrix.cells]
    assert len(set(keys)) == len(keys)
    for trainings in made.matrix.settings:
        assert [made.splits_of(plan) for plan in trainings] == list(made.folds)
        bare = [replace(plan, key="", fold=1) for plan in trainings]
        assert bare == bare[:1] * 3


def test_one_fold_is_no_fold(tiny_audit: Audit, tmp_path: Path, write_audit: Write) -> None:
    with_one = planned(tiny_audit, tmp_path, write_audit, 1).matrix
    path = write_audit(tmp_path / "none.yaml", {**tiny_audit, **SMALL})
    assert plan_audit(read_audit(path), cache=tmp_path.parent / "cache").matrix == with_one


def test_attacks_on_the_training_need_folds_that_train_on_enough(
    tiny_audit: Audit, tmp_path: Path, write_audit: Write
) -> None:
    with pytest.raises(SplitError, match=r"trains on 2 patients, too few .* ask for more folds"):
        planned(tiny_audit, tmp_path, write_audit, 2)
    with pytest.raises(SplitError, match="ask for at most 6 folds"):
        planned(tiny_audit, tmp_path, write_audit, 7)
    inference = {"attacks": ["activation-inversion"], "threats": ["curious-server-with-encoder"]}
    assert len(planned(tiny_audit, tmp_path, write_audit, 2, **inference).folds) == 2


def test_plan_says_what_folds_cost(
    tiny_audit: Audit, tmp_path: Path, write_audit: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {**tiny_audit["data"], "folds": 5}
    path = write_audit(tmp_path / "tiny.yaml", {**tiny_audit, **SMALL, "data": data})
    assert plan_command(path, out=tmp_path) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "patients: 12 (phantom): 5 to 6 train, 1 validation, 3 auxiliary, 2 to 3 victims" in told
    assert "folds: 5; everybody is a victim in one of them" in told
    assert "trainings: 5 (5 x 1), cells: " in told
    assert told.count("train no defense") == 1
    assert "fold 1 of 5" not in told
