"""What tells apart the configurations of a plug-in that is swept over a grid."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def sweep_labels(representations: Iterable[str]) -> dict[str, str]:
    """The parameters that differ between configurations of one plug-in, by repr.

    ``A(n=1, m=0)`` and ``A(n=2, m=0)`` are labelled ``n=1`` and ``n=2``. A configuration without
    rivals has an empty label.
    """
    plugins: dict[str, dict[str, dict[str, str]]] = {}
    for text in representations:
        plugins.setdefault(text.partition("(")[0], {})[text] = _parameters(text)
    return {
        text: _label(parameters, list(rivals.values()))
        for rivals in plugins.values()
        for text, parameters in rivals.items()
    }


def _label(parameters: dict[str, str], rivals: list[dict[str, str]]) -> str:
    return " ".join(
        f"{name}={value}" if name else value
        for name, value in parameters.items()
        if any(rival.get(name) != value for rival in rivals)
    )


def _parameters(representation: str) -> dict[str, str]:
    """The keyword arguments of a call; without a name what does not read as one."""
    try:
        call = ast.parse(representation, mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call):
        return {"": representation}
    return {keyword.arg or "": ast.unparse(keyword.value) for keyword in call.keywords}
