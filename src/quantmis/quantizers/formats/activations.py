"""Inputs of layers rounded as where a file runs: in front of each layer, by what its configuration says.

What is repeated is the rounding. Products are summed in single precision here; an accelerator sums the same products
in another order. Where scales come from the inputs at hand, they are those of compressed-tensors (its
`compute_dynamic_scales_and_zp`), of DeepSeek's and transformers' FP8, of ModelOpt, and of transformers' BitNet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.inspection.roundings import FLOATS, Rounding
from quantmis.quantizers.formats.floats import FOUR_BITS, SIX_BITS

Inputs = Float[Tensor, "*shape"]
SMALLEST = {8: 0.125, 4: 0.25}
"""What compressed-tensors takes instead of a scale of zero, where scales are numbers of FP8."""

LARGEST_SCALE = 448.0
MANTISSA = 23
"""Bits of the fraction of a number in single precision."""


@dataclass(frozen=True, eq=False)
class RoundedInputs:
    """Round the first input of a layer: a hook in front of its forward. `scale` and `zero` are what the file keeps."""

    rounding: Rounding
    scale: Tensor | None = None
    zero: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the inputs of a layer with the first rounded, in its own number format."""
        first, *rest = inputs
        return (rounded(first.float(), self.rounding, self.scale, self.zero).to(first.dtype), *rest)


def round_inputs(model: nn.Module, hooks: Mapping[str, RoundedInputs]) -> None:
    """Let the named layers of `model` round their inputs from now on."""
    for name, hook in hooks.items():
        model.get_submodule(name).register_forward_pre_hook(hook)


def rounded(x: Inputs, how: Rounding, scale: Tensor | None = None, zero: Tensor | None = None) -> Inputs:
    """Return numbers rounded as `how` says, in single precision; `scale` and `zero` are what a file keeps of them."""
    if how.size is not None:
        width = x.shape[-1]
        require(width % how.size == 0, f"inputs of {width} do not divide into runs of {how.size}")
        runs = x.unflatten(-1, (width // how.size, how.size))
        return _rounded(runs, how, scale, zero).flatten(-2)
    return _rounded(x, how, scale, zero)


def _rounded(x: Tensor, how: Rounding, kept: Tensor | None, zero: Tensor | None) -> Tensor:
    if how.static:
        require(kept is not None, "a layer rounds its inputs by a scale that the file does not have")
        own, shift = kept.float(), zero  # pyright: ignore[reportOptionalMemberAccess]
    else:
        own, shift = _scales(x, how, kept)
    low, high = _ends(how)
    codes = x / own if shift is None else x / own + shift.float()
    near = _nearest(codes.clamp(low, high), how)
    return (near if shift is None else near - shift.float()) * own


def _ends(how: Rounding) -> tuple[float, float]:
    if how.number == "float":
        return -FLOATS[how.bits], FLOATS[how.bits]
    return -float(2 ** (how.bits - 1)), float(2 ** (how.bits - 1) - 1)


def _scales(x: Tensor, how: Rounding, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the scales of inputs from these themselves, and their zero points where they have some."""
    low, high = _ends(how)
    least, most = (x.amin(), x.amax()) if how.per == "tensor" else (x.amin(-1, True), x.amax(-1, True))
    if not how.symmetric:
        least, most = least.clamp(max=0), most.clamp(min=0)
        scale = _positive((most - least) / (high - low))
        return scale, (low - least / scale).clamp(low, high).round()
    size = torch.maximum(least.abs(), most.abs()).clamp(min=how.least)
    if how.powers == "near":
        return _near_power(size, how.bits), None
    scale = size / (how.most or (high - low) / 2)
    if how.powers == "above":
        return torch.exp2(torch.ceil(torch.log2(scale.clamp(min=2.0**-127)))), None
    return (_two_levels(scale, kept) if how.two_levels else _positive(scale)), None


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, torch.finfo(torch.float32).eps, scale)


def _two_levels(scale: Tensor, kept: Tensor | None) -> Tensor:
    """Return scales of runs that are numbers of FP8 over the one that is kept for all inputs."""
    require(kept is not None, "a layer rounds its inputs by a scale that the file does not have")
    whole = kept.float()  # pyright: ignore[reportOptionalMemberAccess]
    small = (scale * whole).clamp(max=LARGEST_SCALE).to(torch.float8_e4m3fn).float()
    return torch.where(small == 0, SMALLEST[8], small) / whole


def _near_power(size: Tensor, bits: int) -> Tensor:
    """Return the power of two by which the largest magnitude of a run comes near the largest number of the format."""
    fraction = 3 if bits == 6 else 1
    whole = (size.float().view(torch.int32) + (1 << (MANTISSA - fraction - 1))) & (0x1FF << MANTISSA)
    power = torch.floor(torch.log2(whole.view(torch.float32))) - {4: 2, 6: 2, 8: 8}[bits]
    return torch.exp2(power.clamp(-127, 128))


def _nearest(x: Tensor, how: Rounding) -> Tensor:
    """Return the numbers of a format that are nearest, of two as near the even one."""
    if how.number == "int":
        return x.round()
    if how.bits == 8:
        return x.to(torch.float8_e4m3fn).float()
    magnitudes = (FOUR_BITS if how.bits == 4 else SIX_BITS).chunk(2)[0]
    middles = (magnitudes[1:] + magnitudes[:-1]) / 2
    size = x.abs()
    above = torch.bucketize(size, middles, right=True)  # a middle belongs to the number above
    odd = torch.bucketize(size, middles) != above
    return torch.copysign(magnitudes[above - (odd & (above % 2 == 1)).long()], x)
