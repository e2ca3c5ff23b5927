"""The record of a quantized model in a file: safetensors, with what is not a tensor as JSON in its header.

Nothing in such a file is executed when it is read. Codes take a byte each, whatever their bits: safetensors has no
smaller number format. The header holds the digest of every layer, so that a damaged file is noticed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import opened
from quantmis.quantizers.quantized import Quantized
from quantmis.quantizers.record import PARTS, QuantizedLayer
from quantmis.tensor_files import START, head_of, looks_like_pickle, strict_json

FORMAT = "quantmis.layers/1"
OTHER = "other."
"""What the names of the tensors of a model that are no codes begin with."""


def save(quantized: Quantized | Sequence[QuantizedLayer], path: str | Path) -> None:
    """Write a quantized model to `path`, as safetensors: its layers, and every other number of it as it is.

    A sequence of layers is written alone; such a file is no whole model. Raises `UserError` for a model that computes
    in another way than with the weights of its layers and plain numbers (a library's own layers), and for a path that
    cannot be written.

    >>> import tempfile
    >>> from torch import nn
    >>> from quantmis.quantizers import Sign
    >>> quantized = Sign().quantize(nn.Linear(4, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(quantized, Path(folder) / "sign.safetensors")
    ...     [layer.digest() for layer in load(Path(folder) / "sign.safetensors")] == [quantized.layers[0].digest()]
    True
    """
    layers = quantized.layers if isinstance(quantized, Quantized) else quantized
    tensors = {f"{index}.{part}": value for index, each in enumerate(layers) for part, value in each.tensors().items()}
    header = {"format": FORMAT, "layers": json.dumps([_described(layer) for layer in layers])}
    if isinstance(quantized, Quantized):
        others = quantized.others
        header |= {"whole": "yes"}
        tensors |= {f"{OTHER}{name}": value.detach().cpu().clone().contiguous() for name, value in others.items()}
    try:
        save_file(tensors, path, metadata=header)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {path}: {error}", hint="name a file in a folder that exists") from error


def load(path: str | Path) -> tuple[QuantizedLayer, ...]:
    """Return the layers that `save` wrote; `UserError` for a file that is damaged, a pickle, or of another format.

    `restore` puts them, and the other numbers of the file, into a model of the architecture.
    """
    return recorded(path, *read_safetensors(path))[0]


def recorded(
    path: str | Path, header: dict[str, str], tensors: dict[str, Tensor]
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor] | None]:
    """Return the layers and the other tensors of a record, None for those where it holds layers alone."""
    require(
        header.get("format") == FORMAT,
        f"{path} is no record of quantized layers: expected format {FORMAT!r}, got {header.get('format')!r}",
    )
    try:
        layers = tuple(
            _layer(index, words, tensors)
            for index, words in enumerate(strict_json(header["layers"].encode(), "layers"))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: its header does not fit its tensors ({error})") from error
    others = {name.removeprefix(OTHER): value for name, value in tensors.items() if name.startswith(OTHER)}
    return layers, others if "whole" in header else None


def read_safetensors(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the header and the tensors of a safetensors file; `UserError` where it is none, or damaged."""
    refuse_pickle(path)
    words = dict(head_of(Path(path)).words)
    try:
        with safe_open(path, framework="pt") as file:
            return words, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is no safetensors file, or is damaged: {error}") from error


def refuse_pickle(path: str | Path) -> None:
    """Raise `UserError` for a file that is missing, or that torch.load would unpickle."""
    require(Path(path).exists(), f"there is no file {path}")
    with opened(Path(path)) as file:
        start = file.read(START)
    require(
        not looks_like_pickle(start) and not start.startswith(b"PK\x03\x04"),
        f"{path} is a pickle, which can run any program when it is read",
        hint="save the weights as safetensors",
    )


def _described(layer: QuantizedLayer) -> dict[str, Any]:
    words = ("name", "levels", "group_size", "axis", "standard", "scale_bits")
    return {**{word: getattr(layer, word) for word in words}, "digest": layer.digest().hex()}


def _layer(index: int, words: dict[str, Any], tensors: dict[str, Tensor]) -> QuantizedLayer:
    digest = words.pop("digest")
    parts: dict[str, Any] = {part: tensors[f"{index}.{part}"] for part in PARTS if f"{index}.{part}" in tensors}
    layer = QuantizedLayer(**{**words, **parts})
    if layer.digest().hex() != digest:
        raise ValueError(f"the digest of {layer.name} differs")
    return layer
