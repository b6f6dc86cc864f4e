"""Weights of the model that answers: its adapter added, in the order of fast products.

An adapter beside its base costs two thin products and a sum for each product of the base, a third
of the time of an answer. So on a CPU the weights of the model that answers are held once more, the
adapter added, in the order in which the library reads them. In float32 alone: there both ways
differ only in the last bits, as batches of different shapes do. The base's own weights stay.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rmft_api.local_server.hf import products
from rmft_api.local_server.hf.memory import MIB


class _Layer(NamedTuple):
    """A layer whose product is replaced, and the one whose weights it is made of."""

    outer: nn.Module
    """PEFT's layer around a linear one, or that itself."""
    linear: nn.Linear


class MergedWeights:
    """One model's weights at a time, for as long as it is the one that is asked."""

    def __init__(self, most_mb: int) -> None:
        self._most = most_mb * MIB
        self._last: str | None = None
        """The model that answered last."""
        self._held: str | None = None
        """The model whose weights are prepared."""
        self._layers: list[_Layer] = []

    def answer(self, network: nn.Module, name: str) -> None:
        """Call it before every batch. `name`: the adapter that answers; "" is the base.

        Nothing is prepared for the first batch in a row: models that are asked in turn would cost
        more to prepare than their answers.
        """
        if name == self._held:
            return
        self.drop()
        if self._last == name:
            self._hold(network, name)
        self._last = name

    def drop(self) -> None:
        """Multiply by the network's own weights again."""
        for layer in self._layers:
            del layer.outer.forward
        self._layers, self._held = [], None

    def _hold(self, network: nn.Module, name: str) -> None:
        self._held = name
        layers = _layers(network, name)
        if sum(layer.linear.weight.nbytes for layer in layers) > self._most:
            return
        with torch.inference_mode():
            for layer in layers:
                product: Any = products.prepared(_merged(layer, name), layer.linear.bias)
                layer.outer.forward = product
        self._layers = layers


def _layers(network: nn.Module, name: str) -> list[_Layer]:
    """Every linear layer; none where that would gain nothing, or the adapter is no sum of weights.

    `name`: of an adapter; "" is the base.
    """
    if not name and not products.is_slow_in_mkl():
        return []
    found: list[_Layer] = []
    inside: set[nn.Module] = set()
    for module in network.modules():
        if module in inside:
            continue
        if _is_adapted(module):
            inside.update(module.modules())
            found.append(_Layer(module, _base_of(module)))
            if name and not _is_a_sum(module, name):
                return []
        elif isinstance(module, nn.Linear):
            found.append(_Layer(module, module))
    return found if all(products.fits(layer.linear.weight) for layer in found) else []


def _is_adapted(module: Any) -> bool:
    """Whether this is PEFT's layer around one of the network's."""
    return hasattr(module, "base_layer") and hasattr(module, "lora_A")


def _base_of(module: Any) -> nn.Linear:
    return module.base_layer


def _is_a_sum(module: Any, name: str) -> bool:
    """Whether this adapter adds a product of two matrices to a linear layer, and nothing else."""
    return (
        isinstance(module.base_layer, nn.Linear)
        and not module.lora_embedding_A
        and name not in module.lora_variant
        and not module.lora_bias.get(name, False)
        and not module.merged_adapters
    )


def _merged(layer: _Layer, name: str) -> Tensor:
    adapted: Any = layer.outer
    weight = layer.linear.weight
    if not name or adapted is layer.linear or name not in adapted.lora_A:
        return weight
    return weight + adapted.get_delta_weight(name)
