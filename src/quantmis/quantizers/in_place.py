"""A version of a model made in the model itself, and undone: nothing of it is held twice.

`Quantizer.quantize` copies a model and keeps the codes of all of its layers. Of a model that fills the memory there can
be no copy. Here a method that takes one layer at a time writes each into the model; its record is counted and hashed
and forgotten, and the weights that were there are read back from a file.
"""

import copy
import tempfile
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import Quantizer, method_of
from quantmis.quantizers.checked import require_inputs, require_written
from quantmis.quantizers.identity import Identity
from quantmis.quantizers.quantized import Account, Method, Quantized, plain
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.supervision import Supervision


class _Place(NamedTuple):
    """Say where a tensor of a module stands."""

    of: Any
    name: str
    value: Tensor


class Originals:
    """Hold the numbers of a module in a file without a name, in `folder` or where temporary files are, to put back.

    What is put back is the very tensors, with their bytes, wherever the module had them.
    """

    def __init__(self, module: nn.Module, folder: Path | None = None):
        self._places = [
            _Place(own, name, value)
            for each in module.modules()
            for own in (each._parameters, each._buffers)  # pyright: ignore[reportPrivateUsage]
            for name, value in own.items()
            if value is not None
        ]
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 it lives as long as the model
        weakref.finalize(self, self._file.close)
        for value in self._distinct():
            self._file.write(_bytes_of(value.detach().contiguous()))

    def put_back(self) -> None:
        """Give the module the tensors that it had, with the numbers that they had."""
        for place in self._places:
            place.of[place.name] = place.value
        self._file.seek(0)
        for value in self._distinct():
            _read_into(value, self._file)

    def _distinct(self) -> list[Tensor]:
        return list({id(place.value): place.value for place in self._places}.values())


def _bytes_of(value: Tensor) -> Any:
    """Return the memory of a tensor without gaps, as bytes."""
    return value.cpu().reshape(-1).view(torch.uint8).numpy()


def _read_into(value: Tensor, file: Any) -> None:
    """Read the bytes of a tensor of any strides from a file into it."""
    own = value.detach()
    plain = own.is_contiguous() and own.device.type == "cpu"
    whole = own if plain else torch.empty(own.shape, dtype=own.dtype)
    count = file.readinto(_bytes_of(whole))
    assert count == own.nbytes  # noqa: S101 the file is ours and has no name
    if whole is not own:
        own.copy_(whole)


def works_in_place(quantizer: Quantizer) -> bool:
    """Say whether a method takes one layer at a time."""
    return type(quantizer).written_layers is not Quantizer.written_layers


@contextmanager
def quantized_in_place(
    quantizer: Quantizer,
    module: nn.Module,
    originals: Originals,
    calibration: Tensor | Supervision | None = None,
    generator: torch.Generator | None = None,
) -> Generator[Quantized]:
    """Let `module` be its own quantized version for a while; `originals` are its numbers.

    What is given says what `Quantizer.quantize` says of the version, without the codes of its layers. A method that
    does not take one layer at a time works on a copy, as ever. Raises `UserError` as `Quantizer.quantize` does.
    """
    if isinstance(quantizer, Identity):
        yield plain(method_of(quantizer), module)
        return
    inputs = calibration.inputs if isinstance(calibration, Supervision) else calibration
    written = quantizer.written_layers(module, inputs)
    if written is None:
        yield quantizer.quantize(_on_processor(module), calibration, generator)
        return
    method = method_of(quantizer)
    require_inputs(method, [module], None if calibration is None else [calibration], None)
    try:
        yield _counted(method, module, written)
    finally:
        originals.put_back()


def _on_processor(module: nn.Module) -> nn.Module:
    """Return a module, or a copy of one on another device, where methods that work on a copy can be sure of theirs."""
    away = any(value.device.type != "cpu" for value in module.parameters())
    return copy.deepcopy(module).cpu() if away else module


def _counted(method: Method, module: nn.Module, written: Iterator[QuantizedLayer]) -> Quantized:
    weights, account = part.weights(module), Account()
    for layer in written:
        require_written(method.name, layer, weights[layer.name].shape, weights[layer.name])
        account.add(layer)
    return account.of(method, module, weights)
