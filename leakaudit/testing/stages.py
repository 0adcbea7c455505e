"""What a defence does beside its release: to what returns, and to the training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from leakaudit.contracts import Defense, ReleaseSetting, SiteLayout, Stage
from leakaudit.randomness import generator_for, normal_like, uniform_like
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
        AssertionError: something does not hold, or the defence changes what `acts_on` leaves out.
    """
    on = defense.fit(setting)
    off = replace(defense, **dict(defense.off or {})).fit(setting)  # type: ignore[type-var]
    name = type(defense).__name__
    changed = {
        Stage.RELEASE: _changed(on, levels, seed),
        Stage.RETURNED_GRADIENT: _check_returned(on, levels, seed),
        Stage.TRAINING: _check_training(on, levels, spatial_dims, seed)
        | _check_updates(on, levels, seed),
    }
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


def _check_training(defense: Defense, levels: Levels, spatial_dims: int, seed: int) -> bool:
    """Companion and penalty; whether there is a penalty."""
    name = type(defense).__name__
    images = uniform_like(
        torch.empty(len(levels[0]), 2, *levels[0].shape[2:]), generator_for(seed, "images")
    )
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
        taught = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        assert loss.ndim == 0, f"{name}.companion_loss is no scalar"
        learned = any(bool(each.any()) for each in taught)
        assert learned, f"{name}.companion_loss teaches its companion nothing"
    inputs = tuple(level.clone().requires_grad_() for level in levels)
    penalty = defense.penalty(images, inputs, companion)
    if penalty is None:
        return False
    assert penalty.ndim == 0, f"{name}.penalty is no scalar"
    assert bool(penalty.isfinite()), f"{name}.penalty is not finite"
    assert penalty.requires_grad, f"no gradient comes back from {name}.penalty"
    gradients = torch.autograd.grad(penalty, inputs, allow_unused=True, materialize_grads=True)
    finite = all(bool(each.isfinite().all()) for each in gradients)
    assert finite, f"{name}.penalty has a gradient that is not finite"
    return True


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
    plain = [gradient.sum(dim=0) for gradient in gradients]
    return not all(
        torch.allclose(after, before, rtol=1e-4, atol=1e-5)
        for after, before in zip(first, plain, strict=True)
    )
