"""What safetensors checkpoints of integer weights have in common: codes of a few bits, packed into 32-bit words."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import Entry

KINDS = {
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
}
Layers = tuple[QuantizedLayer, ...]

ROWS = 4096
"""Rows that are unpacked at once, where codes go across bytes."""


def parts_read(
    tensors: dict[str, Tensor], parts: Sequence[str], read: Callable[[str, dict[str, Tensor]], QuantizedLayer]
) -> tuple[Layers, dict[str, Tensor]]:
    """Return what `read` makes of each layer that has the first of `parts`, and the tensors that are no parts of one.

    The tensors of the layer `fc` are named `fc.part`.
    """
    names = [name.removesuffix(f".{parts[0]}") for name in tensors if name.endswith(f".{parts[0]}")]
    keys = {f"{name}.{part}" for name in names for part in parts}
    rest = {name: value for name, value in tensors.items() if name not in keys}
    return tuple(read(name, tensors) for name in names), rest


def entry_of(value: Tensor) -> Entry:
    """Return what the head of a file says of a tensor, as far as signs of a format look at it."""
    return Entry(KINDS.get(value.dtype, str(value.dtype)), tuple(value.shape), 0, value.nbytes)


def unpacked(words: Integer[Tensor, "rows words"], bits: int, columns: int) -> UInt8[Tensor, "rows columns"]:
    """Return the unsigned codes of each row, the lowest bits of a word first; a code may go on in the next word.

    >>> unpacked(torch.tensor([[0x21]], dtype=torch.int32), 4, 2).tolist()
    [[1, 2]]
    """
    bytes_of = words.contiguous().view(torch.uint8)  # the lowest byte of a word comes first
    if 8 % bits == 0:
        shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
        return ((bytes_of[:, :, None] >> shifts) & (2**bits - 1)).flatten(1)[:, :columns]
    return torch.cat([_across(part, bits) for part in bytes_of.split(ROWS)])[:, :columns]


def _across(bytes_of: Tensor, bits: int) -> Tensor:
    """Return codes that may begin in one byte and end in the next: eight of them take as many bytes as a code bits."""
    whole = bytes_of[:, : bytes_of.shape[1] // bits * bits].unflatten(1, (-1, bits)).int()
    rest = nn.functional.pad(bytes_of[:, whole.shape[1] * bits :], (0, bits)).int()[:, :bits]
    runs = nn.functional.pad(torch.cat([whole, rest[:, None]], dim=1), (0, 1))
    codes = [
        (runs[..., at // 8] | runs[..., at // 8 + 1] << 8) >> at % 8 & (2**bits - 1) for at in range(0, 8 * bits, bits)
    ]
    return torch.stack(codes, dim=2).to(torch.uint8).flatten(1)


def group_size(name: str, columns: int, groups: int, sizes: Sequence[int]) -> int:
    """Return how many inputs share a scale, from the number of groups and what the configuration says.

    Raises `UserError` where that is not one number.
    """
    require(groups >= 1 and columns >= 1, f"{name} is damaged: {groups} groups of {columns} inputs")
    fitting = {size for size in sizes if size > 0 and -(-columns // size) == groups}
    if groups == 1:
        return columns
    even = columns // groups if columns % groups == 0 else 0
    if even and (even in fitting or not any(size > 0 for size in sizes)):
        return even
    require(
        len(fitting) == 1,
        f"{name} has {groups} groups of scales for {columns} inputs, and its configuration says "
        f"{', '.join(map(str, sizes)) or 'nothing'} of the size of a group",
        hint="the config.json of the model must lie beside its weights",
    )
    return fitting.pop()


def signed(
    name: str,
    bits: int,
    codes: Integer[Tensor, "outputs inputs"],
    scale: Float[Tensor, "rows groups"],
    zero: Integer[Tensor, "outputs groups"] | None,
    group_size: int,
    group: Integer[Tensor, " inputs"] | None = None,
) -> QuantizedLayer:
    """Return the record of a layer whose unsigned `codes` and zero points have the middle of their range at zero.

    `group` names the group of each input; it is left out where groups are runs of `group_size`, and where it holds
    nothing but -1.
    """
    group = None if group is None or bool((group == -1).all()) else group
    _require_groups(name, codes.shape[1], scale.shape[1], group)
    runs = torch.arange(codes.shape[1]) // group_size
    middle = 2 ** (bits - 1)
    return QuantizedLayer(
        name=name,
        codes=codes.to(torch.int8) - middle if bits < 8 else (codes.to(torch.int16) - middle).to(torch.int8),
        scale=scale.contiguous(),
        levels=2**bits,
        group_size=group_size,
        axis=0,
        zero_point=None if zero is None else (zero.to(torch.int16) - middle).to(torch.int8).contiguous(),
        group=None if group is None or torch.equal(group.long(), runs) else group.to(torch.int32),
    )


def _require_groups(name: str, inputs: int, groups: int, group: Tensor | None) -> None:
    fits = group is None or (len(group) == inputs and int(group.min()) >= 0 and int(group.max()) < groups)
    require(fits, f"{name} is damaged: its index does not name one of {groups} groups for each of {inputs} inputs")
