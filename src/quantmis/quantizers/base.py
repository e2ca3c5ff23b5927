"""What every quantizer is: models in, small integers and the models that compute with them out.

A quantizer replaces the weights of Linear, convolution and Embedding layers and leaves biases, norms and everything
else alone. `quantize` and `quantize_many` are the only ways in: they copy the models, check what was given, let the
method do its work in `apply`, and check what it did (`checked`), so that no method, ours or a third party's, can
leave a model as it was and have it audited as quantized.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.models.weights import raw_bytes
from quantmis.quantizers import layers as part
from quantmis.quantizers.record import QuantizedLayer
from quantmis.registry import Registry

Calibration = Tensor | Sequence[Tensor] | None
Generators = Sequence[torch.Generator] | None


@dataclass(frozen=True, eq=False)
class Quantized:
    """Hold what a quantizer made of a model.

    `model` computes with the quantized weights. `bits_per_weight` counts the scales; `nominal_bits` does not;
    `entropy_bits` is what the codes take under the best code for their frequencies. `sparsity` is the fraction of the
    quantized weights that are zero. All are over the `weights` that were quantized. `fingerprint` is equal exactly for
    equal codes, scales and untouched parameters. `untouched` names what was left alone; `others` holds every parameter
    and buffer of the model that is no quantized weight, by its name in the model's state.
    """

    model: nn.Module
    layers: tuple[QuantizedLayer, ...]
    untouched: tuple[str, ...]
    weights: int
    bits_per_weight: float
    nominal_bits: float
    entropy_bits: float
    sparsity: float
    fingerprint: str
    others: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Change(NamedTuple):
    """Hold what a method did: the model that computes with the new weights, and the record of its layers."""

    model: nn.Module
    layers: tuple[QuantizedLayer, ...]


class Quantizer(ABC):
    """Quantize models. A concrete quantizer is a frozen dataclass of its parameters; `name` is what users write.

    `has_codes` is false for the controls, which change no weights or not to integers. `extra` names what to install
    (`pip install quantmis[extra]`) and `library` what is then imported; both are None for a method of ours.
    `levels_per_weight` says how many values a weight can take, for people.
    """

    name: ClassVar[str]
    needs_calibration: ClassVar[bool] = False
    needs_generator: ClassVar[bool] = False
    has_codes: ClassVar[bool] = True
    extra: ClassVar[str | None] = None
    library: ClassVar[str | None] = None
    levels_per_weight: ClassVar[str] = ""

    @abstractmethod
    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize `models`, copies of one architecture that may be changed in place.

        `calibration` holds the inputs of each model, [samples, ...], and `generators` a stream of randomness for each.
        What becomes of one model must not depend on the others.
        """

    def quantize(
        self, model: nn.Module, calibration: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Quantized:
        """Return the quantized copy of `model`, which itself stays as it is.

        `calibration` holds inputs, [samples, ...], for the methods that look at data; `generator` is the randomness of
        those that draw. Raises `UserError` where there is nothing to quantize, or something needed is missing.
        """
        return self.quantize_many([model], calibration, None if generator is None else [generator])[0]

    def quantize_many(
        self, models: Sequence[nn.Module], calibration: Calibration = None, generators: Generators = None
    ) -> list[Quantized]:
        """Return the quantized copies of `models` of one architecture, the same as one by one but all at once.

        `calibration` is one tensor of inputs for all or one for each; `generators` has one for each.
        """
        from quantmis.quantizers.checked import checked, require_inputs

        inputs = [calibration] * len(models) if isinstance(calibration, Tensor) else calibration
        require_inputs(self, models, inputs, generators)
        copies = [copy.deepcopy(model) for model in models]
        changes = self.apply(copies, None if inputs is None else list(inputs), generators)
        return [checked(self, model, change) for model, change in zip(models, changes, strict=True)]


QUANTIZERS: Registry[Quantizer] = Registry("quantizer", group="quantmis.quantizers")


def needs_calibration(quantizer: Quantizer) -> bool:
    """Say whether a quantizer, or one that it wraps, looks at data."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.needs_calibration or any(needs_calibration(each) for each in wrapped)


def needs_generator(quantizer: Quantizer) -> bool:
    """Say whether a quantizer, or one that it wraps, draws at random."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.needs_generator or any(needs_generator(each) for each in wrapped)


def installed(kind: type[Quantizer]) -> bool:
    """Say whether the library that a quantizer adapts is there; a method of ours always is."""
    return importable(kind.library)


def importable(library: str | None) -> bool:
    """Say whether a library can be imported; None stands for needing none."""
    return library is None or find_spec(library) is not None


def record(quantizer: Quantizer, before: nn.Module, change: Change) -> Quantized:
    """Return the record of what `quantizer` made of the model `before`."""
    done = change.layers
    originals = list(part.weights(before).values()) or list(before.parameters())
    count = sum(layer.codes.numel() for layer in done) or sum(weight.numel() for weight in originals)
    zeros = [layer.dequantize() for layer in done] or list(part.weights(change.model).values()) or originals
    own = sum(8.0 * weight.nbytes for weight in originals)
    return Quantized(
        model=change.model,
        layers=done,
        untouched=part.untouched(before, {layer.name for layer in done}) if quantizer.has_codes else (),
        weights=count,
        bits_per_weight=(sum(layer.bits for layer in done) if done else own) / count,
        nominal_bits=(sum(layer.nominal_bits for layer in done) if done else own) / count,
        entropy_bits=(sum(layer.entropy_bits for layer in done) if done else own) / count,
        sparsity=sum(int((weight == 0).sum()) for weight in zeros) / count,
        fingerprint=fingerprint(before if done else change.model, done),
        others=_others(before, change),
    )


def _others(before: nn.Module, change: Change) -> dict[str, Tensor]:
    """Return what is no quantized weight, as the changed model holds it; a weight that layers share is left out."""
    after = change.model.state_dict()
    state = {name: value for name, value in before.state_dict().items() if isinstance(value, Tensor)}
    coded = {part.key_in(state, layer.name) for layer in change.layers}
    shared = {value.data_ptr() for name, value in state.items() if name in coded}
    rest = {name: value for name, value in state.items() if name not in coded and value.data_ptr() not in shared}
    return {name: _same(after.get(name), value) for name, value in rest.items()}


def _same(found: object, value: Tensor) -> Tensor:
    plain = type(found) is Tensor and found.shape == value.shape and found.dtype == value.dtype
    return found if plain and isinstance(found, Tensor) else value


def fingerprint(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> str:
    """Return the SHA-256 over codes and scales of `layers` and over every parameter and buffer outside them."""
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(layer.digest())
    coded = {part.weight_key(layer.name) for layer in layers}
    for name, value in model.state_dict().items():
        if name not in coded and isinstance(value, Tensor):
            digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(raw_bytes(value))
    return digest.hexdigest()


def require_range(name: str, parameter: str, value: float, low: float, high: float) -> None:
    """Raise `UserError` unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise UserError(f"{name}: {parameter} must lie between {low} and {high}, got {value}")


def require_word(name: str, parameter: str, value: str, known: Sequence[str]) -> None:
    """Raise `UserError` unless `value` is one of the words `known`."""
    require(value in known, f"{name}: {parameter} must be one of {', '.join(map(repr, known))}, got {value!r}")
