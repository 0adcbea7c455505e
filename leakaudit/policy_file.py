"""A policy in a file of its own: the same keys as under ``policy`` in an audit file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from leakaudit.config import PolicyConfig
from leakaudit.errors import ConfigError
from leakaudit.yaml_text import explain, parse_yaml, plain, read_text

_POLICY_FILE = "a policy file is a mapping with owner, date, thresholds, ..."


def read_policy(path: Path) -> PolicyConfig:
    """Read a policy file.

    Raises:
        ConfigError: with file, line and, for a misspelt key, the nearest valid one.
    """
    source = str(path)
    tree = parse_yaml(read_text(path, "the policy file"), source, _POLICY_FILE)
    given = plain(tree, source)
    if list(given) == ["policy"]:  # as it stands in an audit file
        given, tree = given["policy"], tree["policy"]
    try:
        return PolicyConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain(error, tree, source, PolicyConfig)) from error
