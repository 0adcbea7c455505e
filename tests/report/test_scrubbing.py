"""Which words of a free text are taken for a name, a path or a machine, and which are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.registry import installed, load
from leakaudit.report.share.folding import folded
from leakaudit.report.share.names import Rule, rule_of, telling_parts
from leakaudit.report.share.scrubbing import Scrubber, Surroundings
from leakaudit.threat.presets import PRESETS

pytestmark = pytest.mark.slow  # whole pages, many times

NAMES = {
    "Müller, Jana": "P-AAAAAA",
    "7": "P-BBBBBB",
    "a": "P-CCCCCC",
    "10": "P-DDDDDD",
    "Mark": "P-EEEEEE",
    "BRATS_001": "P-FFFFFF",
    "123456": "P-ABABAB",
    "May": "P-ACACAC",
    "A+B (x)*[1]?": "P-ADADAD",
    "0012": "P-A1A1A1",
    "patient": "P-A2A2A2",
    "x9": "P-A3A3A3",
    "李娜": "P-A4A4A4",
}
MACHINE = Surroundings(
    accounts=("jdoe", "Jane Doe", "root"),
    hosts=("brainbox7.example.org", "node"),
    folders=("/home/jdoe", "/mnt/My Share/Study Glioma"),
)


@pytest.fixture(scope="module")
def scrubber() -> Scrubber:
    return Scrubber(NAMES, MACHINE, ["mnt", "Study Glioma", "StMary"])


UNTOUCHED = [
    "RuntimeError: the objective became NaN at iteration 212",
    "on 7 of 10 victims a guess, 7.2 s, 10 % (p = 0.7), a 7",
    "of 12 patients 7 are attacked, and the others have 10 slices",
    "stopped after 1800 s; 7 of 400 iterations were done",
    "at 0.7123456, 1123456 and 0.0012; 1.0012, 70012",
    "0.5 +/- 0.1, n/a, and/or T1w/T1gd, 1/15.0, SSIM/Dice, -/-",
    "(SSIM \N{MINUS SIGN} blind floor) / (1 \N{MINUS SIGN} blind floor)",
    "10.1016/j.media.2016.05.004",
    "10.1109/TMI.2014.2377694",
    "another patient's observation, a site, node by node, the root mean square",
    "1.5 Tesla, 3 Tesla and T2w at 37.5",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "gnp.\u202ereport",
    "may be the case",
    "0123456789abcdef0012fedcba98765400123456",
    "P-3F9A2C",
    "ratio 1:7:10, 7-10, v7",
    "",
]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_ordinary_words_and_figures_stay(scrubber: Scrubber, text: str) -> None:
    assert scrubber.text(text) == text
    assert scrubber.finds(text) == ""


CLEANED = {
    "patient 7 failed": "patient P-BBBBBB failed",
    "Patient #7, case_10": "Patient #P-BBBBBB, case_P-DDDDDD",
    "sub-10 and subject: x9": "sub-P-DDDDDD and subject: P-A3A3A3",
    "patient7.": "patientP-BBBBBB.",
    "patient 'patient' failed": "patient 'P-A2A2A2' failed",
    "victims ['7', '10'] are not": "victims ['P-BBBBBB', 'P-DDDDDD'] are not",
    "victims 7, 10 and a failed": "victims P-BBBBBB, P-DDDDDD and P-CCCCCC failed",
    "7: prediction (1, 2)": "P-BBBBBB: prediction (1, 2)",
    "CellError: 7: prediction": "CellError: P-BBBBBB: prediction",
    "KeyError: '7'": "KeyError: 'P-BBBBBB'",
    "of 123456 and x123456y": "of P-ABABAB and xP-ABABABy",
    "id 0012, p0012q": "id P-A1A1A1, pP-A1A1A1q",
    "MÜLLER, JANA": "P-AAAAAA",
    "Mueller, Jana_flair": "P-AAAAAA_flair",
    "Mu\u200bl\u00adler,\u00a0Jana": "P-AAAAAA",
    "Mu\u0308ller, Jana": "P-AAAAAA",
    "jana muller": "[name removed] [name removed]",
    ascii("Müller, Jana"): "'P-AAAAAA'",
    repr("Müller, Jana".encode()): "b'P-AAAAAA'",
    json.dumps({"a": "Müller, Jana"}): '{"P-CCCCCC": "P-AAAAAA"}',
    "M%C3%BCller%2C%20Jana": "P-AAAAAA",
    "M&uuml;ller, Jana; M&#252;ller, Jana": "P-AAAAAA; P-AAAAAA",
    "x A+B (x)*[1]? y": "x P-ADADAD y",
    "Mark may May, in May": "P-EEEEEE may P-ACACAC, in P-ACACAC",
    "brats-001seg": "P-FFFFFFseg",
    "\uff22\uff32\uff21\uff34\uff33\uff3f\uff10\uff10\uff11": "P-FFFFFF",
    "of 李娜的": "of P-A4A4A4的",
    "no file '/mnt/My Share/Study Glioma/Müller, Jana/t1.nii.gz'": "no file '[path removed]'",
    "no file /mnt/My Share/Study Glioma/1/t1.nii.gz here": "no file [path removed] here",
    "no file /srv/two words/x (gone)": "no file [path removed] (gone)",
    'File "/home/jdoe/lib/x.py", line 3': 'File "[path removed]", line 3',
    "in /data, ~/x, ../y/z": "in [path removed], [path removed], [path removed]",
    "C:\\Users\\jdoe\\x.csv and \\\\srv01\\share\\c.txt": "[path removed] and [path removed]",
    "s3://bucket/key and https://pacs.example/x?y=1": "[path removed] and [path removed]",
    "W(path='../w/model.pt', x=1)": "W(path='[path removed]', x=1)",
    "imagesTr/scan_1.nii.gz and scan 2.dcm": "[path removed] and scan [path removed]",
    "jdoe on brainbox7, Jane Doe": "[name removed] on [name removed], [name removed]",
    "jdoe@brainbox7 at brainbox7.example.org": "[name removed] at [name removed]",
    "on host node of user root": "on host [name removed] of user root",
    "pc-4.klinik.local or 10.0.0.12": "[host removed] or [host removed]",
    "aa:bb:cc:dd:ee:ff": "[host removed]",
    "CUDA error on NVIDIA A100-SXM4-80GB": "CUDA error on [device removed]",
    "in use by process 4242, pid=17": "in use by [process removed], [process removed]",
    "at 2024-01-02T03:04:05.678Z": "at [time removed]",
    "StMary in Study_Glioma": "[path removed] in [path removed]",
    "see data:image/png;base64,iVBORw0KGgo= here": "see [data removed] here",
}


@pytest.mark.parametrize("text", CLEANED)
def test_what_identifies_is_replaced(scrubber: Scrubber, text: str) -> None:
    clean = scrubber.text(text)
    assert clean == CLEANED[text]
    assert scrubber.finds(text) != ""
    assert scrubber.finds(clean) == ""
    assert scrubber.text(clean) == clean


def test_what_the_programs_own_parts_say_of_themselves_stays(scrubber: Scrubber) -> None:
    texts = [threat.words for threat in PRESETS.values()]
    for kind in ("attack", "defense"):
        for point in installed(kind):
            plugin = load(kind, point.name)
            texts += [point.name, plugin.summary]
            for paper in getattr(plugin.cls, "citations", ()):
                texts += [*paper.authors, paper.title, paper.venue, paper.doi, paper.arxiv]
    assert len(texts) > 100
    alone = Scrubber({"1": "P-AAAAAA", "a": "P-BBBBBB", "2019": "P-CCCCCC"}, MACHINE, ["mnt"])
    for text in texts:
        assert alone.text(text) == text


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("BraTS-GLI-00000-000", Rule.ANYWHERE),
        ("Jana", Rule.WORD),
        ("sub-01", Rule.WORD),
        ("001", Rule.WORD),
        ("1234567", Rule.WORD),
        ("{{7*7}}", Rule.WORD),
        ("12345", Rule.CONTEXT),
        ("a", Rule.CONTEXT),
        ("case", Rule.CONTEXT),
        ("label site", Rule.CONTEXT),
        ("FLAIR", Rule.CONTEXT),
        ("é", Rule.CONTEXT),
        ("李娜", Rule.ANYWHERE),
    ],
)
def test_how_much_a_match_proves_depends_on_the_name(name: str, rule: Rule) -> None:
    assert rule_of(folded(name).text) is rule


def test_parts_that_few_identifiers_share_tell_who_it_is() -> None:
    names = [f"glioma_{number:03d}" for number in range(40)] + ["glioma_Muster_19700203"]
    assert telling_parts(names) == ("Muster", "19700203")
    assert telling_parts(["Doe, Jane", "Doe, John", "Roe, Ann"]) == (
        *("Doe", "Jane", "John", "Roe", "Ann"),
    )
    assert telling_parts(["phantom-000", "phantom-001", "phantom-002"]) == ()


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=14),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    before=words,
    after=words,
)
def test_whatever_an_identifier_is_made_of(names: list[str], before: str, after: str) -> None:
    pseudonyms = {name: f"P-{number:06X}" for number, name in enumerate(names, 0xABCDE0)}
    scrubber = Scrubber(pseudonyms, Surroundings(), [])
    clean = scrubber.text(f"{before} {names[0]} {after}")
    assert scrubber.finds(clean) == ""
    assert scrubber.text(clean) == clean
    compared = folded(names[0]).text.strip("_")
    if compared and rule_of(compared) is Rule.ANYWHERE:
        assert compared not in folded(clean).text
