"""`leakaudit dp`: figures that a script can read, and a verdict in the exit code."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.privacy import gaussian

pytestmark = pytest.mark.slow  # every test starts whole processes

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
BROKEN = """
from dataclasses import dataclass, replace

from leakaudit.api import Defense
from leakaudit_defenses.dp_gaussian import DpGaussian


@dataclass(frozen=True, kw_only=True)
class HalfNoise(Defense):
    def fit(self, setting):
        right = DpGaussian().fit(setting)
        return replace(right, noise_std=right.noise_std / 2)

    def draw(self, levels, generator):
        return ()

    def apply(self, levels, drawn):
        return levels
"""


@pytest.fixture
def dp(leakaudit: Leakaudit, tmp_path: Path) -> Leakaudit:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = leakaudit("dp", *arguments, cwd=tmp_path, **{"COLUMNS": "80", **more})
        assert all(len(line) <= 80 for line in done.stdout.splitlines())
        assert all(line.startswith("leakaudit: ") for line in done.stderr.splitlines())
        return done

    return run


def values(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """``name value`` lines, as a script reads them."""
    assert done.returncode == 0, done.stderr
    pairs = [line.split(" ") for line in done.stdout.splitlines()]
    assert all(len(pair) == 2 for pair in pairs)
    return {pair[0]: pair[1] for pair in pairs}


def test_epsilon_of_a_noise_with_its_cross_checks(dp: Leakaudit) -> None:
    done = dp("epsilon", "--noise-multiplier", "4", "--releases", "50", "--delta", "1e-5")
    found = values(done)
    assert done.stderr == ""
    assert float(found["epsilon"]) == pytest.approx(8.596, abs=5e-4)
    assert float(found["mu"]) == pytest.approx(math.sqrt(50) / 4, rel=1e-5)
    assert float(found["prv-epsilon"]) == pytest.approx(8.606, abs=5e-4)
    assert float(found["rdp-epsilon"]) == pytest.approx(9.23, abs=0.01)
    assert found["vacuous"] == "no"


def test_a_cross_check_that_does_not_hold_is_not_printed(dp: Leakaudit) -> None:
    found = values(dp("epsilon", "--noise-multiplier", "0.01"))
    assert found["prv-epsilon"] == "none"
    assert float(found["rdp-epsilon"]) >= float(found["epsilon"]) > 5000


def test_noise_for_an_epsilon(dp: Leakaudit) -> None:
    found = values(dp("noise", "--epsilon", "8", "--releases", "50"))
    z = gaussian.noise_multiplier(8.0, 1e-5, 50)
    assert float(found["noise-multiplier"]) == pytest.approx(z, rel=1e-5)
    assert "sigma" not in found
    found = values(dp("noise", "--epsilon", "8", "--clip", "320", "--sites", "4"))
    assert float(found["sensitivity"]) == 1280
    z = gaussian.noise_multiplier(8.0, 1e-5, 1)
    assert float(found["sigma"]) == pytest.approx(z * 1280, rel=1e-5)


@pytest.mark.parametrize(("releases", "total"), [("50", "118.8"), ("155", "302.7")])
def test_the_total_of_releases_made_one_by_one(dp: Leakaudit, releases: str, total: str) -> None:
    done = dp("total", "--per-release", "8", "--releases", releases)
    found = values(done)
    assert float(found["epsilon"]) == pytest.approx(float(total), abs=0.1)
    assert found["vacuous"] == "yes"
    warned = " ".join(done.stderr.split())
    assert warned.startswith(f"leakaudit: warning: an epsilon of {total} hides nothing:")


def test_the_total_of_one_release_is_its_own(dp: Leakaudit) -> None:
    done = dp("total", "--per-release", "8", "--releases", "1")
    assert float(values(done)["epsilon"]) == pytest.approx(8.0)
    assert done.stderr == ""


def test_the_page_shows_what_the_commands_print(dp: Leakaudit) -> None:
    page = (Path(__file__).parents[2] / "docs" / "differential-privacy.md").read_text()
    shown = re.findall(r"```console\n\$ leakaudit dp (.+)\n([^`]+)```", page)
    assert len(shown) == 5
    for command, output in shown:
        # Bounds from random draws stand there as an example; another torch may draw otherwise.
        if not command.startswith("audit"):
            assert dp(*command.split()).stdout == output


def test_the_help_says_what_a_number_means(dp: Leakaudit) -> None:
    text = " ".join(dp("--help").stdout.split())
    assert "sigma over the sensitivity of that, 2 C sqrt(S)" in text
    assert "the usual multiplier, sigma over C, is another number" in text
    assert "wrong for epsilon above 1" in text
    for command in ("epsilon", "noise", "total", "audit"):
        assert dp(command, "--help").returncode == 0


def test_figures_without_an_accountant_wait_for_no_torch() -> None:
    code = (
        "import sys; from leakaudit.cli.commands import dp; dp.total(8.0, 50); dp.noise(8.0, 50); "
        "print([m for m in ('torch', 'monai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_audit_of_a_claim_that_stands_ends_with_0(dp: Leakaudit) -> None:
    done = dp("audit", "dp-gaussian", "--set", "epsilon=4", "--set", "clip=2.5", "--draws", "50000")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "DpGaussian(epsilon=4.0, delta=1e-05, scope='inference', clip=2.5)" in " ".join(
        done.stdout.split()
    )
    assert "\nclaimed-epsilon 4\n" in done.stdout
    assert done.stdout.endswith("\nverdict stands\n")
    rows = [line.split() for line in done.stdout.partition("pair ")[2].splitlines()[1:5]]
    assert [row[0] for row in rows] == ["1x-clip", "100x-clip", "known-neighbor", "batch-of-two"]
    assert 3.4 < float(rows[0][4]) <= 4.0


def test_a_bound_above_the_claim_ends_with_1(dp: Leakaudit, tmp_path: Path) -> None:
    information = tmp_path / "broken-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[leakaudit.defenses]\nhalf-noise = half_noise:HalfNoise\n"
    )
    (tmp_path / "half_noise.py").write_text(BROKEN)
    done = dp("audit", "half-noise", "--draws", "20000", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "\nverdict refuted by 1x-clip 100x-clip" in done.stdout


def test_what_so_many_draws_can_not_show_is_said(dp: Leakaudit) -> None:
    done = dp("audit", "dp-gaussian", "--set", "epsilon=118.8", "--draws", "1000")
    assert done.returncode == 0
    warned = " ".join(done.stderr.split())
    assert "so many draws cannot show an epsilon of 118.8: no bug could be found" in warned
    assert "an epsilon of 118.8 hides nothing" in warned


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "identity"], "Identity claims no differential privacy"),
        (["audit", "dp-gausian"], "unknown defense 'dp-gausian'; did you mean 'dp-gaussian'?"),
        (["audit", "dp-gaussian", "--set", "epsilon"], "--set takes name=value"),
        (["audit", "dp-gaussian", "--set", "epsilon=inf"], "no noise was added"),
        (["audit", "dp-gaussian", "--set", "epsilon=x"], "epsilon is 'x'"),
        (["noise", "--epsilon", "8", "--clip", "3"], "sigma needs --clip and --sites"),
        (["epsilon", "--noise-multiplier", "0"], "noise multiplier is 0.0; expected"),
        (["total", "--per-release", "8", "--releases", "0"], "releases is 0"),
    ],
)
def test_what_can_not_be_is_refused_in_a_sentence(
    dp: Leakaudit, arguments: list[str], words: str
) -> None:
    done = dp(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
