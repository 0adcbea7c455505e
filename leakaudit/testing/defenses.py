"""The contract of a defense."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from leakaudit.contracts import Defense, ReleaseSetting
from leakaudit.contracts.measuring.hints import HINT_ROUGH, TELLS, hint_errors, told_by_unknown
from leakaudit.randomness import generator_for, normal_like
from leakaudit.testing.plugins import check_configuration, untouched
from leakaudit.testing.stages import check_stages
from leakaudit.types import Levels

_BATCH = 3
_GRADIENTS = ("exact", "straight-through")


def check_defense(
    defense: Defense, *, sites: int = 2, spatial: tuple[int, ...] = (16, 16), seed: int = 0
) -> None:
    """Check that a defense keeps its contract, in 2D and in 3D.

    It is fitted to random levels and releases them in float32, in float64 and as `meta` tensors,
    which hold no values and so show a tensor that is made on the wrong device; fake ones show what
    is only used from there. Samples are treated and drawn for on their own; the gradient is what
    the class says; at its parameters `off` it releases the levels as they are. What it does to
    returned gradients and to the training is held to the same, and to what `acts_on` says. A
    release that does not depend on the levels needs no gradient. `Defense.expected` and
    `Defense.evidence` are hints that an attack may follow, so they are compared with releases.

    Args:
        defense: as an audit file would configure it, not fitted.
        sites: number of data sites it is fitted for.
        spatial: extents of the shallower of two levels, even; the other dimension gets the first.
        seed: of the levels and the draws.

    Raises:
        AssertionError: something does not hold.
    """
    check_configuration(defense)
    _check_declared(defense)
    for extents in (spatial, (spatial[0],) * (5 - len(spatial))):
        levels = _levels(extents, seed)
        own = (levels,) * sites
        setting = ReleaseSetting(sites=sites, releases_per_patient=2, auxiliary_levels=own)
        fitted = defense.fit(setting)
        with untouched(f"{type(defense).__name__}.release"):
            _check_release(fitted, levels, seed)
            _check_release(fitted, tuple(level.double() for level in levels), seed)
            _check_apply(fitted, levels, _levels(extents, seed + 1), seed)
            _check_draws(fitted, levels, seed)
            # Other levels than those it was fitted to, at which a bound may just be met.
            _check_gradient(fitted, _levels(extents, seed + 1), seed)
        _check_hints(fitted, levels, seed)
        _check_off(defense, setting, levels, seed)
        check_stages(defense, setting, levels, spatial_dims=len(extents), seed=seed)
    for reproducible in (True, False):
        guarantee = fitted.guarantee(2, reproducible=reproducible)
        if guarantee is not None:
            assert guarantee.claimed != bool(guarantee.reason), "a guarantee claims or says why not"
            assert not (guarantee.claimed and reproducible), "reproducible noise carries no claim"


def _check_release(defense: Defense, levels: Levels, seed: int) -> None:
    name = type(defense).__name__
    kept = [level.clone() for level in levels]
    drawing, again, on_meta = (generator_for(seed, "draw") for _ in range(3))
    released = defense.release(levels, generator=drawing)
    assert all(map(torch.equal, levels, kept)), f"{name} modified the levels in place"
    _check_like(released, levels, f"{name}.release")
    repeated = defense.release(levels, generator=again)
    assert all(map(torch.equal, released, repeated)), f"{name} is random beyond its generator"
    for variance in _check_evidence(defense, released):
        assert bool((variance >= 0).all()), f"{name}.evidence has a variance that is not at least 0"

    meta = tuple(level.to("meta") for level in levels)
    try:
        hollow = defense.release(meta, generator=on_meta)
        _check_like(hollow, meta, f"{name}.release on meta")
        _check_evidence(defense, hollow)
    except RuntimeError as error:
        raise AssertionError(f"{name} fails on meta tensors: {error}") from error
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            fakes = tuple(torch.empty_like(each) for each in meta)
            _check_evidence(defense, defense.release(fakes, generator=generator_for(seed, "draw")))
    except RuntimeError as error:
        raise AssertionError(f"{name} fails on fake tensors: {error}") from error
    assert defense.adversary_is_told(levels), (
        f"{name} draws randomness, but keeps the default evidence, which calls a release exact; "
        f"say in {name}.evidence what a release gives away, or attacks are weaker than they can be"
    )
    drew_alike = torch.equal(drawing.get_state(), on_meta.get_state())
    assert drew_alike, f"{name} draws by device; draw on generator.device, then move"


def _check_evidence(defense: Defense, released: Levels) -> Levels:
    evidence = defense.evidence(released)
    both = (*evidence.values, *evidence.variances)
    _check_like(both, (*released, *released), f"{type(defense).__name__}.evidence")
    _check_like(defense.expected(released), released, f"{type(defense).__name__}.expected")
    return evidence.variances


def _check_hints(defense: Defense, levels: Levels, seed: int) -> None:
    """Check the defense's hints against its releases, level by level."""
    name = type(defense).__name__
    for index, ratio in enumerate(hint_errors(defense, levels, seed)):
        assert 1 / HINT_ROUGH <= ratio <= HINT_ROUGH, (
            f"{name}.evidence misleads on level {index}: it is {ratio:.3g} times as far off "
            f"{name}.expected as it says, in squares; state the variance that releases have"
        )
    for index, told in enumerate(told_by_unknown(defense, levels, seed)):
        assert told < TELLS, (
            f"{name}.evidence says that values of level {index} tell nothing (an infinite "
            f"variance), and their correlation with {name}.expected is {told:.2f}"
        )


