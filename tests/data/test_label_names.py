"""Names of tissues, matched as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakaudit.data.layouts.listed_labels import tissues_listed
from leakaudit.data.naming.label_names import CLASS_OF, tissue_named
from leakaudit.errors import DataError


@pytest.mark.parametrize(
    ("tissue", "names"),
    [
        ("edema", ["Edema", "peritumoral oedema", "peri-tumoural edema", "ED", "SNFH", "1 edema",
                   "Surrounding Non-enhancing FLAIR Hyperintensity (SNFH)",
                   "the peritumoral edematous/invaded tissue (ED - label 2)"]),
        ("non-enhancing", ["non-enhancing tumor", "non enhancing tumour", "NonEnhancing", "NET",
                           "non_enhancing_tumor_core", "not enhancing", "NET: non-enhancing"]),
        ("enhancing", ["enhancing tumour", "enhancing_tissue", "GD-enhancing tumor (ET)", "ET",
                       "Contrast enhancing", "ENHANCING", "active tumor"]),
        ("necrosis", ["necrosis", "NCR", "Necrotic tumor core (NCR)", "necrotic core"]),
        ("necrosis and non-enhancing", ["NCR/NET", "NETC", "necrotic and non-enhancing tumor core",
                                        "non-enhancing tumor and necrosis"]),
        ("cyst", ["CC", "cystic component"]),
        ("resection cavity", ["RC", "Resection_Cavity"]),
        ("whole tumour", ["tumor", "Whole Tumour", "WT", "lesion"]),
        ("background", ["background", "Clear Label", "non-tumor"]),
        (None, ["liver", "", "tumor (enhancing)", "edema and necrosis", "enhancing edema",
                "label 1", "non", "T1 enhancing"]),
    ],
)  # fmt: skip
def test_a_name_means_one_tissue(tissue: str | None, names: list[str]) -> None:
    assert [tissue_named(name) for name in names] == [tissue] * len(names)


@given(st.sampled_from(["enhancing", "edema", "necrosis", "tumor core"]), st.text(max_size=8))
def test_what_is_added_to_a_name_never_makes_it_another_known_one(name: str, more: str) -> None:
    known, longer = tissue_named(name), tissue_named(f"{name}{more}")
    # A noun, an abbreviation in parentheses or a separator may be added; never another class.
    assert longer is None or CLASS_OF.get(longer) == CLASS_OF.get(known or "")


def test_values_to_names_names_to_values_and_a_list() -> None:
    expected = ((0, "background"), (1, "edema"), (2, "non-enhancing"), (3, "enhancing"))
    for labels in (
        {"0": "background", "1": "edema", "2": "non-enhancing", "3": "enhancing"},
        {"background": 0, "edema": 1, "non-enhancing": 2, "enhancing": 3},
        {"background": "0", "edema": "1", "non-enhancing": "2", "enhancing": "3"},
        ["background", "edema", "non-enhancing", "enhancing"],
    ):
        assert tissues_listed(labels) == expected


def test_regions_are_resolved_to_tissues() -> None:
    regions = {
        "background": 0,
        "whole tumor": [1, 2, 3, 4],
        "tumor core": [2, 3, 4],
        "enhancing tumor": [3],
    }
    assert dict(tissues_listed(regions)) == {
        0: "background",
        1: "edema",
        2: "necrosis and non-enhancing",
        3: "enhancing",
        4: "necrosis and non-enhancing",
    }


def test_a_core_beside_its_enhancing_part_is_the_rest_of_it() -> None:
    labels = {"1": "edema", "2": "tumor core", "3": "enhancing"}
    assert dict(tissues_listed(labels))[2] == "necrosis and non-enhancing"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"1": "liver", "2": "edema", "3": "spleen"}, "'liver', 'spleen' are unknown; understood"),
        ({"1": "edema", "2": "SNFH"}, "name edema twice"),
        ({"1": "edema", "2": "tumor core"}, r"2 \('tumor core'\) is not a single tissue"),
        ({"1": "tumor", "2": "enhancing"}, r"1 \('tumor'\) is not a single tissue"),
        ({"whole tumor": [1, 2], "enhancing": [2]}, r"1 \('whole tumor'\) is not a single tissue"),
        ({"0": "edema"}, "0 is edema, expected background"),
        ({"edema": [1, "x"]}, "not a value and its name"),
        ({"edema": True}, "not a value and its name"),
        ({"edema": []}, "not a value and its name"),
        ("edema", "map values to names"),
    ],
)
def test_labels_from_which_no_tissue_follows(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tissues_listed(labels)


def test_an_ignored_label_has_no_tissue() -> None:
    labels = {"background": 0, "edema": 1, "ignore": 2}
    assert tissues_listed(labels) == ((0, "background"), (1, "edema"))
