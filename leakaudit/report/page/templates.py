"""Where the templates come from: the program's own, and before them those of a user's folder."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from traceback import walk_tb
from typing import final

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FunctionLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from leakaudit.errors import StoreError, UsageError
from leakaudit.report.text import formatting
from leakaudit.spelling import nearest

PACKAGE = "leakaudit_templates"
_ASSETS = ("report.css", "report.js")


def own_templates() -> dict[str, bytes]:
    """The program's templates, style sheet and script, by name."""
    return {
        one.name: one.read_bytes()
        for one in sorted(resources.files(PACKAGE).iterdir(), key=lambda one: one.name)
        if one.name.endswith((".html.j2", *_ASSETS))
    }


@final
class Templates:
    """The templates, style sheet and script of a page.

    Args:
        folder: files here come before the program's of the same name, where they differ; None for
            none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read the folder, each file once, so that what is rendered is what has the hash.

        Raises:
            StoreError: there is no such folder, or a file in it cannot be read.
            UsageError: a file in it stands in for none of the program's.
        """
        self.folder = folder
        own = own_templates()
        self.replaced: tuple[str, ...] = ()
        self._contents: dict[str, bytes] = {}
        if folder is not None:
            if not folder.is_dir():
                raise StoreError(f"{folder}: expected a folder of templates, and there is none")
            for name in sorted(one.name for one in folder.iterdir()):
                if name.startswith("."):
                    continue
                if name not in own:
                    raise UsageError(
                        f"{folder / name}: replaces no template{nearest(name, own)}; "
                        "`leakaudit init --templates FOLDER` writes a copy of all of them"
                    )
                data = _read(folder / name)
                if data != own[name]:
                    self._contents[name] = data
            self.replaced = tuple(self._contents)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each of the user's files, by the name of what it replaces."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self._contents.items()}

    def environment(self) -> Environment:
        """Where every template escapes what it prints, and nothing undefined is printed."""
        loaders: list[BaseLoader] = [PackageLoader(PACKAGE, "")]
        if self.folder is not None:
            loaders.insert(0, FunctionLoader(self._source))
        return Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,  # select_autoescape() would leave .html.j2 out
            undefined=StrictUndefined,
            finalize=formatting.visible,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def asset(self, name: str) -> str:
        """A style sheet or script as it will stand in the page, line ends as its parser sees them.

        Raises:
            UsageError: it holds what would end the element that it stands in.
        """
        text = self.text(name)
        if "</" in text:  # it would end the element that holds it
            raise UsageError(f"{name}: holds '</', which a style sheet or script here cannot")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def text(self, name: str) -> str:
        """The user's file of that name, else the program's."""
        if name in self._contents:
            return self._contents[name].decode()
        return resources.files(PACKAGE).joinpath(name).read_text(encoding="utf-8")

    def _source(self, name: str) -> tuple[str, str, None] | None:
        """A user's template and its file name; None if the program's is used."""
        return (self.text(name), name, None) if name in self._contents else None

    def refusal(self, error: Exception) -> UsageError | None:
        """Word the fault in a user's template; None if no template is to blame."""
        where = self.folder
        if isinstance(error, TemplateSyntaxError) and error.name in self._contents:
            return UsageError(f"{where}: {error.name}, line {error.lineno}: {error.message}")
        name, line = _broke_at(error)
        if isinstance(error, TemplateError) and self.replaced:
            told = str(error)
        elif name in self._contents:  # a filter that was given something undefined, say, or 1 / 0
            told = f"{type(error).__name__}: {error}"
        else:
            return None
        at = f"{name}, line {line}" if name else "the templates"
        return UsageError(f"{where}: {at}: cannot be filled in: {told}")


def _broke_at(error: Exception) -> tuple[str, int]:
    """Name and line of the innermost template that was being filled in; empty if none was."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    found = [(Path(name).name, line) for name, line in frames if name.endswith(".j2")]
    return found[-1] if found else ("", 0)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        data.decode()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error})") from error
    return data


def check_templates(folder: Path | None) -> None:
    """Refuse a folder of templates before anything is run.

    Raises:
        StoreError: it is missing, or a file in it cannot be read.
        UsageError: a file replaces nothing, or is not a template.
    """
    templates = Templates(folder)
    environment = templates.environment()
    for name in templates.replaced:
        if name.endswith(".j2"):
            try:
                environment.parse(templates.text(name), name)
            except TemplateSyntaxError as error:
                raise (templates.refusal(error) or error) from error
        else:
            templates.asset(name)
