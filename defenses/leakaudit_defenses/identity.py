"""No defense: the levels cross as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from leakaudit.api import Stage
from leakaudit_defenses.unchanged import ReleaseUnchanged


@final
@dataclass(frozen=True, kw_only=True)
class Identity(ReleaseUnchanged):
    """Release the levels unchanged: the undefended reference that every audit contains."""

    acts_on: ClassVar[frozenset[Stage]] = frozenset()
    off: ClassVar[Mapping[str, Any] | None] = {}
