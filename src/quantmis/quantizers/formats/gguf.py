"""GGUF files, version 2 and 3 (ggml-org/ggml, docs/gguf.md): metadata, a list of tensors, then their bytes."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.gguf import FLOATS, KINDS, MAGIC, Described, head_of, require_part, unknown_type
from quantmis.quantizers.formats.ggml import LAYOUTS, decode
from quantmis.quantizers.formats.llama_cpp import is_unnamed, settings_of, translated
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import gguf_parts

__all__ = ["KINDS", "MAGIC", "Contents", "contents"]

NUMBERS = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8"), "BF16": np.dtype("<u2")}
"""How plain numbers are kept; bfloat16 is the upper half of a float."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Hold the layers and other tensors of a file, and what it says of a language model's computation.

    `words`: the metadata of a file whose tensors the model that they are for has yet to name, empty for others.
    """

    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor]
    settings: Mapping[str, float] = field(default_factory=dict[str, float])
    words: Mapping[str, object] = field(default_factory=dict[str, object])


def contents(path: Path) -> Contents:
    """Return the quantized layers and the other tensors of a GGUF file; `UserError` where it is damaged.

    Those of language models as llama.cpp writes them are named and ordered as in transformers. Of a model in parts,
    `path` is the first.
    """
    files = gguf_parts(path)
    layers: list[QuantizedLayer] = []
    others: dict[str, Tensor] = {}
    words: dict[str, object] = {}
    for number, file in enumerate(files):
        metadata = _into(file, number, len(files), layers, others)
        words = words or metadata
    names = [*(f"{layer.name}.weight" for layer in layers), *others]
    require(len(set(names)) == len(names), f"{path}: two parts hold a tensor of one name")
    return _translated(path, tuple(layers), others, words)


def _into(
    path: Path, number: int, count: int, layers: list[QuantizedLayer], others: dict[str, Tensor]
) -> dict[str, object]:
    """Read a file, part `number` of `count`, into layers and other tensors; return its metadata."""
    try:
        data = memoryview(content_of(path))
        head = head_of(data)
        require_part(path, head.words, number, count)
        for each in head.tensors:
            at = data[each.begin :] if each.begin <= len(data) else data[:0]
            if each.kind in KINDS:
                layers.append(_layer(each, at))
            else:
                others[each.name] = _floats(each, at)
    except UserError as error:
        raise UserError(f"{path}: {error}", hint=error.hint) from error
    except (struct.error, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return dict(head.words)


def _translated(
    path: Path, layers: tuple[QuantizedLayer, ...], others: dict[str, Tensor], metadata: dict[str, object]
) -> Contents:
    try:
        words = metadata if is_unnamed(layers, others, metadata) else {}
        return Contents(*translated(layers, others, metadata), settings_of(metadata), words)
    except UserError as error:
        raise UserError(f"{path}: {error}", hint=error.hint) from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _layer(tensor: Described, data: memoryview) -> QuantizedLayer:
    name, shape, kind = tensor.name, torch.Size(tensor.shape), KINDS[tensor.kind]
    layout = LAYOUTS[kind]
    require(shape[-1] % layout.weights == 0, f"{name}: rows of {shape[-1]} do not divide into blocks of {kind}")
    size = shape.numel() // layout.weights * layout.size
    require(len(data) >= size, f"{name} ends before its {size} bytes")
    encoded = np.frombuffer(data[:size], np.uint8).reshape(shape.numel() // shape[-1], -1)
    return decode(name.removesuffix(".weight"), encoded, kind, shape)


def _floats(tensor: Described, data: memoryview) -> Tensor:
    if tensor.kind not in FLOATS:
        raise unknown_type(tensor.name, tensor.kind)
    kind = FLOATS[tensor.kind]
    size = prod(tensor.shape) * NUMBERS[kind].itemsize
    require(len(data) >= size, f"{tensor.name} ends before its {size} bytes")
    values = np.frombuffer(data[:size], NUMBERS[kind]).reshape(tensor.shape)
    if kind == "BF16":
        return torch.from_numpy((values.astype(np.uint32) << 16).view(np.float32))
    return torch.from_numpy(values.astype(np.float32))
