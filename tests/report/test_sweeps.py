"""Which settings are strengths of one defense."""

from __future__ import annotations

import pytest

from leakaudit.report.text.protections import protections
from leakaudit.report.views.sweeps import Sweep, sweeps
from tests.configured import a_defense

Setting = tuple[str, int, tuple[int, ...], int | None]
NOISE = "GaussianNoise(std={})"


def plain(*defenses: str) -> list[Setting]:
    return [(defense, 2, (0, 1), None) for defense in defenses]


def found(*settings: Setting) -> tuple[Sweep, ...]:
    return sweeps(
        [
            protections(a_defense(defense), cut, skips, bottleneck)
            for defense, cut, skips, bottleneck in settings
        ]
    )


def test_strengths_of_one_parameter_are_in_its_order() -> None:
    values = ("3.0", "-1.0", "1e-05", "inf")
    (sweep,) = found(*plain(*(NOISE.format(std) for std in values)))
    assert sweep.name == "Gaussian noise"
    assert sweep.details == "std \N{MINUS SIGN}1.0, 1e\N{MINUS SIGN}05, 3.0 and inf"
    assert sweep.members == (1, 2, 0, 3)
    assert sweep.labels == ("\N{MINUS SIGN}1.0", "1e\N{MINUS SIGN}05", "3.0", "inf")


def test_what_does_not_cross_is_a_strength_in_its_own_words() -> None:
    (channels,) = found(*(("Identity()", 2, (0, 1), k) for k in (8, 1)))
    assert channels.members == (1, 0)
    assert channels.labels == ("1 channel", "8 channels")
    (skips,) = found(*(("Identity()", 2, shared, None) for shared in ((), (1,))))
    assert skips.labels == ("level 0", "levels 0 and 1")
    assert skips.details == "level 0, levels 0 and 1"
    # Other than the shallowest levels are no strength of the same.
    assert len(found(("Identity()", 2, (1,), None), ("Identity()", 2, (0,), None))) == 2


def test_what_stays_fixed_is_said_and_tells_sweeps_apart() -> None:
    made = plain(
        "ActivationDropout(p=0.5, unit='element')",
        "ActivationDropout(p=0.5, unit='channel')",
        "ActivationDropout(p=0.8, unit='element')",
        "ActivationDropout(p=0.8, unit='channel')",
        "GaussianNoise(std=1.0)",
        "GaussianNoise(std=1.0, relative=True)",
    )
    element, channel, noise, relative = found(*made)
    assert (element.members, channel.members) == ((0, 2), (1, 3))
    assert element.details == "p 0.5 and 0.8; unit element"
    assert channel.details == "p 0.5 and 0.8; unit channel"
    assert (noise.members, relative.members) == ((4,), (5,))
    assert (noise.details, relative.details) == ("std 1.0", "std 1.0, relative True")
    assert noise.labels == ("",)


def test_in_a_stack_the_number_that_changes_is_swept() -> None:
    stack = "Adversarial(weight=3.0, width=16) + GaussianNoise(std={})"
    (sweep,) = found(*plain(*(stack.format(std) for std in (2.0, 1.0))))
    assert sweep.members == (1, 0)
    assert sweep.details == "std 1.0 and 2.0; weight 3.0; width 16"
    narrow: list[Setting] = [(NOISE.format(1.0), 2, (), channels) for channels in (4, 2)]
    (sweep,) = found(*narrow)
    assert sweep.name == "Gaussian noise + bottleneck + skips withheld"
    assert sweep.details == "2 channels, 4 channels; std 1.0; levels 0 and 1"


@pytest.mark.parametrize(
    "defenses",
    [
        ("A(p=1, q=2)", "A(p=3, q=4)"),
        ("A(p=1, q=2)", "A(p=1)"),
        ("A(p=1)", "A(q=2)"),
        ("A(kind='x')", "A(kind='y')"),
        ("A(p=nan)", "A(p=1)"),
        ("A(p=1)", "A()"),
        ("<script>", "{{7*7}}"),
    ],
)
def test_settings_that_are_no_strengths_of_one_parameter_stand_alone(
    defenses: tuple[str, ...],
) -> None:
    assert [sweep.members for sweep in found(*plain(*defenses))] == [(0,), (1,)]


def test_every_protected_setting_is_in_one_sweep_and_the_other_in_none() -> None:
    made = found(*plain("Identity()", "A(p=1)", "B()", "A(p=2)", "B(q=1)", "Identity()"))
    assert sorted(member for sweep in made for member in sweep.members) == [1, 2, 3, 4]
    assert [min(sweep.members) for sweep in made] == [1, 2, 4]
