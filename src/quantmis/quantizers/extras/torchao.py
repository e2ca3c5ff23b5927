"""torchao's weight quantizers (pytorch/ao): integers of 2 to 8 bits, and int8 with or without int8 activations.

They quantize Linear layers and leave all others as they are. Losses are computed by torchao's own kernels, so the
int8 activations of `torchao.int8_dynamic` count.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, require_range
from quantmis.quantizers.extras.adapter import Adapter
from quantmis.quantizers.record import QuantizedLayer


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoIntx(Adapter):
    """Round to integers of `bits` bits, one scale per output channel or per `group_size` weights of one.

    >>> TorchaoIntx(bits=4, group_size=32).extra
    'torchao'
    """

    bits: int
    group_size: int | None = None
    symmetric: bool = True
    name: ClassVar[str] = "torchao.intx"
    extra: ClassVar[str | None] = "torchao"
    library: ClassVar[str | None] = "torchao"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)  # torchao's one bit collapses every weight to zero

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with IntxUnpackedToInt8Tensor weights."""
        from torchao.quantization import IntxWeightOnlyConfig, MappingType
        from torchao.quantization.granularity import PerAxis, PerGroup

        scales = PerAxis(0) if self.group_size is None else PerGroup(self.group_size)
        mapping = MappingType.SYMMETRIC if self.symmetric else MappingType.ASYMMETRIC
        config = IntxWeightOnlyConfig(getattr(torch, f"int{self.bits}"), scales, mapping)
        return _converted(model, config, 2**self.bits)


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoInt8WeightOnly(Adapter):
    """Round the weights to int8, one scale per output channel; activations stay as they are.

    >>> TorchaoInt8WeightOnly().name
    'torchao.int8_weight_only'
    """

    name: ClassVar[str] = "torchao.int8_weight_only"
    extra: ClassVar[str | None] = "torchao"
    library: ClassVar[str | None] = "torchao"

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with Int8Tensor weights."""
        from torchao.quantization import Int8WeightOnlyConfig

        return _converted(model, Int8WeightOnlyConfig(), 256)


@QUANTIZERS.add
@dataclass(frozen=True)
class TorchaoInt8Dynamic(Adapter):
    """Round the weights to int8 and, at each forward pass, the activations too.

    >>> TorchaoInt8Dynamic().name
    'torchao.int8_dynamic'
    """

    name: ClassVar[str] = "torchao.int8_dynamic"
    extra: ClassVar[str | None] = "torchao"
    library: ClassVar[str | None] = "torchao"

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with Int8Tensor weights that quantize their inputs."""
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig

        return _converted(model, Int8DynamicActivationInt8WeightConfig(), 256)


def _converted(model: nn.Module, config: Any, levels: int) -> Change:
    from torchao.quantization import quantize_

    quantize_(model, config)
    made = {name: weight for name, weight in part.weights(model).items() if hasattr(weight, "qdata")}
    return Change(model, tuple(_layer(name, weight, levels) for name, weight in made.items()))


def _layer(name: str, weight: Any, levels: int) -> QuantizedLayer:
    codes, scale = weight.qdata, weight.scale.reshape(weight.qdata.shape[0], -1)
    zero = weight.zero_point.reshape(scale.shape).to(torch.int8)
    group_size = codes.shape[1] // scale.shape[1]
    return QuantizedLayer(
        name, codes, scale.float(), levels, group_size, axis=0, zero_point=zero if bool(zero.any()) else None
    )
