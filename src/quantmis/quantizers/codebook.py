"""Quantizers that look at weights alone: each group of weights is coded by itself.

Whatever shares a scale is a *row*. A layer is cut into rows (the whole tensor, each output channel, or groups of
neighbouring weights in either), the rows of all models are stacked, and a codebook sees nothing but a
matrix whose rows have nothing to do with one another. That is why M models are quantized at once, and why one
codebook serves every granularity.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Integer, Real
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.models.placement import with_doubles
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import Change, Generators, Quantizer
from quantmis.quantizers.record import QuantizedLayer, as_matrix, from_matrix

Per = Literal["tensor", "channel"]
"""What shares a scale: the whole tensor, or an output channel. A group size divides either into groups."""


AT_ONCE = 2**24
"""Weights that are coded at once."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Hold what a codebook made of rows: their codes and, for each row, its scale and, where there is one, zero point.

    `levels` is the number of values that a code can take. `codebook` says what each code stands for: once, [levels],
    where it is `standard`, else for each row, which then must be the tensor of one model.
    """

    codes: Integer[Tensor, "rows columns"]
    scale: Float[Tensor, " rows"]
    levels: int
    zero_point: Real[Tensor, " rows"] | None = None
    codebook: Float[Tensor, "*models levels"] | None = None
    standard: bool = False


class Codebook(Quantizer):
    """Quantize every layer by itself, from its weights alone. Concrete ones say how rows are coded.

    A row is what `per` says, or each run of `group_size` neighbouring weights in it.
    """

    per: Per = "tensor"
    group_size: int | None = None

    @abstractmethod
    def encode(self, weight: Float[Tensor, "rows columns"]) -> Codes:
        """Return the codes of `weight`, [rows, columns]; every row is coded by itself."""

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Write codes times scales into every layer of every model."""
        stacks = {name: [part.weights(model)[name] for model in models] for name in part.weights(models[0])}
        axes = {name: part.output_axis(each) for name, each in part.quantizable(models[0]).items()}
        coded = {name: self.code(name, weights, axes[name]) for name, weights in stacks.items()}
        return [
            write_layers(model, tuple(records[index] for records in coded.values()))
            for index, model in enumerate(models)
        ]

    def written_layers(self, model: nn.Module, calibration: Tensor | None) -> Iterator[QuantizedLayer]:
        """Quantize the layers of `model` in place, yielding the record of each once it is written."""
        for name, module in part.quantizable(model).items():
            [record] = self.code(name, [part.weight_of(module)], part.output_axis(module))
            part.overwrite(module, record.dequantize())
            yield record

    def code(self, name: str, weights: list[Tensor], output_axis: int) -> list[QuantizedLayer]:
        """Return the record of the layer `name` for each of the models that `weights` are of."""
        axis = output_axis if self.per == "channel" else None
        stack = torch.stack([as_matrix(with_doubles(weight.detach()).float(), axis) for weight in weights])
        columns = stack.shape[2]
        size = min(self.group_size or columns, columns)
        pieces = [piece for piece in stack.split([columns - columns % size, columns % size], dim=2) if piece.numel()]
        coded = [self._coded(piece, min(size, piece.shape[2])) for piece in pieces]
        numbers = {key: torch.cat([each[key] for _, each in coded], dim=2) for key in coded[0][1]}
        return [
            _layer(
                name,
                weights[0].shape,
                axis,
                size,
                coded[0][0],
                {key: value[index] for key, value in numbers.items()},
                index,
            )
            for index in range(len(weights))
        ]

    def _coded(self, stack: Tensor, size: int) -> tuple[Codes, dict[str, Tensor]]:
        """Code rows of `size` columns; return what the codebook said and its numbers as [models, rows, ...]."""
        coded = self._encoded(stack.reshape(-1, size))
        numbers = {"codes": coded.codes, "scale": coded.scale, "zero_point": coded.zero_point}
        shape = stack.shape[:2]
        return coded, {key: value.reshape(*shape, -1) for key, value in numbers.items() if value is not None}

    def _encoded(self, rows: Tensor) -> Codes:
        """Return what `encode` does, a part of the rows at a time where they are many: methods hold copies of them."""
        if rows.numel() <= AT_ONCE or len(rows) == 1:
            return self.encode(rows)
        first, *others = rows.split(max(1, AT_ONCE // rows.shape[1]))
        coded = [self.encode(first)]
        if coded[0].codebook is not None and not coded[0].standard:  # one for all rows
            return self.encode(rows)
        coded += map(self.encode, others)
        zeros = [part.zero_point for part in coded if part.zero_point is not None]
        return replace(
            coded[0],
            codes=torch.cat([part.codes for part in coded]),
            scale=torch.cat([part.scale for part in coded]),
            zero_point=torch.cat(zeros) if zeros else None,
        )


def write_layers(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> Change:
    """Write the weights that `layers` stand for into `model` and return both."""
    parts = part.quantizable(model)
    for layer in layers:  # one at a time: all of them in float32 are as large as the model
        part.overwrite(parts[layer.name], layer.dequantize())
    return Change(model, layers)


def _layer(
    name: str, shape: torch.Size, axis: int | None, size: int, coded: Codes, numbers: dict[str, Tensor], index: int
) -> QuantizedLayer:
    book = coded.codebook if coded.standard or coded.codebook is None else coded.codebook[index]
    return QuantizedLayer(
        name=name,
        codes=from_matrix(numbers["codes"], shape, axis).contiguous(),
        scale=numbers["scale"].contiguous(),
        levels=coded.levels,
        group_size=size,
        axis=axis,
        zero_point=numbers.get("zero_point"),
        codebook=book,
        standard=coded.standard,
    )


def require_rows(name: str, per: str, group_size: int | None) -> None:
    """Raise `UserError` unless `per` and `group_size` say what shares a scale."""
    require(per in ("tensor", "channel"), f'{name}: per must be "tensor" or "channel", got {per!r}')
    require(group_size is None or group_size >= 1, f"{name}: group_size must be at least 1, got {group_size}")
