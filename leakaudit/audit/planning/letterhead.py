"""The letterhead of a report: the organisation, its logo, and the signers."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from leakaudit.config import ReportConfig
from leakaudit.errors import DataError
from leakaudit.records import House, Person

_LARGEST_FILE = 5_000_000
_LARGEST_SIDE = 4_000
# Twice the size at which the page shows it, for fine screens and paper.
_SHOWN = (480, 160)


def letterhead(config: ReportConfig) -> House:
    """Return the report's letterhead: its owner, logo and signers.

    Raises:
        DataError: the logo cannot be read, or is not a PNG or JPEG of a sensible size.
    """
    return House(
        organisation=config.organisation,
        logo=_logo(Path(config.logo)) if config.logo else "",
        responsible=tuple(Person(role=one.role, name=one.name) for one in config.responsible),
    )


def _logo(path: Path) -> str:
    """The picture anew, as a small PNG: nothing but its pixels goes into the report."""
    wanted = f"expected a PNG or JPEG of at most {_LARGEST_SIDE} pixels a side"
    try:
        if not path.is_file():
            raise DataError(f"{path}: the logo is missing, or is not a file")
        if path.stat().st_size > _LARGEST_FILE:
            raise DataError(f"{path}: {wanted} and {_LARGEST_FILE} bytes; make it smaller")
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if max(image.size) > _LARGEST_SIDE:
                raise DataError(f"{path}: {wanted}, got {image.size[0]} x {image.size[1]}")
            pixels = image.convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise DataError(f"{path}: {wanted}") from error
    except OSError as error:
        reason = error.strerror or "the file is damaged"
        raise DataError(f"{path}: the logo cannot be read ({reason})") from error
    pixels.thumbnail(_SHOWN)
    clean = Image.frombytes("RGBA", pixels.size, pixels.tobytes())
    stream = io.BytesIO()
    clean.save(stream, format="PNG", optimize=False)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
