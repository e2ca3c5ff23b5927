"""What safetensors checkpoints of integer weights have in common: codes of a few bits, packed into 32-bit words."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer

Layers = tuple[QuantizedLayer, ...]


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


def unpacked(words: Int[Tensor, "rows words"], bits: int, columns: int) -> Int[Tensor, "rows columns"]:
    """Return the unsigned codes of each row, the lowest bits of a word first; a code may go on in the next word.

    >>> unpacked(torch.tensor([[0x21]], dtype=torch.int32), 4, 2).tolist()
    [[1, 2]]
    """
    width = bits if 32 % bits == 0 else 1
    shifts = torch.arange(0, 32, width, device=words.device)
    parts = ((words.long()[:, :, None] >> shifts) & (2**width - 1)).flatten(1)
    if width == bits:
        return parts[:, :columns]
    single = parts[:, : parts.shape[1] // bits * bits].unflatten(1, (-1, bits))
    return (single << torch.arange(bits, device=words.device)).sum(2)[:, :columns]


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
    codes: Int[Tensor, "outputs inputs"],
    scale: Float[Tensor, "rows groups"],
    zero: Int[Tensor, "outputs groups"] | None,
    group_size: int,
    group: Int[Tensor, " inputs"] | None = None,
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
        codes=(codes - middle).to(torch.int8),
        scale=scale.contiguous(),
        levels=2**bits,
        group_size=group_size,
        axis=0,
        zero_point=None if zero is None else (zero - middle).to(torch.int8).contiguous(),
        group=None if group is None or torch.equal(group.long(), runs) else group.to(torch.int32),
    )


def _require_groups(name: str, inputs: int, groups: int, group: Tensor | None) -> None:
    fits = group is None or (len(group) == inputs and int(group.min()) >= 0 and int(group.max()) < groups)
    require(fits, f"{name} is damaged: its index does not name one of {groups} groups for each of {inputs} inputs")
