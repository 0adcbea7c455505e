"""Where the templates come from: the program's own, and before them those of a user's folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import final

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from leakaudit.errors import StoreError, UsageError
from leakaudit.report import formatting

PACKAGE = "leakaudit_templates"
_ASSETS = ("report.css", "report.js")


@final
class Templates:
    """The templates, style sheet and script of a page.

    Args:
        folder: files here come before the program's of the same name; None for none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Open the folder.

        Raises:
            StoreError: there is no such folder.
            UsageError: a file in it stands in for none of the program's.
        """
        self.folder = folder
        own = {one.name for one in resources.files(PACKAGE).iterdir()}
        self.replaced: tuple[str, ...] = ()
        if folder is not None:
            if not folder.is_dir():
                raise StoreError(f"{folder}: expected a folder of templates, and there is none")
            self.replaced = tuple(
                sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
            )
            for name in self.replaced:
                if name not in own or not name.endswith((".html.j2", *_ASSETS)):
                    raise UsageError(
                        f"{folder / name}: replaces no template; there are "
                        f"{', '.join(sorted(n for n in own if n.endswith(('.j2', *_ASSETS))))}"
                    )

    def environment(self) -> Environment:
        """Where every template escapes what it prints, and nothing undefined is printed."""
        loaders: list[BaseLoader] = [PackageLoader(PACKAGE, "")]
        if self.folder is not None:
            loaders.insert(0, FileSystemLoader(self.folder))
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
            StoreError: a user's can not be read.
        """
        if name in self.replaced and self.folder is not None:
            try:
                text = (self.folder / name).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise StoreError(f"{self.folder / name}: can not be read ({error})") from error
        else:
            text = resources.files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
        if "</" in text:  # it would end the element that holds it
            raise UsageError(f"{name}: holds '</', which a style sheet or script here can not")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def refusal(self, error: TemplateError) -> UsageError:
        """What is wrong with a user's template, in a sentence."""
        where = self.folder
        if isinstance(error, TemplateSyntaxError) and error.name:
            return UsageError(f"{where}: {error.name}, line {error.lineno}: {error.message}")
        return UsageError(f"{where}: the templates can not be filled in: {error}")


def check_templates(folder: Path | None) -> None:
    """Refuse a folder of templates before anything is run.

    Raises:
        StoreError: it is missing.
        UsageError: a file replaces nothing, or is no template.
    """
    templates = Templates(folder)
    environment = templates.environment()
    for name in templates.replaced:
        if name.endswith(".j2"):
            source = (Path(folder or ".") / name).read_text(encoding="utf-8", errors="replace")
            try:
                environment.parse(source, name)
            except TemplateSyntaxError as error:
                raise templates.refusal(error) from error
        else:
            templates.asset(name)
