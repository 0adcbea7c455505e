"""Templates of a user's own, a logo, and who signs."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from leakaudit.audit.planning.letterhead import letterhead
from leakaudit.cli.commands.init import init
from leakaudit.config import ReportConfig
from leakaudit.errors import DataError, StoreError, UsageError
from leakaudit.records import House, Person
from leakaudit.report import check_templates, read_manifest, render_html, write_report
from leakaudit.report.page.templates import own_templates
from tests.report.sample import sample_report
from tests.report.test_page import HOSTILE, Page

pytestmark = pytest.mark.slow  # whole pages, many times


def test_a_users_template_comes_before_the_programs(tmp_path: Path) -> None:
    (tmp_path / "public.html.j2").write_text("<p>Ours for {{ record.name }}: {{ 7 * 6 }}</p>")
    (tmp_path / "report.css").write_text(":root { --paper: #fff; }")
    check_templates(tmp_path)
    html = render_html(sample_report(name="a & b"), templates=tmp_path)
    assert "<p>Ours for a &amp; b: 42</p>" in html
    assert "<style>:root { --paper: #fff; }</style>" in html
    text = Page(html).text
    assert "not made by the templates of leakaudit alone: public.html.j2, report.css" in text
    assert "not made by the templates" not in render_html(sample_report())


def test_the_manifest_names_what_was_replaced_and_report_json_stays_what_it_is(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "someone" / "theirs"
    folder.mkdir(parents=True)
    content = b"<p>PASS, always</p>\r\n"
    (folder / "verdict.html.j2").write_bytes(content)
    write_report(sample_report(), tmp_path / "own")
    write_report(sample_report(), tmp_path / "other", templates=folder)
    own, other = (read_manifest(tmp_path / name) for name in ("own", "other"))
    assert own is not None
    assert other is not None
    assert own.templates == {}
    assert other.templates == {"verdict.html.j2": hashlib.sha256(content).hexdigest()}
    assert b"someone" not in (tmp_path / "other" / "manifest.json").read_bytes()
    assert own.files["report.json"] == other.files["report.json"]
    write_report(sample_report(), tmp_path / "other")
    assert contents(tmp_path / "other") == contents(tmp_path / "own")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_that_was_not_changed_replaces_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    assert init(templates=folder) == 0
    own = own_templates()
    assert contents(folder) == own
    assert {"report.html.j2", "public.html.j2", "report.css", "report.js"} < set(own)
    assert all(name.endswith((".html.j2", ".css", ".js")) for name in own)
    check_templates(folder)
    page = render_html(sample_report())
    assert render_html(sample_report(), templates=folder) == page
    with (folder / "public.html.j2").open("a") as file:
        file.write("<p>ours</p>")
    text = Page(render_html(sample_report(), templates=folder)).text
    assert "not made by the templates of leakaudit alone: public.html.j2" in text
    assert "public.html.j2, " not in text


def test_templates_are_copied_into_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "public.html.j2").write_text("mine")
    with pytest.raises(StoreError, match=r"^full: expected a new or an empty folder"):
        init(templates=Path("full"))
    assert contents(tmp_path / "full") == {"public.html.j2": b"mine"}
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^file: cannot be written \(File exists\)"):
        init(templates=Path("file"))
    with pytest.raises(UsageError, match="--templates writes templates alone"):
        init(Path("audit.yaml"), templates=Path("new"))
    assert not (tmp_path / "audit.yaml").exists()
    assert not (tmp_path / "new").exists()
    assert init() == 0
    assert (tmp_path / "audit.yaml").is_file()


def test_the_nearest_template_is_named_and_not_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "pubic.html.j2").touch()
    with pytest.raises(UsageError) as refused:
        check_templates(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/pubic.html.j2: replaces no template; did you mean 'public.html.j2'?; "
        "`leakaudit init --templates FOLDER` writes a copy of all of them"
    )


@pytest.mark.parametrize("name", ["public.html.j2", "report.css"])
def test_a_file_that_is_no_text_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match=rf"{name}: cannot be read"):
        check_templates(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=rf"{name}: cannot be read"):
        check_templates(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("pubic.html.j2", "", UsageError, "replaces no template"),
        ("__init__.py", "", UsageError, "replaces no template"),
        ("public.html.j2", "{% if %}", UsageError, "public.html.j2, line 1"),
        ("report.css", "</style><script>", UsageError, "holds '</'"),
    ],
)
def test_what_is_no_template_is_refused_at_once(
    tmp_path: Path, name: str, content: str, error: type[Exception], words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=words.replace("(", r"\(")):
        check_templates(tmp_path)


def test_a_missing_folder_and_a_template_that_breaks_are_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected a folder of templates"):
        check_templates(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\n\n{{ nothing }}", "line 3: cannot be filled in: 'nothing' is undefined"),
        ("\n{{ nothing.like.this }}", "line 2: cannot be filled in: 'nothing' is undefined"),
        ("{% if record.nam %}x{% endif %}", "line 1: cannot be filled in: .*no attribute 'nam'"),
        ("\n{{ nothing | figure }}", "line 2: cannot be filled in: .*"),
        ("{{ record.name | figrue }}", "line 1: No filter named 'figrue'"),
        ("\n{{ 1 / 0 }}", "line 2: cannot be filled in: ZeroDivisionError: division by zero"),
        ("{% include 'public.html.j2' %}", "line 1: cannot be filled in: RecursionError: .*"),
    ],
)
def test_what_breaks_a_template_is_said_with_its_name_and_line(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "public.html.j2").write_text(content)
    with pytest.raises(UsageError, match=rf"^{tmp_path}: public\.html\.j2, {words}"):
        render_html(sample_report(), templates=tmp_path)


def test_a_template_of_the_programs_that_misses_something_of_a_users_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "parts.html.j2").write_text("")
    with pytest.raises(UsageError, match=r": \w+\.html\.j2, line \d+: cannot be filled in: "):
        render_html(sample_report(), templates=tmp_path)


def test_an_error_of_the_programs_own_is_not_put_on_a_users_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.css").write_text("")
    monkeypatch.setattr("leakaudit.report.page.page.claims", lambda record: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        render_html(sample_report(), templates=tmp_path)


def picture(path: Path, size: tuple[int, int] = (800, 300), **saved: str) -> Path:
    Image.new("RGB", size, (20, 80, 120)).save(path, **saved)
    return path


def test_a_logo_is_drawn_anew_small_and_without_what_a_file_holds_beside_it(
    tmp_path: Path,
) -> None:
    path = picture(tmp_path / "logo.jpg", comment="taken by A. Person")
    assert b"A. Person" in path.read_bytes()
    house = letterhead(
        ReportConfig(
            organisation="General Hospital",
            logo=str(path),
            responsible=({"role": "Officer", "name": "A. Person"},),  # type: ignore[arg-type]
        )
    )
    assert house.responsible == (Person(role="Officer", name="A. Person"),)
    kind, data = house.logo.split(",")
    assert kind == "data:image/png;base64"
    raw = base64.b64decode(data)
    assert b"A. Person" not in raw
    with Image.open(io.BytesIO(raw)) as image:
        assert image.size[0] <= 480
        assert image.size[1] <= 160
    html = render_html(sample_report(house=house))
    assert f'<img src="{house.logo}" alt="General Hospital">' in html
    text = " ".join(Page(html).text.split())
    assert "General Hospital · leakaudit" in text
    assert '<th scope="row"><bdi>Officer</bdi></th><td><bdi>A. Person</bdi></td>' in html


@pytest.mark.parametrize("content", [b"", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\nxx"])
def test_a_logo_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "logo.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="logo"):
        letterhead(ReportConfig(logo=str(path)))
    with pytest.raises(DataError, match="missing"):
        letterhead(ReportConfig(logo=str(tmp_path / "none.png")))
    with pytest.raises(DataError, match="4001 x 1"):
        letterhead(ReportConfig(logo=str(picture(tmp_path / "wide.png", (4001, 1)))))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_a_house_are_inert(name: str) -> None:
    house = House(organisation=name, responsible=(Person(role=name, name=name),))
    html = render_html(sample_report(house=house))
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "broken" not in [attributes.get("id") for _, attributes in page.tags]
    assert not [one for _, one in page.tags if "onload" in one]
    assert "\u202e" not in html
