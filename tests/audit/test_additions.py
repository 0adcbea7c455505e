"""A threat is one declaration; an attack is a module and an entry point. Nothing else is edited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leakaudit.cli import app
from leakaudit.contracts import Capability
from leakaudit.records import ReportRecord, State
from leakaudit.registry import installed
from leakaudit.threat.presets import PRESETS, Threat
from tests.conftest import Audit

pytestmark = pytest.mark.slow  # asks every attack, trains a network

# As short as an attack can be: no parameters, no papers, no progress.
ATTACK = '''
from dataclasses import dataclass
from typing import ClassVar

from leakaudit.api import Attack, Capability, Reconstruction


@dataclass(frozen=True, kw_only=True)
class MeanImage(Attack):
    """Return the adversary's own patients' mean for every victim."""

    requires: ClassVar = frozenset({Capability.ACTIVATIONS, Capability.AUXILIARY_PATIENTS})

    def run(self, observation, *, generator, progress):
        mean = observation.auxiliary.images.mean(dim=0)
        images = mean.expand(observation.layout.image_shape).clone()
        return Reconstruction(
            images=images, objective_first=1.0, objective_last=0.5, iterations=0
        )
'''
THREAT = Threat(
    name="listener",
    position="eavesdropper",
    behaviour="honest-but-curious",
    capabilities=frozenset({Capability.ACTIVATIONS, Capability.AUXILIARY_PATIENTS}),
    victims="inference",
    who="Somebody on the line reads what the sites release.",
)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The attack and the threat, as somebody else adds them."""
    (tmp_path / "mean_image_package.py").write_text(ATTACK)
    information = tmp_path / "mean_image-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-image\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[leakaudit.attacks]\nmean-image = mean_image_package:MeanImage\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PRESETS, THREAT.name, THREAT)
    monkeypatch.chdir(tmp_path)
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def audit(tmp_path: Path, tiny_audit: Audit, write_audit: Callable[[Path, Audit], Path]) -> str:
    """An audit of nothing but what was added."""
    training = {**tiny_audit["target"]["training"], "epochs": 1}
    added = {
        "target": {**tiny_audit["target"], "training": training},
        "defenses": [],
        "attacks": ["mean-image"],
        "threats": ["listener"],
    }
    return str(write_audit(tmp_path / "added.yaml", {**tiny_audit, **added}))


@pytest.mark.usefixtures("added")
def test_what_is_added_is_listed_explained_and_planned(
    audit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for command in (
        ("list", "attacks"),
        ("list", "threats"),
        ("show", "mean-image"),
        ("show", "listener"),
        ("show", "activations"),
        ("plan", audit),
    ):
        assert app(list(command), standalone_mode=False) == 0
        said[command] = " ".join(capsys.readouterr().out.split())
    assert "mean-image Return the adversary's own patients' mean" in said["list", "attacks"]
    assert "after:" not in said["show", "mean-image"]
    assert said["show", "mean-image"].endswith("configuration: none")
    assert "listener eavesdropper activations, auxiliary-patients" in said["list", "threats"]
    assert THREAT.who in said["show", "listener"]
    assert "listener" in said["show", "activations"]
    assert "mean-image" in said["show", "activations"]
    assert "mean-image" in said["plan", audit]


@pytest.mark.usefixtures("added")
def test_what_is_added_is_run_and_reported(audit: str, tmp_path: Path) -> None:
    app(["run", audit], standalone_mode=False)
    report = tmp_path / "runs" / "tiny" / "report"
    record = ReportRecord.model_validate(json.loads((report / "report.json").read_text()))
    (cell,) = (one for one in record.cells if not one.control_only)
    assert (cell.attack_name, cell.threat, cell.recovers) == ("mean-image", "listener", "images")
    assert cell.state is State.CONTROL_FAILED  # the mean of others is no attack
    assert "positive control failed" in cell.reason
    assert [(one.name, one.words) for one in record.threats] == [("listener", THREAT.words)]
    page = (report / "report.html").read_text()
    assert THREAT.who in page
