"""Dice of recovered masks, and the guesses made without any observation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakaudit.errors import CellError
from leakaudit.measure.masks import best_mask_guess, dice_masks, mask_guesses
from leakaudit.measure.utility import dice_patient


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_dice_of_the_whole_tumour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    recovered, truth = rng.random((2, 3, 8, 8)) < 0.4
    truth[:, 0, 0] = True
    for one, mask, score in zip(recovered, truth, dice_masks(recovered, truth), strict=True):
        whole = dice_patient(one[None].astype(int), mask[None].astype(int), "p").whole_tumour
        assert score == pytest.approx(whole)


def test_a_slice_without_tumour_has_no_dice() -> None:
    empty = np.zeros((1, 4, 4), dtype=bool)
    with pytest.raises(
        CellError, match=r"^a victim's slice shows no tumour; Dice of its mask is not defined$"
    ):
        dice_masks(~empty, empty)


def test_the_average_mask_is_cut_where_it_agrees_best() -> None:
    masks = np.zeros((5, 6, 6), dtype=bool)
    masks[:, 2, 2] = True  # in all of them
    masks[:2, 2, 3] = True  # in two of five: a cut at one half would lose it
    masks[:2, 3, 2] = True
    masks[4] = False  # without tumour: left out
    guesses = mask_guesses(masks)
    assert [guess.name for guess in guesses] == ["no tumour", "average mask"]
    scores = [
        dice_masks(np.broadcast_to(cut, (4, 6, 6)), masks[:4]).mean()
        for cut in (masks[:4].mean(axis=0) >= level / 10 for level in range(1, 10))
    ]
    chosen = dice_masks(np.broadcast_to(guesses[1].mask, (4, 6, 6)), masks[:4]).mean()
    assert chosen == max(scores)
    name, floor = best_mask_guess(guesses, masks[:4])
    assert name == "average mask"
    assert floor.mean() == pytest.approx(chosen)


def test_without_any_auxiliary_tumour_the_guess_is_none() -> None:
    nothing = np.zeros((2, 4, 4), dtype=bool)
    name, floor = best_mask_guess(mask_guesses(nothing), ~nothing)
    assert (name, floor.tolist()) == ("no tumour", [0.0, 0.0])


def test_the_guesses_are_masks_of_one_slice_and_the_average_is_cut_where_it_is_best() -> None:
    apart = np.eye(10, 30, dtype=bool).reshape(10, 5, 6)
    nothing, average = mask_guesses(apart)
    assert nothing.mask.shape == (5, 6)
    assert not nothing.mask.any()
    # Ten tumours that never meet: what one in ten has is all that there is.
    assert np.array_equal(average.mask, apart.any(axis=0))
    apart[:, 0, 0] = True
    apart[1:, 1:] = False
    apart[0] = True
    assert mask_guesses(apart)[1].mask.sum() == 1
