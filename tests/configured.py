"""Configured plug-ins written as calls, which is short to read in a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from leakaudit.records import Configured


def a_plugin(text: str) -> Configured:
    """``A(x=1)`` as a plug-in with its parameters; any other text as a mere name."""
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        given = {str(one.arg): _value(one.value) for one in call.keywords}
        return Configured.of(ast.unparse(call.func), given)
    except (SyntaxError, ValueError, AssertionError):
        return Configured(name=text)


def a_defense(text: str) -> tuple[Configured, ...]:
    """``A(x=1) + B(y=2)`` as a stack; ``Identity()`` as none."""
    if text == "Identity()":
        return ()
    try:
        return tuple(
            a_plugin(ast.unparse(part)) for part in _parts(ast.parse(text, mode="eval").body)
        )
    except (SyntaxError, ValueError):
        return (a_plugin(text),)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield node.right
    else:
        yield node


def _value(node: ast.expr) -> object:
    if ast.unparse(node) in ("inf", "nan", "-inf"):
        return float(ast.unparse(node))
    return ast.literal_eval(node)
