"""The base of all sections of an audit file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A frozen section that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refusal(message: str, *at: str) -> PydanticCustomError:
    """An error that knows which part below its field is at fault."""
    return PydanticCustomError("refused", "{message}", {"message": message, "at": list(at)})
