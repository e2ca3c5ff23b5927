"""Decoders of onnxruntime-genai by the names of transformers, their queries, keys and values taken apart."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.genai import Decoder, decoder_of
from quantmis.quantizers.formats import onnx
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer


def contents(path: Path) -> tuple[Layers, dict[str, Tensor], bool, Mapping[str, float]]:
    """Return what `onnx.contents` does of a decoder, and what must be so in the model's configuration.

    Raises `UserError` for a type of model that is not read.
    """
    decoder = decoder_of(path)
    layers, others, rounds = onnx.contents(path)
    apart = tuple(part for layer in layers for part in _layers(layer, decoder))
    tensors = {name: part for key, value in others.items() for name, part in _tensors(key, value, decoder)}
    return apart, tensors, rounds, decoder.settings


def _layers(layer: QuantizedLayer, decoder: Decoder) -> list[QuantizedLayer]:
    """Return a layer, or the three whose rows it joins."""
    names = decoder.names(layer.name)
    if len(names) == 1:
        return [replace(layer, name=names[0])]
    _require_rows(layer.name, len(layer.codes), decoder)
    zeros = [None] * 3 if layer.zero_point is None else layer.zero_point.split(decoder.rows)
    pieces = zip(names, layer.codes.split(decoder.rows), layer.scale.split(decoder.rows), zeros, strict=True)
    return [
        replace(
            layer,
            name=name,
            codes=codes.contiguous(),
            scale=scale.contiguous(),
            zero_point=None if zero is None else zero.contiguous(),
        )
        for name, codes, scale, zero in pieces
    ]


def _tensors(name: str, value: Tensor, decoder: Decoder) -> list[tuple[str, Tensor]]:
    names = decoder.names(name)
    if len(names) == 1:
        return [(names[0], value)]
    _require_rows(name, len(value), decoder)
    return list(zip(names, value.split(decoder.rows), strict=True))


def _require_rows(name: str, rows: int, decoder: Decoder) -> None:
    require(rows == sum(decoder.rows), f"{name} has {rows} rows, and heads that take {sum(decoder.rows)}")
