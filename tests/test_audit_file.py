"""Audit files: the right value, or one sentence with file, line and the nearest name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.audit_file import audit_yaml, parse_audit, read_audit
from leakaudit.config import AuditConfig, PluginUse, expand, expand_stack
from leakaudit.errors import ConfigError, UsageError

REPOSITORY = Path(__file__).resolve().parents[1]
REST = """
attacks:
- activation-inversion
threats: [curious-server-with-encoder]
"""


def parse(text: str, **more: Any) -> AuditConfig:
    return parse_audit(text.encode(), "a.yaml", folder=Path("/files"), **more)


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("a.yaml")
    assert "\n" not in message
    return message


def test_yaml_1_2_reads_no_as_a_word_and_010_as_ten() -> None:
    audit = parse(f"name: no\nseeds: [010]\ntarget: {{training: {{learning_rate: 1e-5}}}}{REST}")
    assert audit.name == "no"
    assert audit.seeds == (10,)
    assert audit.target.training.learning_rate == 1e-5
    assert refusal(f"name: 010{REST}") == "a.yaml, line 1: name: input should be a valid string"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nsedes: [1]" + REST, 2, "unknown key 'sedes'; did you mean 'seeds'?"),
        ("name: x\ntarget:\n  cutlevel: 1" + REST, 3, "'cutlevel'; did you mean 'cut_level'?"),
        ("name: x\ndata:\n  phantom:\n    slice: 1" + REST, 4, "did you mean 'slices'?"),
        ("name: x\ntarget:\n  training: {epoch: 1}" + REST, 3, "did you mean 'epochs'?"),
        ("name: x\nreferences:\n  seed: [1]" + REST, 3, "did you mean 'seeds'?"),
        ("name: x\nbudgets:\n  worker: 1" + REST, 3, "did you mean 'workers'?"),
        ("name: x\ntarget:\n  sites: [[T1w, T1d]]" + REST, 3, "unknown modality 'T1d'; did you"),
    ],
)
def test_a_misspelt_key_has_its_line_and_the_nearest(text: str, line: int, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"a.yaml, line {line}: ")
    assert words in message


@pytest.mark.parametrize(
    ("text", "line", "nearest"),
    [
        ("name: x\nattacks:\n- actvation-inversion\nthreats: [curious-server]", 3, "activation-"),
        ("name: x\ndefenses:\n- dp-gaussian\n- gausian-noise: {std: 1}" + REST, 4, "gaussian-no"),
        ("name: x\nattacks: [decoder-inversion]\nthreats:\n- curious-serve", 4, "curious-server"),
        ("name: x\nattacks: [decoder-inversion]\nthreats:\n  agregator: []", 4, "aggregator"),
        ("name: x\ndefenses:\n- gaussian-noise:\n    sdt: 1" + REST, 4, "std"),
        (
            "name: x\nattacks: [decoder-inversion]\nthreats:\n  curious-server:\n"
            "  - decoder-inversion\n  - decoder-invasion",
            6,
            "decoder-inversion",
        ),
    ],
    ids=["attack", "defense", "threat in a list", "threat", "parameter", "attack of a threat"],
)
def test_a_misspelt_name_has_its_line_and_the_nearest(text: str, line: int, nearest: str) -> None:
    message = refusal(text)
    assert message.startswith(f"a.yaml, line {line}: ")
    assert f"; did you mean '{nearest}" in message


@pytest.mark.parametrize(
    ("part", "line", "words"),
    [
        ("target:\n  shared_skips: none", 3, "shared_skips: expected all or a list such as [0, 1]"),
        ("target:\n  cut_level: 2\n  shared_skips: [5]", 4, "must be a rising subset of [0, 1]"),
        ("target:\n  sites: [T1w, FLAIR]", 3, "target.sites.0: expected a list"),
        ("target:\n  sites: [[T1w], [T1w]]", 3, "T1w is held twice"),
        ("target:\n  withheld_skips: 3", 3, "withheld_skips is [3]; expected 0 to 2"),
        ("target:\n  withheld_skips: []", 3, "withheld_skips is []; expected 0 to 2"),
        ("target:\n  bottleneck: 32", 3, "bottleneck is [32]; expected fewer channels than the 32"),
        ("target:\n  bottleneck: [null, 0]", 3, "bottleneck is [None, 0]; expected fewer"),
        ("target:\n  bottleneck: []", 3, "at least 1, null for none, or a list of such"),
        ("gradient_checkpoints: last", 2, "expected ends, an epoch, a list such as [0, 2] or"),
        ("gradient_checkpoints: [[0], last]", 2, "or several such lists; got [[0], 'last']"),
        ("gradient_checkpoints: [0, [1]]", 2, "or several such lists; got [0, [1]]"),
        ("gradient_checkpoints: []", 2, "expected ends, an epoch, a list such as [0, 2] or"),
        ("gradient_checkpoints: [[]]", 2, "expected ends, an epoch, a list such as [0, 2] or"),
        ("gradient_checkpoints: [[0], [2, 9]]", 2, "is [2, 9]; with 4 epochs it must be a rising"),
        ("gradient_checkpoints: [2, 9]", 2, "with 4 epochs it must be a rising subset of 0 to 4"),
        ("seeds: 1", 2, "seeds: expected a list"),
        ("seeds: []", 2, "the list is empty; name at least one"),
        ("references: true", 2, "references: expected keys and values"),
        ("images: ful", 2, "expected 'none', 'blurred' or 'full', got 'ful'; did you mean 'full'?"),
        ("data:\n  kind: fantom", 3, "got 'fantom'; did you mean 'phantom'?"),
        ("data:\n  kind: folder", 2, "data.path, --data or LEAKAUDIT_DATA must name it"),
        ("target:\n  training:\n    learning_rate: .nan", 4, "nan is not a value"),
        ("defenses:\n- gaussian-noise: {std: 1}\n  identity:", 3, "one name in each entry, got"),
        ("defenses:\n- gaussian-noise: {std: true}", 3, "std is True; expected float"),
    ],
)
def test_what_can_not_be_is_said_in_plain_words_at_its_line(
    part: str, line: int, words: str
) -> None:
    message = refusal(f"name: x\n{part}{REST}")
    assert message.startswith(f"a.yaml, line {line}: ")
    assert words in message


def test_an_installed_attack_that_a_threat_alone_names_is_to_be_added() -> None:
    text = "name: x\nattacks: [decoder-inversion]\nthreats:\n  aggregator: [gradient-inversion]"
    assert "which is not under attacks; add it there" in refusal(text)
    text = "name: x\nattacks: [decoder-inversion, gradient-inversion]\n\nthreats:\n"
    message = refusal(f"{text}  curious-server: [decoder-inversion]")
    assert message.startswith("a.yaml, line 4: no threat meets gradient-inversion")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nname: y" + REST, 2, 'duplicate key "name"'),
        ("name: &a x" + REST, 1, "anchors and aliases are not supported"),
        ("a: &a [x]\nb: [*a, *a]\nname: x" + REST, 1, "anchors and aliases"),
        ("name: !!python/object:os.system x" + REST, 1, "tags are not supported"),
        ("name: x\nseeds: !!set {1}" + REST, 2, "tags are not supported"),
        ("%YAML 1.1\n---\nname: x" + REST, 2, "directives are not supported"),
        ("name: x\nseeds: [1" + REST, 3, "expected"),
    ],
)
def test_what_yaml_can_do_but_an_audit_needs_not(text: str, line: int, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"a.yaml, line {line}: ")
    assert words in message


@pytest.mark.parametrize(
    "part",
    [
        "target: {training: {epochs: true}}",
        "target: {training: {epochs: '3'}}",
        "target: {training: {epochs: 2.0}}",
        "target: {training: {epochs: 0}}",
        "target: {training: {learning_rate: .inf}}",
        "target: {training: {learning_rate: .nan}}",
        "target: {training: {learning_rate: -1e-3}}",
        "target: {cut_level: 5}",
        "target: {cut_level: []}",
        "target: {features: [8, 8]}",
        "target: {bottleneck: 4.0}",
        "target: {bottleneck: none}",
        "target: {features: [8, 8, 8, 8, 8, 0]}",
        "target: {cut_level: 0, shared_skips: []}",
        "target: {cut_level: 2, shared_skips: [2]}",
        "target: {cut_level: 2, shared_skips: [1, 0]}",
        "target: {sites: [[T1w], [T1w]]}",
        "target: {sites: []}",
        "data: {size: 40}",
        "data: {size: 16}",
        "data: {path: somewhere}",
        "data: {crop: 64}",
        "data: {kind: folder}",
        "data: {kind: folder, path: x, size: 32, crop: 48}",
        'data: {kind: folder, path: "a\\0b"}',
        "data: 3",
        "seeds: []",
        "seeds: [1.5]",
        "releases: 0",
        "images: some",
        "defenses: [3]",
        "defenses: [gaussian-noise: {std: []}]",
        "defenses: [gaussian-noise: {std: .nan}]",
        "defenses: [gaussian-noise: {std: .inf}]",
        "defenses: [gaussian-noise: {std: wide}]",
        "defenses: [gaussian-noise: {std: -1}]",
        "defenses: [gaussian-noise: [std]]",
        "budgets: {workers: 0}",
        "budgets: {minutes_per_job: .inf}",
    ],
)
def test_a_wrong_value_is_refused(part: str) -> None:
    assert "wrong value" not in refusal(f"name: x\n{part}{REST}")


@pytest.mark.parametrize("name", ["../x", "a b", ".hidden", "x" * 65, "'x\ny'", "<script>", "''"])
def test_a_name_is_a_plain_folder_name(name: str) -> None:
    assert "name: " in refusal(f'name: "{name}"{REST}')


@pytest.mark.parametrize(
    "threats", ["[[1]]", "[{a: b}]", "3", "{}", "{curious-server: []}", "null", "[1]"]
)
@pytest.mark.parametrize("attacks", ["[decoder-inversion]", "3", "[[1]]", "[{a: 1, b: 2}]", "[]"])
def test_wrong_threats_and_attacks_are_refused(threats: str, attacks: str) -> None:
    refusal(f"name: x\nattacks: {attacks}\nthreats: {threats}")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as handle:
        handle.truncate(100_000_000_000)
    with pytest.raises(ConfigError, match="larger than 100000 bytes"):
        read_audit(file)


def test_deep_nesting_is_refused() -> None:
    assert "nested deeper than 20 levels" in refusal("name: " + "[" * 99_000)


def test_a_missing_audit_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: the audit file cannot be read"):
        read_audit(tmp_path / "no.yaml")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_raise_a_config_error_or_nothing(text: bytes) -> None:
    with pytest.raises(UsageError):
        parse_audit(text, "a.yaml", folder=Path("/"))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_KEYS = st.sampled_from([*AuditConfig.model_fields, "other"])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_KEYS, _TREES))
def test_any_tree_raises_a_config_error_or_nothing(tree: dict[str, Any]) -> None:
    from ruamel.yaml import YAML
    from ruamel.yaml.compat import StringIO

    stream = StringIO()
    YAML().dump(tree, stream)
    base = {"name": "x", "attacks": ["decoder-inversion"], "threats": ["curious-server"]}
    YAML().dump({key: value for key, value in base.items() if key not in tree}, stream)
    text = stream.getvalue().replace("{}\n", "")
    with suppress(UsageError):
        parse_audit(text.encode(errors="surrogatepass"), "a.yaml", folder=Path("/"))


def test_a_list_of_values_is_a_grid() -> None:
    use = PluginUse(name="gaussian-noise", parameters={"std": [0.5, 1.0, 3]})
    assert [point for point, _ in expand("defense", use)] == [{"std": s} for s in (0.5, 1.0, 3)]
    assert repr(expand("defense", use)[0][1]) == "GaussianNoise(std=0.5, relative=False)"
    steps = {"steps": [5, 10], "width": [8, 16]}
    assert len(expand("attack", PluginUse(name="decoder-inversion", parameters=steps))) == 4


def test_threats_as_a_list_meet_every_attack() -> None:
    audit = parse(
        "name: x\nattacks: [decoder-inversion, gradient-inversion: {iterations: 3}]\n"
        "threats: [curious-server, aggregator]"
    )
    both = ("decoder-inversion", "gradient-inversion")
    assert audit.threats == {"curious-server": both, "aggregator": both}


def test_an_attack_that_no_threat_meets_is_refused() -> None:
    message = refusal(
        "name: x\nattacks: [decoder-inversion, gradient-inversion]\n"
        "threats: {curious-server: [decoder-inversion]}"
    )
    assert "no threat meets gradient-inversion" in message


def test_the_data_path_is_relative_to_the_audit_file() -> None:
    text = "name: x\ndata: {kind: folder, path: ../patients}" + REST
    assert parse(text).data.path == "/patients"


def test_named_data_makes_the_kind_folder_and_usual_data_does_not() -> None:
    phantom, folder = "name: x" + REST, "name: x\ndata: {kind: folder}" + REST
    assert parse(phantom, data="/d").data.model_dump(include={"kind", "path"}) == {
        "kind": "folder",
        "path": "/d",
    }
    assert parse(phantom, usual_data="/u").data.kind == "phantom"
    assert parse(folder, usual_data="/u").data.path == "/u"
    assert parse(folder, usual_data="/u", data="/d").data.path == "/d"


@pytest.mark.parametrize(
    "name",
    [
        "leakaudit/quick.yaml",
        *(f"examples/{path.name}" for path in sorted((REPOSITORY / "examples").glob("*.yaml"))),
    ],
)
def test_the_audit_files_of_the_project_parse(name: str) -> None:
    audit = read_audit(REPOSITORY / name)
    assert len(audit.attacks) >= 1
    assert audit.defenses
    assert parse_audit(
        audit.model_dump_json().encode(), "dumped", folder=Path("/elsewhere")
    ) == audit.model_copy(update={"data": audit.data})


def test_a_list_of_defenses_is_a_stack_and_its_grids_multiply() -> None:
    part = "defenses:\n- [nopeek: {weight: [1, 3]}, gaussian-noise: {std: [0.5, 1]}]\n- identity"
    audit = parse(f"name: x\n{part}{REST}")
    settings = [one for uses in audit.defenses for one in expand_stack(uses, audit.target)]
    assert len(settings) == 5
    assert settings[0].name == "nopeek+gaussian-noise"
    assert repr(settings[1].defense) == (
        "Nopeek(weight=1.0) + GaussianNoise(std=1.0, relative=False)"
    )
    again = parse(audit_yaml(audit))
    assert again == audit


def test_an_architecture_is_a_defense_of_its_own_or_a_part_of_one() -> None:
    part = (
        "target: {cut_level: 2}\ndefenses:\n- architecture: {withheld_skips: [1, 2]}\n"
        "- [architecture: {bottleneck: 4}, gaussian-noise: {std: [1, 2]}]"
    )
    audit = parse(f"name: x\n{part}{REST}")
    alone, stacked = (expand_stack(uses, audit.target) for uses in audit.defenses)
    assert [(one.name, one.target.withheld_skips) for one in alone] == [("identity", (1, 2))]
    assert [(one.name, one.target.bottleneck) for one in stacked] == [("gaussian-noise", (4,))] * 2
    assert all(one.sets_architecture for one in (*alone, *stacked))


@pytest.mark.parametrize(
    ("part", "line", "words"),
    [
        ("defenses:\n- identity\n- [gaussian-noise, nopeek: {wieght: 1}]", 4, "did you mean"),
        ("defenses:\n- [dp-sgd, dp-sgd]", 3, "both privatize the training"),
        ("defenses:\n- []", 3, "the list is empty"),
        ("defenses:\n- [identity, nopeek]", 3, "leave it out of the stack"),
        ("defenses:\n- gaussian-noise: {std: [0, 1]}", 3, "changes nothing at std: 0.0"),
        ("defenses:\n- architecture: {cut_level: 1}", 3, "it has withheld_skips, bottleneck"),
        ("defenses:\n- architecture: {withheld_skips: 7}", 3, "expected 0 to 2"),
        ("defenses:\n- architecture", 3, "architecture says nothing"),
        (
            "defenses:\n- [architecture: {bottleneck: 2}, architecture: {bottleneck: 4}]",
            3,
            "one architecture",
        ),
    ],
)
def test_a_stack_that_can_not_be_is_refused_at_its_line(part: str, line: int, words: str) -> None:
    message = refusal(f"name: x\n{part}{REST}")
    assert message.startswith(f"a.yaml, line {line}: ")
    assert words in message


@pytest.mark.parametrize(
    ("attack", "what"),
    [("decoder-inversion", "images"), ("mask-inference", "masks")],
)
def test_an_attack_on_pictures_may_not_hold_the_candidates(attack: str, what: str) -> None:
    message = refusal(
        f"name: x\nattacks: [release-matching, {attack}]\n"
        f"threats:\n  curious-server-with-candidates:\n  - release-matching\n  - {attack}\n"
    )
    assert message.startswith("a.yaml, line 6: ")
    assert f"{attack} recovers {what}, and threat 'curious-server-with-candidates'" in message
    assert "it would be given what it is to recover" in message
    audit = parse(
        "name: x\nattacks: [release-matching]\n"
        "threats: {curious-server-with-candidates: [release-matching]}"
    )
    assert audit.threats == {"curious-server-with-candidates": ("release-matching",)}
