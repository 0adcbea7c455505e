"""Per-sample gradients of a party's network, by Opacus, and what would make them untrue.

Reference: Abadi et al. 2016 (arXiv:1607.00133); Opacus (Yousefpour et al. 2021, arXiv:2109.12298).
Opacus is imported inside the functions, since it is slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import nn

from leakaudit.errors import ConfigError


@final
class PerSampleGradients:
    """Records the per-sample gradients of a network's parameters while it is in training mode.

    Its hooks live on the network until `close`.
    """

    def __init__(self, network: nn.Module) -> None:
        """Hook into ``network``.

        Raises:
            ConfigError: a layer mixes the samples of a batch, or works in place.
        """
        from opacus import GradSampleModule

        require_layers(network)
        self._network = network
        # The loss is a sum over samples; strict, so that a layer with a buffer is not let through.
        self._wrapped = GradSampleModule(network, loss_reduction="sum", strict=True)

    def take(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return the gradients of the last backward pass, in the order of ``parameters()``.

        Args:
            batch: samples that the network was given.

        Returns:
            Per parameter ``(batch, *shape)``; zeros where nothing depends on it. Nothing is left
            behind in the network.
        """
        found = []
        for parameter in self._network.parameters():
            recorded = getattr(parameter, "grad_sample", None)
            if recorded is None:
                recorded = parameter.new_zeros(batch, *parameter.shape)
            found.append(recorded.detach())
        self._wrapped.zero_grad(set_to_none=True)
        return tuple(found)

    def close(self) -> None:
        """Take the hooks off."""
        self._wrapped.to_standard_module()


def require_layers(network: nn.Module) -> None:
    """Refuse a layer under which the per-sample gradients of Opacus would not be what they say.

    Raises:
        ConfigError: such a layer, and what to use instead.
    """
    from opacus.validators import ModuleValidator

    for name, module in network.named_modules():
        kind = type(module).__name__
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ConfigError(
                f"{name} is a {kind}, which mixes the samples of a batch: a clipped gradient would "
                "still hold the other patients; use instance or group normalisation"
            )
        if getattr(module, "inplace", False):
            raise ConfigError(
                f"{name} is a {kind} that works in place, which makes the per-sample gradients "
                "wrong; build it with inplace=False"
            )
    problems = ModuleValidator.validate(network, strict=False)
    if problems:
        raise ConfigError(f"no per-sample gradients: {problems[0]}; replace that layer")


def require_unmixed(network: Callable[..., Any], *inputs: Any) -> None:
    """Refuse what treats a sample otherwise in a batch than alone: a network or a defense's part.

    Args:
        network: called as ``network(*inputs)``.
        *inputs: tensors, or tuples and lists of them, with a batch of at least two.

    Raises:
        ConfigError: it does, and the cure.
    """
    with torch.no_grad():
        together = _tensors(network(*inputs))
        alone = _tensors(network(*_first(inputs)))
    # What is not finite is alike here; the loss will say so, in plainer words.
    # Of a bound method the class that it is of.
    name = type(getattr(network, "__self__", network)).__name__
    for whole, part in zip(together, alone, strict=True):
        if not torch.allclose(whole[:1], part, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise ConfigError(
                f"{name} gives a sample another output in a batch than alone, so "
                "that what one patient changes is not bounded by that patient's own part; treat "
                "every sample on its own, in a network by instance normalisation, say"
            )


def _first(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value[:1]
    return type(value)(map(_first, value))


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for each in value for tensor in _tensors(each)]
