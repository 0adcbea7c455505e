"""Checks of a defense beside its release: the returned gradients, and the training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from leakaudit.contracts import Defense, ReleaseSetting, SiteLayout, Stage
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels


def check_stages(
    defense: Defense, setting: ReleaseSetting, levels: Levels, *, spatial_dims: int, seed: int
) -> None:
    """Check returned gradients, companion, penalty and private updates, on and at `off`.

    Args:
        defense: as configured, not fitted.
        setting: what it is fitted to.
        levels: of one site: two, the second half the size of the first.
        spatial_dims: 2 or 3.
        seed: of images and draws.

    Raises:
        AssertionError: something does not hold, or the defense changes what `acts_on` leaves out.
    """
    on = defense.fit(setting)
    off = replace(defense, **dict(defense.off or {})).fit(setting)  # type: ignore[type-var]
    name = type(defense).__name__
    changed = {
        Stage.RELEASE: _changed(on, levels, seed),
        Stage.RETURNED_GRADIENT: _check_returned(on, levels, seed),
        Stage.TRAINING: _check_training(on, levels, spatial_dims, seed, taught=True)
        | _check_updates(on, levels, seed),
    }
    if Stage.TRAINING in defense.acts_on:
        assert changed[Stage.TRAINING], f"{name} leads the training nowhere: its gradient is 0"
    for stage, found in changed.items():
        assert not found or stage in defense.acts_on, (
            f"{name} changes the {stage}, which {name}.acts_on leaves out: a run would not look "
            "whether it was on"
        )
    assert not _check_returned(off, levels, seed), f"{name} changes what returns at its off"
    trained = _check_training(off, levels, spatial_dims, seed) | _check_updates(off, levels, seed)
    assert not trained, f"{name} changes the training at its off"


def _changed(defense: Defense, levels: Levels, seed: int) -> bool:
    released = defense.release(levels, generator=generator_for(seed, "stage"))
    return not all(map(torch.equal, released, levels))


def _check_returned(defense: Defense, gradients: Levels, seed: int) -> bool:
    name = type(defense).__name__
    kept = [each.clone() for each in gradients]
    drawn = defense.draw_returned(gradients, generator_for(seed, "returned"))
    together = defense.apply_returned(gradients, drawn)
    assert all(map(torch.equal, gradients, kept)), f"{name} modified returned gradients in place"
    shapes = [each.shape for each in gradients]
    assert [each.shape for each in together] == shapes, f"{name} returns gradients of another shape"
    finite = all(bool(each.isfinite().all()) for each in together)
    assert finite, f"{name} returns gradients that are not finite"
    alike = tuple(each[:1].expand_as(each).contiguous() for each in gradients)
    sent, other = (
        defense.return_gradient(alike, generator=generator_for(seed, "equal samples", draw))
        for draw in range(2)
    )
    random = not all(map(torch.equal, sent, other))
    shared = all(bool((each == each[:1]).all()) for each in sent)
    assert not (random and shared), f"{name} draws what returns for a batch, not for each sample"
    for sample in range(len(gradients[0])):
        one = slice(sample, sample + 1)
        alone = defense.apply_returned(
            tuple(each[one] for each in gradients), tuple(each[one] for each in drawn)
        )
        for whole, part in zip(together, alone, strict=True):
            same = torch.allclose(whole[one], part, rtol=1e-5, atol=1e-6)
            assert same, f"{name} returns sample {sample} another gradient alone than in a batch"
    meta = tuple(each.to("meta") for each in gradients)
    hollow = defense.return_gradient(meta, generator=generator_for(seed, "returned"))
    assert all(each.is_meta for each in hollow), f"{name} returns a gradient on another device"
    return not all(map(torch.equal, together, gradients))


def _check_training(
    defense: Defense, levels: Levels, spatial_dims: int, seed: int, *, taught: bool = False
) -> bool:
    """Companion and penalty; whether the penalty leads anywhere."""
    name = type(defense).__name__
    # Something that the levels say, so that a companion can learn it.
    images = levels[0][:, :2].sigmoid()
    site = SiteLayout(
        modalities=2,
        channels=tuple(level.shape[1] for level in levels),
        scales=(1, 2),
        spatial_dims=spatial_dims,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        companion = defense.companion(site)
    if companion is not None:
        loss = defense.companion_loss(companion, images, levels)
        parameters = tuple(companion.parameters())
        slopes = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        assert loss.ndim == 0, f"{name}.companion_loss is not a scalar"
        learned = any(bool(each.any()) for each in slopes)
        assert learned, f"{name}.companion_loss teaches its companion nothing"
        if taught:
            _teach(defense, companion, images, levels)
    inputs = tuple(level.clone().requires_grad_() for level in levels)
    penalty = defense.penalty(images, inputs, companion)
    if penalty is None:
        return False
    assert penalty.ndim == 0, f"{name}.penalty is not a scalar"
    assert bool(penalty.isfinite()), f"{name}.penalty is not finite"
    assert penalty.requires_grad, f"no gradient comes back from {name}.penalty"
    gradients = torch.autograd.grad(penalty, inputs, allow_unused=True, materialize_grads=True)
    far = companion.to("meta") if companion is not None else None
    hollow = defense.penalty(images.to("meta"), tuple(x.to("meta") for x in levels), far)
    assert hollow is not None, f"{name}.penalty is None on another device"
    assert hollow.is_meta, f"{name}.penalty is made on another device"
    finite = all(bool(each.isfinite().all()) for each in gradients)
    assert finite, f"{name}.penalty has a gradient that is not finite"
    return any(bool(each.any()) for each in gradients)


def _teach(defense: Defense, companion: nn.Module, images: torch.Tensor, levels: Levels) -> None:
    """Until the companion knows something of these samples."""
    optimizer = torch.optim.Adam(companion.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        defense.companion_loss(companion, images, levels).backward()
        optimizer.step()


def _check_updates(defense: Defense, levels: Levels, seed: int) -> bool:
    """Private updates of a small network; whether they differ from the plain sum."""
    name = type(defense).__name__
    if not any(map(defense.privatizes, ("encoder", "server"))):
        return False
    parameters = tuple(nn.utils.skip_init(nn.Linear, 3, 2).parameters())
    generator = generator_for(seed, "records")
    gradients = tuple(
        10 * normal_like(torch.empty(len(levels[0]), *each.shape), generator) for each in parameters
    )
    draws = [defense.draw_update(parameters, generator_for(seed, "update")) for _ in range(2)]
    first, second = (defense.apply_update(gradients, drawn) for drawn in draws)
    assert all(map(torch.equal, first, second)), f"{name} updates at random beyond its generator"
    shapes = [each.shape for each in parameters]
    assert [each.shape for each in first] == shapes, f"{name}.apply_update gives other shapes"
    hollow = defense.apply_update(
        tuple(each.to("meta") for each in gradients),
        defense.draw_update(
            tuple(each.to("meta") for each in parameters), generator_for(seed, "update")
        ),
    )
    assert all(each.is_meta for each in hollow), f"{name} updates on another device"
    # One record that is a thousand times as large: what is bounded moves little further.
    larger = tuple(torch.cat([1000 * each[:1], each[1:]]) for each in gradients)
    further = defense.apply_update(larger, draws[0])
    moved, room = (
        sum(float((a - b).square().sum()) for a, b in zip(*two, strict=True)) ** 0.5
        for two in (
            (further, first),
            ([each[0] for each in larger], [torch.zeros_like(each[0]) for each in larger]),
        )
    )
    plain = [gradient.sum(dim=0) for gradient in gradients]
    changed = not all(
        torch.allclose(after, before, rtol=1e-4, atol=1e-5)
        for after, before in zip(first, plain, strict=True)
    )
    assert not changed or moved < 0.1 * room, (
        f"{name}.apply_update lets one record weigh as much as it likes; clip each record's joint "
        "gradient over all parameters"
    )
    return changed
