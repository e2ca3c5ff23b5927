"""torchao's weight quantizers (pytorch/ao): integers of 2 to 8 bits, and int8 with or without int8 activations.

They quantize Linear layers and leave all others as they are. Losses are computed by torchao's own kernels, so the
int8 activations of `torchao.int8_dynamic` count.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, require_range
from quantmis.quantizers.extras.adapter import Adapter
from quantmis.quantizers.record import QuantizedLayer


class Torchao(Adapter):
    """Quantize with one of torchao's configurations."""

    extra: ClassVar[str | None] = "torchao"
    library: ClassVar[str | None] = "torchao"
    levels_per_weight: ClassVar[str] = "2^bits"
    bits: int = 8

    @abstractmethod
    def config(self) -> Any:
        """Return the configuration that `torchao.quantization.quantize_` takes."""

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with torchao's tensors for weights."""
        from torchao.quantization import quantize_

        quantize_(model, self.config())
        tensors = {name: weight for name, weight in part.weights(model).items() if hasattr(weight, "qdata")}
        return Change(model, tuple(_layer(name, weight, 2**self.bits) for name, weight in tensors.items()))


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoIntx(Torchao):
    """Round to integers of `bits` bits, one scale per output channel or per `group_size` weights of one.

    >>> TorchaoIntx(bits=4, group_size=32).extra
    'torchao'
    """

    bits: int
    group_size: int | None = None
    symmetric: bool = True
    name: ClassVar[str] = "torchao.intx"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)  # torchao's one bit collapses every weight to zero
        size = self.group_size
        require(size is None or size >= 1, f"{self.name}: group_size must be at least 1, got {size}")

    def config(self) -> Any:
        """Return torchao's configuration for integers of any bits."""
        from torchao.quantization import IntxWeightOnlyConfig, MappingType
        from torchao.quantization.granularity import PerAxis, PerGroup

        scales = PerAxis(0) if self.group_size is None else PerGroup(self.group_size)
        mapping = MappingType.SYMMETRIC if self.symmetric else MappingType.ASYMMETRIC
        return IntxWeightOnlyConfig(getattr(torch, f"int{self.bits}"), scales, mapping)


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoInt8WeightOnly(Torchao):
    """Round the weights to int8, one scale per output channel; activations stay as they are.

    >>> TorchaoInt8WeightOnly().name
    'torchao.int8_weight_only'
    """

    name: ClassVar[str] = "torchao.int8_weight_only"
    levels_per_weight: ClassVar[str] = "256"

    def config(self) -> Any:
        """Return torchao's configuration for int8 weights."""
        from torchao.quantization import Int8WeightOnlyConfig

        return Int8WeightOnlyConfig()


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoInt8Dynamic(Torchao):
    """Round the weights to int8 and, at each forward pass, the activations too.

    >>> TorchaoInt8Dynamic().name
    'torchao.int8_dynamic'
    """

    name: ClassVar[str] = "torchao.int8_dynamic"
    rounds_activations: ClassVar[bool] = True
    levels_per_weight: ClassVar[str] = "256"

    def config(self) -> Any:
        """Return torchao's configuration for int8 weights and activations."""
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig

        return Int8DynamicActivationInt8WeightConfig()


def _layer(name: str, weight: Any, levels: int) -> QuantizedLayer:
    codes, scale = weight.qdata, weight.scale.reshape(weight.qdata.shape[0], -1)
    zero = weight.zero_point.reshape(scale.shape).to(torch.int8)
    group_size = codes.shape[1] // scale.shape[1]
    return QuantizedLayer(
        name, codes, scale.float(), levels, group_size, axis=0, zero_point=zero if bool(zero.any()) else None
    )
