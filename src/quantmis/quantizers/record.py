"""What every quantizer leaves behind: per layer, small integers and the numbers that turn them into weights.

A weight is `(code - zero_point) * scale + offset`, or `codebook[code] * scale + offset`. Scales belong to groups of
`group_size` neighbouring weights. To find the groups, read the weight as a matrix: `axis` says which of its dimensions
makes the rows (that of the output channels), and with `axis=None` the whole tensor is a single row. One scale per
tensor, per channel, per group and per block of the flattened tensor are then the same thing.

Two quantized layers are the same exactly when these integers and numbers are: that is what `digest` hashes. Equality
of the dequantized weights would not do, because rounding makes several floats of one code.
"""

import hashlib
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Integer, Real
from torch import Tensor

from quantmis.errors import require
from quantmis.models.weights import raw_bytes

PARTS = ("codes", "scale", "zero_point", "offset", "codebook", "group")
"""The tensors of a record, in the order of its digest."""

BINS = 384
"""Of codes of int8 and of uint8, with 128 added: no sort."""

AT_ONCE = 2**22
"""Codes that are counted at once."""


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """Hold the weights of one layer as `codes` (int8 or uint8), of the shape of the weight.

    `levels` is the number of values that a code can take. `scale`, and `zero_point` and `offset` where a format has
    them, are [rows, groups]. `codebook` holds what each code stands for; a `standard` one belongs to the format, is
    known to every reader and takes no bits. `group` names the group of each column of `matrix()` where groups are not
    neighbours (act-order). `scale_bits` is what scales and offsets take in a format that keeps them quantized
    themselves, in bits; they are multiplied out here.

    >>> layer = QuantizedLayer("fc", torch.tensor([[-2, 1]], dtype=torch.int8), torch.tensor([[0.5]]), 4, group_size=2)
    >>> layer.dequantize().tolist(), layer.bits
    ([[-1.0, 0.5]], 36.0)
    """

    name: str
    codes: Integer[Tensor, "*shape"]
    scale: Float[Tensor, "rows groups"]
    levels: int
    group_size: int
    axis: int | None = None
    zero_point: Real[Tensor, "rows groups"] | None = None
    offset: Float[Tensor, "rows groups"] | None = None
    codebook: Float[Tensor, " levels"] | None = None
    standard: bool = False
    group: Integer[Tensor, " columns"] | None = None
    scale_bits: float | None = None

    @property
    def shape(self) -> torch.Size:
        """The shape of the weight."""
        return self.codes.shape

    @property
    def nominal_bits(self) -> float:
        """Bits of the codes alone: log2(levels) per weight."""
        return self.codes.numel() * torch.tensor(float(self.levels), dtype=torch.float64).log2().item()

    @property
    def bits(self) -> float:
        """Bits of the codes and of all that is needed to read them: scales, zero points, offsets, a codebook."""
        scales = [self.scale, self.offset] if self.scale_bits is None else []
        counted = [*scales, self.zero_point, self.group, None if self.standard else self.codebook]
        return (
            self.nominal_bits + (self.scale_bits or 0) + sum(8.0 * part.nbytes for part in counted if part is not None)
        )

    @property
    def entropy_bits(self) -> float:
        """Bits of the codes under the best code for their frequencies: what an archiver could get them down to."""
        share = self._counts().double() / self.codes.numel()
        return -self.codes.numel() * float((share * share.log2()).sum())

    @property
    def levels_used(self) -> int:
        """The number of different codes that occur."""
        return len(self._counts())

    def matrix(self) -> Integer[Tensor, "rows columns"]:
        """Return the codes as the matrix whose rows the groups divide."""
        return as_matrix(self.codes, self.axis)

    def spread(self, part: Real[Tensor, "rows groups"]) -> Real[Tensor, "rows columns"]:
        """Return one entry of `part` per weight of `matrix()`, in a shape that broadcasts against it."""
        if self.group is not None:
            return part[:, self.group.long()]
        columns = self.matrix().shape[1]
        return part if part.shape[1] == 1 else part.repeat_interleave(self.group_size, dim=1)[:, :columns]

    def dequantize(self) -> Float[Tensor, "*shape"]:
        """Return the weights that the codes stand for, in float32."""
        codes = self.matrix()
        values = codes.float() if self.codebook is None else self.codebook.float()[codes.int()]
        if self.zero_point is not None:
            values -= self.spread(self.zero_point).float()
        values *= self.spread(self.scale).float()  # in place: all of these are new, and as large as the layer
        if self.offset is not None:
            values += self.spread(self.offset).float()
        return from_matrix(values, self.shape, self.axis)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the record by name; a part that the format does not have is absent."""
        parts = {part: getattr(self, part) for part in PARTS}
        return {part: value.detach().cpu().contiguous() for part, value in parts.items() if value is not None}

    def digest(self) -> bytes:
        """Return the SHA-256 over name, shapes, codes, scales, zero points, offsets and codebook."""
        digest = hashlib.sha256(repr((self.name, self.levels, self.group_size, self.axis)).encode())
        for part, value in self.tensors().items():
            digest.update(f"{part}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(raw_bytes(value))
        return digest.digest()

    def _counts(self) -> Tensor:
        parts = self.codes.flatten().split(AT_ONCE)  # as whole numbers they take four times the memory
        counts = torch.stack([torch.bincount(part.int() + 128, minlength=BINS) for part in parts]).sum(0)
        return counts[counts > 0]


def transposed(layer: QuantizedLayer) -> QuantizedLayer:
    """Return the record of the transposed weight; `UserError` where its scales belong to blocks of the flat weight."""
    one = layer.axis is None
    require(
        layer.codes.ndim == 2 and not (one and layer.scale.numel() > 1),
        f"{layer.name}: blocks of the flat weight cannot be transposed",
    )
    return replace(layer, codes=layer.codes.T.contiguous(), axis=None if layer.axis is None else 1 - layer.axis)


def as_matrix(weight: Tensor, axis: int | None) -> Tensor:
    """Return `weight` as [rows, columns] with `axis` as its rows, or as one row for `axis=None`."""
    return weight.reshape(1, -1) if axis is None else weight.movedim(axis, 0).flatten(1)


def from_matrix(matrix: Tensor, shape: torch.Size, axis: int | None) -> Tensor:
    """Return `matrix` in the `shape` of the weight that `as_matrix` made it of."""
    if axis is None:
        return matrix.reshape(shape)
    moved = [shape[axis], *(size for dimension, size in enumerate(shape) if dimension != axis)]
    return matrix.reshape(moved).movedim(0, axis)
