"""Codes before they are whole numbers: weights in units of the levels of a record, and back."""

from dataclasses import replace

import torch
from torch import Tensor

from quantmis.quantizers.record import QuantizedLayer, as_matrix, from_matrix


def steps_of(layer: QuantizedLayer, weight: Tensor) -> Tensor:
    """Return the weights in units of codes, [rows, columns]."""
    zero = 0 if layer.zero_point is None else layer.spread(layer.zero_point)
    return as_matrix(weight.float(), layer.axis) / layer.spread(layer.scale) + zero


def clamped(layer: QuantizedLayer, codes: Tensor) -> Tensor:
    """Return codes brought within the levels of a record."""
    return codes.clamp(-(layer.levels // 2), (layer.levels - 1) // 2)


def values_of(layers: list[QuantizedLayer], codes: Tensor) -> Tensor:
    """Return the weights that `codes` of each model, whole or not, stand for; gradients pass through."""
    shape, axis = layers[0].shape, layers[0].axis
    matrices = [
        (clamped(layer, own) - (0 if layer.zero_point is None else layer.spread(layer.zero_point)))
        * layer.spread(layer.scale)
        for layer, own in zip(layers, codes, strict=True)
    ]
    return torch.stack([from_matrix(each, shape, axis) for each in matrices])


def recorded(layer: QuantizedLayer, codes: Tensor) -> QuantizedLayer:
    """Return the record of a layer with other `codes` [rows, columns], whole numbers, brought within its levels."""
    whole = clamped(layer, codes).to(torch.int8)
    return replace(layer, codes=from_matrix(whole, layer.shape, layer.axis).contiguous())
