from __future__ import annotations

import pytest

from leakaudit.config.target import TargetConfig
from leakaudit.data import canonical_modality
from leakaudit.errors import ConfigError


@pytest.mark.parametrize(
    ("ours", "names"),
    [
        ("T1w", ["t1", "T1N", "T1-weighted", "T1 native", "t1_pre-contrast", "T1w"]),
        ("T1gd", ["t1ce", "T1c", "t1gd", "T1-Gd", "T1-c", "T1CE", "T1 (Gd)", "T1+C", "T1+",
                  "T1 post-contrast", "T1_post", "ce-gadolinium_T1w", "contrast-enhanced T1"]),
        ("FLAIR", ["flair", "T2F", "T2-FLAIR", "t2_flair"]),
        ("T2w", ["t2", "T2W", "T2-weighted"]),
    ],
)  # fmt: skip
def test_other_names_are_matched_as_a_whole(ours: str, names: list[str]) -> None:
    assert [canonical_modality(name) for name in names] == [ours] * len(names)


@pytest.mark.parametrize("name", ["dwi", "T2*", "t1t2", "", "T1 FLAIR", "flair t1"])
def test_an_unknown_modality_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="there are T1w, T1gd, FLAIR, T2w"):
        canonical_modality(name)


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'flair'"):
        canonical_modality("FLARE")


def test_sites_are_written_out_in_the_project_s_names() -> None:
    target = TargetConfig(sites=(("T1", "T1ce"), ("t2f", "T2-weighted")))
    assert target.sites == (("T1w", "T1gd"), ("FLAIR", "T2w"))
    with pytest.raises(ValueError, match="T1gd is held twice"):
        TargetConfig(sites=(("T1ce", "T1gd"),))
    with pytest.raises(ValueError, match="unknown modality 'FLARE'; did you mean 'flair'"):
        TargetConfig(sites=(("FLARE",),))
