"""Calibrated methods that take one layer at a time: GPTQ, OBQ, AdaRound.

They share everything but the way to choose the codes. Levels are fitted to the weights first and stay. Layers are
taken in the order in which the model calls them, and each sees the inputs that the layers before it, already
quantized, produce. An Embedding, and a layer that the calibration never reaches, is rounded to the nearest level.

The layers of all models are stacked: what is solved is a batch [problems, rows, columns], one problem per model and
group of a convolution, in double precision, so that the company a model is in does not show in its codes.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from quantmis.models.placement import in_double
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import Change, Generators
from quantmis.quantizers.calibrated import Calibrated
from quantmis.quantizers.moments import steps
from quantmis.quantizers.record import QuantizedLayer, as_matrix, from_matrix


@dataclass(frozen=True, eq=False)
class Grid:
    """Hold the levels of a batch of problems: code c from `low` to `high` stands for (c - zero) * scale."""

    scale: Float[Tensor, "*rows columns"]
    zero: Float[Tensor, "*rows columns"]
    low: int
    high: int

    def codes(self, weight: Tensor, at: slice | Tensor | int = slice(None)) -> Tensor:
        """Return the codes nearest to `weight`, the columns `at` of the problems."""
        return (weight / self.scale[..., at] + self.zero[..., at]).round().clamp(self.low, self.high)

    def values(self, codes: Tensor, at: slice | Tensor | int = slice(None)) -> Tensor:
        """Return what `codes` of the columns `at` stand for."""
        return (codes - self.zero[..., at]) * self.scale[..., at]

    def permuted(self, order: Tensor) -> "Grid":
        """Return the grid with its columns in `order`, [problems, columns]."""
        return replace(self, scale=reordered(self.scale, order), zero=reordered(self.zero, order))


class Layerwise(Calibrated):
    """Quantize a layer at a time, each given the inputs that the quantized layers before it produce."""

    @abstractmethod
    def solve(
        self,
        weight: Float[Tensor, "problems rows columns"],
        hessian: Float[Tensor, "problems columns columns"],
        grid: Grid,
    ) -> Float[Tensor, "problems rows columns"]:
        """Return the codes, whole numbers; problems, and rows of a problem, have nothing to do with one another."""

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize the layers of all models, in the order of their calls."""
        records: dict[str, list[QuantizedLayer]] = {}
        for name, layers in self._coded(models, calibration or []):
            records[name] = layers
        order = list(part.quantizable(models[0]))
        return [Change(model, tuple(records[name][k] for name in order)) for k, model in enumerate(models)]

    def written_layers(self, model: nn.Module, calibration: Tensor | None) -> Iterator[QuantizedLayer]:
        """Quantize the layers of `model` in place, yielding the record of each once it is written."""
        for _, [layer] in self._coded([model], [] if calibration is None else [calibration]):
            yield layer

    def _coded(self, models: list[nn.Module], inputs: list[Tensor]) -> Iterator[tuple[str, list[QuantizedLayer]]]:
        """Yield each layer of all models, written into them, in the order of their calls."""
        for each in zip(*(steps(model, own) for model, own in zip(models, inputs, strict=True)), strict=True):
            for name in each[0].names:
                layers = self._layer(models, name, [step.hessian for step in each if step.hessian is not None])
                for model, layer in zip(models, layers, strict=True):
                    part.write(model, {name: layer.dequantize()})
                yield name, layers

    def _layer(self, models: list[nn.Module], name: str, moments: list[Tensor]) -> list[QuantizedLayer]:
        axis = part.output_axis(part.quantizable(models[0])[name])
        weights = [part.weights(model)[name].detach() for model in models]
        nearest = self.levels().code(name, weights, axis)
        if not moments:
            return nearest
        stack = in_double(torch.stack([as_matrix(weight, axis) for weight in weights]))
        hessians, shape = torch.stack(moments), stack.shape
        groups = hessians.shape[1]
        problems = stack.unflatten(1, (groups, -1)).flatten(0, 1)
        codes = self.solve(problems, hessians.flatten(0, 1), grid_of(nearest, axis, groups, self.levels().ends))
        matrices = codes.reshape(shape).to(torch.int8)
        return [
            replace(layer, codes=from_matrix(matrix, layer.shape, axis).contiguous())
            for layer, matrix in zip(nearest, matrices, strict=True)
        ]


def grid_of(layers: list[QuantizedLayer], axis: int, groups: int, ends: tuple[int, int]) -> Grid:
    """Return the levels of recorded layers, one per model, as a batch of problems of `groups` each."""

    def batch(parts: list[Tensor]) -> Tensor:
        whole = [in_double(_per_weight(layer, value, axis)) for layer, value in zip(layers, parts, strict=True)]
        return torch.stack(whole).unflatten(1, (groups, -1)).flatten(0, 1)

    zeros = [torch.zeros_like(layer.scale) if layer.zero_point is None else layer.zero_point for layer in layers]
    return Grid(batch([layer.scale for layer in layers]), batch(zeros), *ends)


def _per_weight(layer: QuantizedLayer, value: Tensor, axis: int) -> Tensor:
    """Return one entry of `value` per weight, as the matrix whose rows are output channels."""
    own = layer.spread(value).expand(layer.matrix().shape)
    return as_matrix(from_matrix(own, layer.shape, layer.axis), axis)


def reordered(values: Tensor, order: Tensor) -> Tensor:
    """Return the columns of `values`, [problems, rows, columns], in `order`, [problems, columns]."""
    return values.gather(2, order[:, None, :].expand(values.shape))


def damped(hessian: Tensor, damping: float) -> Tensor:
    """Return `hessian` with a share of its mean diagonal added to the diagonal, so that it can be inverted.

    A column that is always zero gets a diagonal of one: it costs nothing, and rounds to the nearest level.
    """
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    own = torch.where(diagonal == 0, torch.ones_like(diagonal) - diagonal, torch.zeros_like(diagonal))
    filled = hessian + torch.diag_embed(own)
    mean = filled.diagonal(dim1=1, dim2=2).mean(1)
    return filled + damping * mean[:, None, None] * torch.eye(hessian.shape[1]).to(hessian)
