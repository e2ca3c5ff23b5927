"""bitsandbytes' NF4, FP4 and int8 (Dettmers et al. 2022, arXiv:2208.07339, and 2023, arXiv:2305.14314).

They replace Linear layers and leave all others as they are. Losses are computed by bitsandbytes' own layers; those of
int8 round the activations too. A layer of four bits that the library computes with other scales than it made (so does
version 0.50 on a processor where rows do not divide into blocks) is computed from its codes and scales instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from quantmis.quantizers.base import QUANTIZERS, Change, require_word
from quantmis.quantizers.checked import CLOSE, distance_from_record
from quantmis.quantizers.extras.adapter import Adapter, linear_layers, replaced
from quantmis.quantizers.record import QuantizedLayer


@QUANTIZERS.add
@dataclass(frozen=True)
class BitsAndBytes4Bit(Adapter):
    """Round blocks of 64 weights to the 16 levels of `format`, times the largest magnitude of the block.

    >>> BitsAndBytes4Bit(format="nf4").extra
    'bnb'
    """

    format: Literal["nf4", "fp4"] = "nf4"
    name: ClassVar[str] = "bitsandbytes.linear4bit"
    levels_per_weight: ClassVar[str] = "16"
    extra: ClassVar[str | None] = "bnb"
    library: ClassVar[str | None] = "bitsandbytes"

    def __post_init__(self):
        require_word(self.name, "format", self.format, ("nf4", "fp4"))

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with Linear4bit layers."""
        from bitsandbytes.nn.modules import Linear4bit

        def build(inputs: int, outputs: int, bias: bool) -> nn.Module:
            new = Linear4bit(inputs, outputs, bias, torch.float32, compress_statistics=False, quant_type=self.format)
            new.support_avx512bf16_for_cpu = False  # its kernel takes multiples of 32 outputs only, and half precision
            return new

        return _replaced(model, build, _four_bits)


@QUANTIZERS.add
@dataclass(frozen=True)
class BitsAndBytesInt8(Adapter):
    """Round the weights to int8, one scale per output channel, and the activations at each forward pass.

    >>> BitsAndBytesInt8().name
    'bitsandbytes.linear8bit'
    """

    name: ClassVar[str] = "bitsandbytes.linear8bit"
    rounds_activations: ClassVar[bool] = True
    levels_per_weight: ClassVar[str] = "256"
    extra: ClassVar[str | None] = "bnb"
    library: ClassVar[str | None] = "bitsandbytes"

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with Linear8bitLt layers."""
        from bitsandbytes.nn.modules import Linear8bitLt

        return _replaced(model, partial(Linear8bitLt, has_fp16_weights=False), _eight_bits)


def _replaced(
    model: nn.Module, build: Callable[[int, int, bool], nn.Module], read: Callable[..., QuantizedLayer]
) -> Change:
    """Put a layer of the library in the place of each Linear layer, and read its record.

    Where outputs are not those of the record, the old layer stays, with the weights that the record stands for.
    """
    layers: list[QuantizedLayer] = []
    for name, old in linear_layers(model).items():
        with torch.random.fork_rng(devices=[]):  # the new layer draws weights, only to lose them
            new = build(old.in_features, old.out_features, "bias" in old.state_dict())
        new.load_state_dict(old.state_dict())
        new = new.to("cpu" if old.weight.device.type == "cpu" else old.weight.device)  # this is what quantizes
        layer = read(name, new.weight, tuple(old.weight.shape))
        layers.append(layer)
        if layer.codebook is not None and distance_from_record(old, new, layer) > CLOSE:
            old.weight = nn.Parameter(layer.dequantize().to(old.weight))
        else:
            model = replaced(model, name, new)
    return Change(model, tuple(layers))


def _four_bits(name: str, weight: Any, shape: tuple[int, ...]) -> QuantizedLayer:
    state, packed = weight.quant_state, weight.data.flatten()
    codes = torch.stack([packed >> 4, packed & 15], dim=1).flatten()[: shape[0] * shape[1]].reshape(shape)
    scale = state.absmax.float().reshape(1, -1)
    return QuantizedLayer(
        name, codes, scale, 16, min(state.blocksize, codes.numel()), codebook=state.code.float(), standard=True
    )


def _eight_bits(name: str, weight: Any, shape: tuple[int, ...]) -> QuantizedLayer:
    scale = (weight.SCB.float() / 127).reshape(-1, 1)
    return QuantizedLayer(name, weight.CB.detach().clone(), scale, 256, shape[1], axis=0)
