"""Half-quadratic quantization (Badri & Shaji 2023, HQQ): zero points that serve the many weights, not the outliers.

Linear layers are replaced by HQQ's own, in the model's number format; all others stay as they are.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers.base import QUANTIZERS, Change
from quantmis.quantizers.extras.adapter import Adapter, linear_layers, replaced
from quantmis.quantizers.record import QuantizedLayer


@QUANTIZERS.add
@dataclass(frozen=True)
class HQQ(Adapter):
    """Round groups of `group_size` weights to `bits` bits, with scales and zero points that HQQ optimises.

    A layer whose weights do not divide into groups, or whose groups do not fill the bytes that HQQ packs them into (an
    even number of groups of 4 bits), stays as it is.

    >>> HQQ(bits=4, group_size=64).extra
    'hqq'
    """

    bits: int = 4
    group_size: int = 64
    name: ClassVar[str] = "hqq"
    levels_per_weight: ClassVar[str] = "2^bits"
    extra: ClassVar[str | None] = "hqq"
    library: ClassVar[str | None] = "hqq"

    def __post_init__(self):
        require(self.bits in (2, 4, 8), f"hqq: bits must be 2, 4 or 8, got {self.bits}")  # 3 are padded, 1 collapses
        require(
            self.group_size >= 8 and self.group_size % 8 == 0,
            f"hqq: group_size must be a multiple of 8, got {self.group_size}",
        )

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with HQQLinear layers."""
        from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

        layers: list[QuantizedLayer] = []
        for name, old in linear_layers(model).items():
            if type(old) is not nn.Linear or old.weight.numel() % (self.group_size * 8 // self.bits):
                continue
            config = BaseQuantizeConfig(nbits=self.bits, group_size=self.group_size, axis=1)
            shape = old.weight.shape
            new = HQQLinear(old, config, compute_dtype=old.weight.dtype, device="cpu", del_orig=False)
            layers.append(_layer(name, new, shape, self.bits))
            model = replaced(model, name, new)
        return Change(model, tuple(layers))


def _layer(name: str, layer: Any, shape: torch.Size, bits: int) -> QuantizedLayer:
    codes = layer.unpack(dtype=torch.uint8).reshape(-1)[: shape.numel()].reshape(shape)
    scale, zero = (layer.meta[key].detach().float().reshape(1, -1) for key in ("scale", "zero"))
    return QuantizedLayer(name, codes, scale, 2**bits, shape.numel() // scale.shape[1], zero_point=zero)
