"""What safetensors checkpoints of integer weights have in common: codes of a few bits, packed into 32-bit words."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from quantmis.quantizers.record import QuantizedLayer

Layers = tuple[QuantizedLayer, ...]


def parts_read(
    tensors: dict[str, Tensor], parts: Sequence[str], read: Callable[[str, dict[str, Tensor]], QuantizedLayer]
) -> tuple[Layers, dict[str, Tensor]]:
    """Return what `read` makes of each layer that has the first of `parts`, and the tensors that are no parts of one.

    The tensors of the layer `fc` are named `fc.part`.
    """
    names = [name.removesuffix(f".{parts[0]}") for name in tensors if name.endswith(f".{parts[0]}")]
    used = {f"{name}.{part}" for name in names for part in parts}
    rest = {name: value for name, value in tensors.items() if name not in used}
    return tuple(read(name, tensors) for name in names), rest


def unpacked(words: Int[Tensor, "rows words"], bits: int, columns: int) -> Int[Tensor, "rows columns"]:
    """Return the unsigned codes of each row, the lowest bits of a word first.

    >>> unpacked(torch.tensor([[0x21]], dtype=torch.int32), 4, 2).tolist()
    [[1, 2]]
    """
    shifts = torch.arange(0, 32, bits, device=words.device)
    codes = (words.long()[:, :, None] >> shifts) & (2**bits - 1)
    return codes.flatten(1)[:, :columns]


def signed(
    name: str,
    bits: int,
    codes: Int[Tensor, "outputs inputs"],
    scale: Float[Tensor, "rows groups"],
    zero: Int[Tensor, "outputs groups"] | None,
    group_size: int,
) -> QuantizedLayer:
    """Return the record of a layer whose unsigned `codes` and zero points have the middle of their range at zero."""
    middle = 2 ** (bits - 1)
    return QuantizedLayer(
        name=name,
        codes=(codes - middle).to(torch.int8),
        scale=scale.contiguous(),
        levels=2**bits,
        group_size=group_size,
        axis=0,
        zero_point=None if zero is None else (zero - middle).to(torch.int8).contiguous(),
    )