def _check_apply(defense: Defense, levels: Levels, other: Levels, seed: int) -> None:
    name = type(defense).__name__
    drawn = defense.draw(levels, generator_for(seed, "draw"))
    assert all(len(draw) == _BATCH for draw in drawn), f"{name}.draw needs the batch as first axis"
    together = defense.apply(levels, drawn)
    defense.draw(levels, generator_for(seed, "another draw"))
    injected = defense.apply(levels, drawn)
    assert all(map(torch.equal, together, injected)), f"{name}.apply ignores the draw it is given"
    for sample in range(_BATCH):
        one = slice(sample, sample + 1)
        alone = defense.apply(tuple(x[one] for x in levels), tuple(x[one] for x in drawn))
        for whole, part in zip(together, alone, strict=True):
            same = torch.allclose(whole[one], part, rtol=1e-5, atol=1e-6)
            assert same, f"{name} treats sample {sample} otherwise alone than in a batch"

    inputs = tuple(level.clone().requires_grad_() for level in levels)
    released = defense.release(inputs, generator=generator_for(seed, "draw"))
    # A tensor that is the same for other levels has no gradient to give.
    moved = [
        not torch.equal(*two) for two in zip(together, defense.apply(other, drawn), strict=True)
    ]
    cut = [
        change and not level.requires_grad for change, level in zip(moved, released, strict=True)
    ]
    assert not any(cut), f"{name} cuts the gradient off"
    led = [level for level in released if level.requires_grad]
    if not led:
        return
    weights = [w for w, level in zip(levels, released, strict=True) if level.requires_grad]
    gradients = torch.autograd.grad(led, inputs, weights, materialize_grads=True)
    for index, gradient in enumerate(gradients):
        mixed = tuple(other[i] if i == index else level for i, level in enumerate(levels))
        if all(map(torch.equal, together, defense.apply(mixed, drawn))):
            continue
        reached = bool(gradient.any() & gradient.isfinite().all())
        assert reached, f"no finite gradient reaches tensor {index} through {name}.apply"


def _check_declared(defense: Defense) -> None:
    name = type(defense).__name__
    assert defense.off is not None, (
        f"{name}.off is not declared; say at which parameters it changes nothing: "
        'off: ClassVar[Mapping[str, Any] | None] = {"strength": 0.0}'
    )
    known = " or ".join(_GRADIENTS)
    assert defense.gradient in _GRADIENTS, f"{name}.gradient is {defense.gradient!r}, not {known}"


