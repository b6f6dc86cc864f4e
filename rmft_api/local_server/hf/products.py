"""Matrix products of a CPU in float32, by the faster of the two libraries that torch brings.

torch multiplies float32 matrices by MKL, which takes no AVX-512 on a CPU that is not Intel's: half
of what the core can do (docs/performance.md). oneDNN does, at the same precision. Only the library
changes: weights, their type and their names stay, and so do adapters over them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def is_slow_in_mkl() -> bool:
    """Whether MKL leaves half of this CPU unused: by rule, as training must repeat its bytes."""
    facts: Mapping[str, Any] = torch.cpu.get_capabilities()
    wide = bool(facts.get("avx512_f")) and torch.backends.mkldnn.is_available()
    return wide and "intel" not in str(facts.get("cpu_name", "intel")).lower()


def multiply_fast(network: nn.Module) -> None:
    """Let every frozen float32 layer of a network on a CPU multiply by oneDNN, where that pays."""
    if not is_slow_in_mkl():
        return
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if type(module) is nn.Linear and fits(weight):
            module.__class__ = OneDnnLinear


def prepared(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """The product with frozen float32 weights of a CPU, for many calls without gradient.

    Weights in the library's own order, a copy, are not sorted again for every product.
    """
    if not is_slow_in_mkl():
        return partial(nn.functional.linear, weight=weight, bias=bias)
    return partial(_product, weight=torch.ops.mkldnn._reorder_linear_weight(weight), bias=bias)


def fits(weight: Any) -> bool:
    """Whether a weight is a float32 one of a CPU."""
    return (
        isinstance(weight, Tensor) and weight.dtype == torch.float32 and weight.device.type == "cpu"
    )


class OneDnnLinear(nn.Linear):
    """A layer as it was, of the same weights."""

    def forward(self, input: Tensor) -> Tensor:
        """As nn.Linear; by the ordinary way where this one does not hold."""
        learns = torch.is_grad_enabled()
        plain = (learns and self.weight.requires_grad) or not fits(self.weight)
        if plain or input.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        if learns and input.requires_grad:
            learning: Any = _Product
            return learning.apply(input, self.weight, self.bias)
        return _product(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """With a gradient of the input; the weights are frozen."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _product(grads[0].contiguous(), weight.t(), None), None, None


def _product(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
