from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from leakaudit.contracts import Defense
from leakaudit.errors import ConfigError, PluginError
from leakaudit.registry import _code_of as load_code
from leakaudit.registry import installed, load, usable
from leakaudit.testing import check_defense

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
BUILT_IN = {
    kind: sorted(_PROJECT["project"]["entry-points"][f"leakaudit.{kind}s"])
    for kind in ("attack", "defense")
}
FOREIGN = '''
from dataclasses import dataclass
from typing import ClassVar

from leakaudit.api import ConfigError, Defense, Levels


@dataclass(frozen=True, kw_only=True)
class Halve(Defense):
    """Release half of every value."""

    factor: float = 0.5
    times: int = 1

    off: ClassVar[dict] = {"factor": 1.0}

    def __post_init__(self):
        if self.factor == 0:
            raise ConfigError("Halve: factor is 0; it must be another number")
        if self.factor < 0:
            raise ZeroDivisionError("a check of its own")

    def draw(self, levels, generator):
        return ()

    def apply(self, levels, drawn):
        return tuple(level * self.factor**self.times for level in levels)


class NoDataclass(Defense):
    def draw(self, levels, generator):
        return ()

    def apply(self, levels, drawn):
        return levels


def not_a_class():
    pass
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install distributions of third parties: a dist-info folder and a module on `sys.path`."""
    monkeypatch.syspath_prepend(tmp_path)
    added = []

    def add(distribution: str, *lines: str, module: str = "", group: str = "defenses") -> None:
        information = tmp_path / f"{distribution.replace('-', '_')}-2.5.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n"
        )
        (information / "entry_points.txt").write_text(
            "\n".join([f"[leakaudit.{group}]", *lines, ""])
        )
        if module:
            added.append(module)
            (tmp_path / f"{module}.py").write_text(FOREIGN)
        installed.cache_clear()

    yield add
    for name in added:
        sys.modules.pop(name, None)
    installed.cache_clear()


def test_the_built_in_plugins_are_declared_like_anybodys() -> None:
    for kind, names in BUILT_IN.items():
        plugins, problems = usable(kind)  # type: ignore[arg-type]
        assert problems == []
        ours = [plugin for plugin in plugins if plugin.distribution == "leakaudit"]
        assert [plugin.name for plugin in ours] == names
        for plugin in ours:
            # The three spellings of a name are derived from each other.
            assert plugin.cls.__module__.rsplit(".", 1)[1] == plugin.name.replace("-", "_")
            assert plugin.cls.__name__ == plugin.name.title().replace("-", "")
            assert plugin.version == version("leakaudit")
            assert len(plugin.code) == 64
            assert plugin.summary.endswith(".")
            assert plugin.make({}) == plugin.cls()


def test_what_a_fit_sets_is_no_parameter() -> None:
    parameters = load("defense", "dp-gaussian").parameters
    assert set(parameters) == {"epsilon", "delta", "scope", "clip"}
    with pytest.raises(ConfigError, match="no parameter 'noise_std'"):
        load("defense", "dp-gaussian").make({"noise_std": 1.0})


@pytest.mark.parametrize("kind", BUILT_IN)
def test_an_unknown_name_lists_the_installed_ones(kind: str) -> None:
    with pytest.raises(PluginError) as raised:
        load(kind, "xyz")  # type: ignore[arg-type]
    assert str(raised.value).startswith(f"unknown {kind} 'xyz'; there are ")
    for name in BUILT_IN[kind]:
        assert name in str(raised.value)
    assert (", architecture, " in str(raised.value)) == (kind == "defense")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("gausian-noise", "gaussian-noise"), ("dropout", "activation-dropout"), ("ident", "identity")],
)
def test_an_unknown_name_names_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(PluginError, match=f"did you mean '{meant}'"):
        load("defense", asked)


def test_a_third_partys_plugin_is_loaded_as_ours_are(install: Install) -> None:
    install("foreign-defenses", "halve = foreign:Halve", module="foreign")
    plugin = load("defense", "halve")
    assert (plugin.distribution, plugin.version) == ("foreign-defenses", "2.5")
    assert plugin.summary == "Release half of every value."
    assert plugin.parameters == {"factor": float, "times": int}
    made = plugin.make({"factor": 1, "times": 2})
    assert isinstance(made, Defense)
    assert repr(made) == "Halve(factor=1.0, times=2)"
    check_defense(made)
    assert "halve" in [each.name for each in usable("defense")[0]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("absent_module:Thing", "cannot be imported: No module named 'absent_module'"),
        ("foreign:Absent", r"\(foreign:Absent\) cannot be imported"),
        ("foreign:NoDataclass", "is not a dataclass derived from Defense"),
        ("foreign:not_a_class", "is not a dataclass derived from Defense"),
        ("pathlib:Path", "is not a dataclass derived from Defense"),
        (
            "leakaudit_attacks.activation_inversion:ActivationInversion",
            "is not a dataclass derived from Defense",
        ),
    ],
)
def test_a_broken_entry_point_is_loud_and_hides_no_other(
    install: Install, value: str, message: str
) -> None:
    install("foreign-defenses", f"broken = {value}", module="foreign")
    with pytest.raises(PluginError, match=rf"'broken' of foreign-defenses .*{message}"):
        load("defense", "broken")
    plugins, problems = usable("defense")
    assert [plugin.name for plugin in plugins] == BUILT_IN["defense"]
    assert len(problems) == 1
    assert "foreign-defenses" in problems[0]


def test_a_module_that_fails_on_import_is_loud(install: Install, tmp_path: Path) -> None:
    install("foreign-defenses", "broken = fails_on_import:Thing")
    (tmp_path / "fails_on_import.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match="cannot be imported: division by zero"):
        load("defense", "broken")


def test_two_that_claim_one_name_are_both_refused(install: Install) -> None:
    install("one-party", "halve = foreign:Halve", module="foreign")
    install("other-party", "halve = foreign:Halve", "identity = foreign:Halve")
    for name, owners in (("halve", {"one-party", "other-party"}), ("identity", {"leakaudit"})):
        with pytest.raises(PluginError, match="uninstall all but one") as raised:
            load("defense", name)
        for owner in owners | {"other-party"}:
            assert owner in str(raised.value)
    plugins, problems = usable("defense")
    assert len(problems) == 2
    assert [plugin.name for plugin in plugins] == [
        name for name in BUILT_IN["defense"] if name != "identity"
    ]


def test_the_kinds_are_apart(install: Install) -> None:
    install("foreign-attacks", "halve = foreign:Halve", module="foreign", group="attacks")
    with pytest.raises(PluginError, match="is not a dataclass derived from Attack"):
        load("attack", "halve")
    with pytest.raises(PluginError, match="unknown defense 'halve'"):
        load("defense", "halve")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("gaussian-noise", {"sdt": 1.0}, "no parameter 'sdt'; did you mean 'std'.*it has std"),
        ("dp-gaussian", {"epsilom": 1.0}, "did you mean 'epsilon'"),
        ("identity", {"std": 1.0}, "identity has no parameter 'std'; it has none"),
        ("gaussian-noise", {"std": "loud"}, "std is 'loud'; input should be a valid number"),
        ("gaussian-noise", {"std": None}, "std is None; input should be a valid number"),
        ("gaussian-noise", {"std": -1}, "std is -1.0; it must be 0 to"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    name: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load("defense", name).make(parameters)


def test_an_error_of_a_third_partys_own_check_is_a_config_error(install: Install) -> None:
    install("foreign-defenses", "halve = foreign:Halve", module="foreign")
    plugin = load("defense", "halve")
    with pytest.raises(ConfigError, match=r"^Halve: factor is 0"):
        plugin.make({"factor": 0})
    with pytest.raises(ConfigError, match="halve: ZeroDivisionError: a check of its own"):
        plugin.make({"factor": -1})


def test_a_plugins_code_is_its_own_module_where_it_has_no_package(
    install: Install, tmp_path: Path
) -> None:
    install("foreign-defenses", "halve = foreign:Halve", module="foreign")
    before = load("defense", "halve").code
    (tmp_path / "beside.py").write_text("x = 1\n")
    assert load("defense", "halve").code == before
    (tmp_path / "foreign.py").write_text(FOREIGN + "\n# changed\n")
    assert load("defense", "halve").code != before


@pytest.mark.parametrize("where", ["", ".halving"])
def test_a_plugins_code_is_all_of_its_package(install: Install, tmp_path: Path, where: str) -> None:
    package = tmp_path / "packaged"
    package.mkdir()
    (package / "__init__.py").write_text("" if where else FOREIGN)
    if where:
        (package / "halving.py").write_text(FOREIGN)
    install("foreign-defenses", f"halve = packaged{where}:Halve")

    def code() -> str:
        load_code.cache_clear()
        return load("defense", "halve").code

    seen = {code()}
    for changed in ("core.py", "deep/inside.py", "weights.safetensors"):
        (package / changed).parent.mkdir(exist_ok=True)
        (package / changed).write_text("1")
        assert code() not in seen, changed
        seen.add(code())
    before = code()
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "core.pyc").write_text("1")
    assert code() == before
    for name in [name for name in sys.modules if name.startswith("packaged")]:
        del sys.modules[name]