def _check_off(defense: Defense, setting: ReleaseSetting, levels: Levels, seed: int) -> None:
    name, off = type(defense).__name__, dict(defense.off or {})
    try:
        weakest = replace(defense, **off)  # type: ignore[type-var]
    except Exception as error:  # its own checks may raise anything
        raise AssertionError(f"{name} refuses its own off, {off}: {error}") from error
    released = weakest.fit(setting).release(levels, generator=generator_for(seed, "draw"))
    assert all(map(torch.equal, released, levels)), f"{name} changes the levels at its off, {off}"


def _check_draws(defense: Defense, levels: Levels, seed: int) -> None:
    """Check that randomness differs between equal samples.

    Several draws of several samples, since a few values may be dropped alike by chance.
    """
    alike = tuple(level[:1].expand(8, *level.shape[1:]).contiguous() for level in levels)
    releases = [
        defense.release(alike, generator=generator_for(seed, "equal samples", draw))
        for draw in range(4)
    ]
    for index, draws in enumerate(zip(*releases, strict=True)):
        random = any(not torch.equal(draws[0], other) for other in draws[1:])
        shared = all(bool((released == released[:1]).all()) for released in draws)
        assert not (random and shared), (
            f"{type(defense).__name__}.draw gives all samples of level {index} the same values; "
            "draw for each sample"
        )


def _check_gradient(defense: Defense, levels: Levels, seed: int) -> None:
    """The gradient of a random weighting of the release, under one draw, in float64."""
    name, step = type(defense).__name__, 1e-6
    inputs = tuple(level.double().requires_grad_() for level in levels)
    generator = generator_for(seed, "gradient")
    incoming, along = (tuple(normal_like(each, generator) for each in inputs) for _ in range(2))
    drawn = defense.draw(inputs, generator)
    released = defense.apply(inputs, drawn)
    led = [index for index, level in enumerate(released) if level.requires_grad]
    if not led:
        return  # nothing of it depends on the levels, as `_check_apply` saw
    gradients = torch.autograd.grad(
        [released[index] for index in led],
        inputs,
        [incoming[index] for index in led],
        materialize_grads=True,
    )
    if defense.gradient == "straight-through":
        passed = all(map(torch.allclose, gradients, incoming))
        assert passed, f"{name}'s gradient is not straight-through, as it says"
        return
    with torch.no_grad():
        ahead, behind = (
            defense.apply(tuple(x + side * d for x, d in zip(inputs, along, strict=True)), drawn)
            for side in (step, -step)
        )
        weights, there, here = map(_joined, (incoming, ahead, behind))
        slopes = (there - here) / (2 * step)
        difference = float(_joined(gradients) @ _joined(along) - weights @ slopes)
        # Of a large noise the difference has lost its last digits.
        rounding = torch.finfo(torch.float64).eps * float(weights.abs() @ there.abs()) / step
        allowed = 1e-6 * float(weights.norm() * slopes.norm()) + rounding
    assert abs(difference) <= allowed, (
        f"{name}'s gradient is not that of {name}.apply: off by {difference:.3g} of finite "
        f"differences in float64; make it exact, in the levels' own precision, or say {name}."
        'gradient = "straight-through" if the incoming gradient passes as it is'
    )


def _joined(levels: Levels) -> torch.Tensor:
    return torch.cat([level.flatten() for level in levels])


def _check_like(tensors: Levels, wanted: Levels, what: str) -> None:
    found, expected = (
        [(tuple(each.shape), each.dtype, each.device.type) for each in side]
        for side in (tensors, wanted)
    )
    assert found == expected, f"{what} gives {found}, expected {expected}"


def _levels(extents: tuple[int, ...], seed: int) -> Levels:
    shapes = ((_BATCH, 3, *extents), (_BATCH, 4, *(extent // 2 for extent in extents)))
    generator = generator_for(seed, "levels", *extents)
    return tuple(normal_like(torch.empty(shape), generator) for shape in shapes)
