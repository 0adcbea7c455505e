"""Policies as their owners write them: the right value, or a sentence with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from leakaudit.audit_file import parse_audit, read_audit, read_policy
from leakaudit.config import AuditConfig, judged_targets, resolved_policy
from leakaudit.config.plugins import as_written
from leakaudit.errors import ConfigError, UsageError
from leakaudit.records import TargetRecord
from tests.configured import a_defense
from tests.policy.test_judging import TARGET

POLICY = """
owner: Data protection officer
date: 2026-01-31
thresholds:
- ssim: 0.5
  rationale: a reason
"""
AUDIT = """name: x
seeds: [1]
target: {cut_level: [1, 2], features: [16, 16, 32, 64, 128, 16]}
defenses:
- gaussian-noise: {std: [1.0, 2.0]}
- [architecture: {withheld_skips: 1}, gaussian-noise: {std: 1.0}]
attacks: [activation-inversion, decoder-inversion]
threats:
  curious-server: [decoder-inversion]
  curious-server-with-encoder: [activation-inversion]
"""


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


def parse(policy: str, audit: str = AUDIT) -> AuditConfig:
    text = f"{audit}policy:\n{indented(policy)}\n"
    return parse_audit(text.encode(), "a.yaml", folder=Path("/files"))


def refused(policy: str, tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(policy)
    with pytest.raises(UsageError) as caught:
        read_policy(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line ")
    assert "\n" not in message
    return message.removeprefix(f"{path}, ")


def test_defaults_are_written_out_for_each_threshold() -> None:
    config = parse(
        POLICY
        + "- measure: dice_loss\n  max: 0\n  rationale: none\n  n_min: 3\n  date: 2026-02-01\n"
        + "- epsilon: 8\n  rationale: weak\n- reidentification: 0.2\n  rationale: r\n  owner: O\n"
    )
    assert config.policy is not None
    ssim, loss, epsilon, share = resolved_policy(config.policy).thresholds
    assert (ssim.quantifier, ssim.bound, ssim.n_min, ssim.limit) == (
        "worst_patient",
        "upper",
        5,
        0.5,
    )
    assert (loss.quantifier, loss.n_min, loss.date) == ("mean", 3, "2026-02-01")
    assert (epsilon.quantifier, epsilon.bound, epsilon.limit) == (None, "estimate", 8.0)
    assert (share.quantifier, share.owner, ssim.owner) == (None, "O", "Data protection officer")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ssim: 0.5", "ssimm: 0.5"), "unknown measure 'ssimm'; did you mean 'ssim'?"),
        (("rationale: a reason", "rationalle: r"), "did you mean 'rationale'?"),
        (("ssim: 0.5", "ssim: 1.5"), "lies from 0 to below 1"),
        (("ssim: 0.5", "ssim: .nan"), "not a value"),
        (("ssim: 0.5", "epsilon: 8"), "no limit on what leaks"),
        (("ssim: 0.5", "ssim: 0.5\n  advantage: 0.1"), "one limit in each entry"),
        (("ssim: 0.5", "reidentification: 0.5\n  quantifier: mean"), "leave the quantifier out"),
        (("ssim: 0.5", "ssim: 0.5\n  bound: uper"), "did you mean 'upper'?"),
        (("ssim: 0.5", "ssim: 0.5\n  quantifier: worst"), "did you mean 'worst_patient'?"),
        (("owner: Data protection officer", "owner: ''"), "owner"),
        (("date: 2026-01-31", "date: soon"), "date"),
        (("date: 2026-01-31", "date: 2026-01-31\nrequired: []"), "a list is empty"),
        (("date: 2026-01-31", "date: 2026-01-31\nrequired: {t: []}"), "a list is empty"),
        (("ssim: 0.5", "ssim: 0.5\n  delta: 0.1"), "ssim has no delta"),
    ],
)
def test_what_is_wrong_is_said(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    assert POLICY.count(change[0]) == 1
    assert words in refused(POLICY.replace(*change), tmp_path)


def test_a_policy_may_be_a_file_beside_the_audit(tmp_path: Path) -> None:
    (tmp_path / "hospital.yaml").write_text(POLICY)
    (tmp_path / "audit.yaml").write_text(f"{AUDIT}policy: hospital.yaml\n")
    config = read_audit(tmp_path / "audit.yaml")
    assert config == read_audit(
        tmp_path / "audit.yaml", policy=read_policy(tmp_path / "hospital.yaml")
    )
    assert config.policy == parse(POLICY).policy
    (tmp_path / "headed.yaml").write_text(f"policy:\n{indented(POLICY)}\n")
    assert read_policy(tmp_path / "headed.yaml") == config.policy
    with pytest.raises(ConfigError, match=r"policy is the file hospital\.yaml; name that file"):
        read_policy(tmp_path / "audit.yaml")
    (tmp_path / "whole.yaml").write_text(f"{AUDIT}policy:\n{indented(POLICY)}\n")
    assert read_policy(tmp_path / "whole.yaml") == config.policy
    (tmp_path / "stray.yaml").write_text(f"policy:\n{indented(POLICY)}\nthresholds: []\n")
    with pytest.raises(ConfigError, match="thresholds"):
        read_policy(tmp_path / "stray.yaml")
    again = AuditConfig.model_validate(config.model_dump(mode="json"))
    assert again == config


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("required: [decoder-inversoin]", "did you mean 'decoder-inversion'?"),
        ("required: {curious-sever: [decoder-inversion]}", "did you mean 'curious-server'?"),
        ("required: {curious-server: [activation-inversion]}", "curious-server does not meet"),
        (
            "proposed: [gaussian-noise: {std: [1.0, 3.0]}]",
            "the policy proposes gaussian-noise: {std: 3.0}, which is not under defenses; write it",
        ),
        (
            "proposed: [[architecture: {withheld_skips: 2}, gaussian-noise: {std: 1.0}]]",
            "proposes [architecture: {withheld_skips: 2}, gaussian-noise: {std: 1.0}], which is",
        ),
        ("proposed: [nopeek]", "the policy proposes nopeek, which is not under defenses"),
        (
            "proposed: [architecture: {withheld_skips: 2}]",
            "the policy proposes architecture: {withheld_skips: 2}, which is not",
        ),
        ("proposed: [gausian-noise]", "did you mean 'gaussian-noise'?"),
    ],
)
def test_a_policy_must_fit_its_audit(more: str, words: str) -> None:
    with pytest.raises(UsageError, match="line ") as caught:
        parse(f"{POLICY}{more}\n")
    assert words in str(caught.value)


def network(name: str, **changes: object) -> TargetRecord:
    return TARGET.model_copy(
        update={
            "target": name,
            "defense": a_defense("GaussianNoise(std=1.0, relative=False)"),
            **changes,
        }
    )


TWO = a_defense("GaussianNoise(std=2.0, relative=False)")
THERE = (
    network("plain", defense=a_defense("Identity()"), shared_skips=(0, 1)),
    network("plain at 1", defense=a_defense("Identity()"), cut_level=1, shared_skips=(0,)),
    network("one", shared_skips=(0, 1)),
    network("one at 1", cut_level=1, shared_skips=(0,)),
    network("two", defense=TWO, shared_skips=(0, 1)),
    network("two at 1", defense=TWO, cut_level=1, shared_skips=(0,)),
    network("bare", defense=a_defense("Identity()"), shared_skips=(1,)),
    network("bare at 1", defense=a_defense("Identity()"), cut_level=1, shared_skips=()),
    network("stack", shared_skips=(1,)),
    network("stack at 1", cut_level=1, shared_skips=()),
    network("reference", kind="centralised", shared_skips=(0, 1)),
    network("control", shared_skips=(0, 1), control_only=True),
)
DEFENDED = {"one", "one at 1", "two", "two at 1", "stack", "stack at 1"}


@pytest.mark.parametrize(
    ("proposed", "judged"),
    [
        ("", DEFENDED),
        ("proposed: [gaussian-noise: {std: 1.0}]", {"one", "one at 1"}),
        ("proposed: [identity]", {"plain", "plain at 1"}),
        (
            "proposed: [[architecture: {withheld_skips: 1}, gaussian-noise: {std: 1.0}]]",
            {"stack", "stack at 1"},
        ),
    ],
)
def test_a_policy_is_about_what_is_proposed(proposed: str, judged: set[str]) -> None:
    assert judged_targets(parse(f"{POLICY}{proposed}\n"), THERE) == judged


def test_what_is_proposed_and_not_there_is_never_passed_over() -> None:
    """As where another version of a plug-in wrote the run, with another repr."""
    left = tuple(one for one in THERE if one.target != "two at 1")
    with pytest.raises(UsageError, match="no such network at cut level 1 under seed 1") as caught:
        judged_targets(parse(POLICY), left)
    assert "the policy is about gaussian-noise: {std: 2.0}, and" in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({}, "a-plugin"),
        ({"n": 2, "x": 1e-05, "on": True, "no": None}, "{n: 2, x: 1.0e-05, on: true, no: null}"),
        ({"a": "word", "b": "true", "c": "two words: \u202e\x1b</style>"}, ""),
        ({"a": [1, [2.0, "x"]], "b": {"c": []}}, "{a: [1, [2.0, x]], b: {c: []}}"),
    ],
)
def test_a_plugin_is_written_as_it_is_read(parameters: dict[str, object], line: str) -> None:
    written = as_written("a-plugin", parameters)
    assert written.isascii()
    assert written.isprintable()
    assert YAML(typ="safe").load(written) == (
        {"a-plugin": parameters} if parameters else "a-plugin"
    )
    assert line.replace("1.0e-05", "1e-05") in written


def test_without_a_defense_the_undefended_network_is_judged() -> None:
    audit = AUDIT.replace(AUDIT[AUDIT.index("defenses") : AUDIT.index("attacks:")], "")
    assert judged_targets(parse(POLICY, audit), THERE) == {"plain", "plain at 1"}


def test_the_policy_of_the_docs_is_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text()
    block = text[text.index("    policy:") : text.index("In a file of its own")]
    lines = [
        line.removeprefix("    ").replace("# required", "required") for line in block.split("\n")
    ]
    written = "\n".join(lines).replace("# proposed", "proposed")
    config = parse_audit(f"{AUDIT}{written}".encode(), "a.yaml", folder=Path("/files"))
    assert config.policy is not None
    assert [one.measure for one in config.policy.thresholds] == [
        *("ssim", "reidentification", "dice_loss")
    ]
    assert config.policy.required == ("decoder-inversion",)
    assert len(judged_targets(config, THERE)) == 2
