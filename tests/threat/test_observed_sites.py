"""What a data site is shown, and what a malicious label site does to the sites."""

from __future__ import annotations

import copy

import pytest
import torch

from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.parties import DataSite
from leakaudit.threat.hijacking import HijackedTraining
from leakaudit.threat.system import System, images_of, layout_of, masks_of
from leakaudit_defenses.identity import Identity
from tests.threat.observed import AUXILIARY, VICTIMS, flat, middle_images, observed


def test_a_site_holds_its_own_images_and_what_came_back_to_it_alone(noisy: System) -> None:
    whole = observed(noisy, "aggregator")
    for site in range(2):
        own = observed(noisy, "curious-site", site=site)
        assert torch.equal(own.own_images, middle_images(VICTIMS)[:, 2 * site : 2 * site + 2])
        for mine, everybodys in zip(own.own_cut_gradients, whole.cut_gradients, strict=True):
            assert all(map(torch.equal, mine, everybodys[site]))
        images, masks = images_of(AUXILIARY[0]), masks_of(AUXILIARY[0])
        asked = own.query_own_gradients(images, masks, generator_for(3, "query"))
        answers = whole.query_gradients(images, masks, generator_for(3, "query"))
        for mine, answer in zip(asked, answers, strict=True):
            assert all(map(torch.equal, mine, answer.cut[site]))


def test_what_came_back_can_be_withheld_or_another_patients(undefended: System) -> None:
    own, nothing, anothers = (
        observed(undefended, "curious-site", returned=each)
        for each in ("own", "nothing", "another's")
    )
    images, masks = images_of(AUXILIARY[0]), masks_of(AUXILIARY[0])
    for checkpoint, mine in enumerate(own.own_cut_gradients):
        for level, tensor in enumerate(mine):
            assert torch.equal(anothers.own_cut_gradients[checkpoint][level], tensor.flip(0))
            assert not nothing.own_cut_gradients[checkpoint][level].any()
    for observation, some in ((own, True), (anothers, True), (nothing, False)):
        assert torch.equal(observation.own_images, own.own_images)
        answers = observation.query_own_gradients(images, masks, generator_for(3, "query"))
        assert all(bool(level.any()) == some for levels in answers for level in levels)


def test_the_layout_says_what_a_site_lacks(undefended: System) -> None:
    for site, foreign in ((0, (2, 3)), (1, (0, 1)), (None, (0, 1, 2, 3))):
        layout = layout_of(undefended, (32, 32), 2, site=site)
        assert layout.foreign == foreign
        assert layout.shape_of("other-site images") == (2, len(foreign), 32, 32)
        assert layout.shape_of("masks") == (2, 1, 32, 32)
        assert layout.shape_of("images") == layout.image_shape == (2, 4, 32, 32)


def test_a_data_site_must_be_named(undefended: System) -> None:
    with pytest.raises(CellError, match="curious-site is that of a data site: name which"):
        observed(undefended, "curious-site", site=None)


def test_a_hijacked_training_begins_anew_and_follows_the_returned_gradients(
    undefended: System,
) -> None:
    exchange = observed(undefended, "malicious-server").exchange
    first = exchange(None, False)
    size = undefended.settings.batch_size
    assert [tuple(level.shape[:2]) for level in first[0]] == [(size, 4), (size, 4)]
    before = exchange(None, True)
    assert len(before[0][0]) == len(VICTIMS)
    begun = exchange(None, False)
    assert all(map(torch.equal, flat(begun), flat(first)))
    # Minimise the released values themselves: they fall, as the site knows no better.
    for _ in range(10):
        begun = exchange(tuple(tuple(map(torch.ones_like, site)) for site in begun), False)
    after = exchange(None, True)
    for earlier, later in zip(flat(before), flat(after), strict=True):
        assert float(later.mean()) < float(earlier.mean())
    with pytest.raises(CellError, match="sent no batch before"):
        exchange(before, False)


def test_a_hijacked_training_refuses_gradients_of_another_shape(undefended: System) -> None:
    exchange = observed(undefended, "malicious-server").exchange
    batch = exchange(None, False)
    with pytest.raises(CellError, match="fit no release"):
        exchange(tuple(tuple(level[:1] for level in site) for site in batch), False)


def test_any_data_site_can_be_hijacked_and_one_without_slices_is_refused() -> None:
    layer = torch.nn.Conv2d(1, 2, 3, padding=1)

    class Site(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = copy.deepcopy(layer)

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (self.layer(images),)

    def training(slices: int) -> HijackedTraining:
        return HijackedTraining(
            lambda: [DataSite(Site(), Identity())],
            [torch.ones(1, 1, 4, 4)],
            [torch.rand(slices, 1, 4, 4, generator=generator_for(0, "slices"))],
            batch_size=8,
            learning_rate=0.1,
            seed=0,
        )

    exchange = training(5)
    ((first,),) = exchange(None, False)
    assert first.shape == (5, 2, 4, 4)  # all there are
    exchange(((torch.ones_like(first),),), False)
    ((moved,),) = exchange(None, True)
    assert not torch.allclose(moved, layer(torch.ones(1, 1, 4, 4)), atol=0.05)
    ((again,),) = exchange(None, False)
    assert torch.equal(again, first)
    with pytest.raises(CellError, match="needs tumour-bearing slices"):
        training(0)
