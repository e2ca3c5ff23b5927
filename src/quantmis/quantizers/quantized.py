"""What a quantizer made of a model, and the record of it: codes, sizes in bits, a fingerprint, what was left alone."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from torch import Tensor, nn

from quantmis.models.weights import raw_bytes
from quantmis.quantizers import layers as part
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import entry


@dataclass(frozen=True, eq=False)
class Quantized:
    """Hold what a quantizer made of a model.

    `model` computes with the quantized weights. `bits_per_weight` counts the scales; `nominal_bits` does not;
    `entropy_bits` is what the codes take under the best code for their frequencies. `sparsity` is the fraction of the
    quantized weights that are zero. All are over the `weights` that were quantized. `fingerprint` is equal exactly for
    equal codes, scales and untouched parameters. `untouched` names what was left alone; `others` holds every parameter
    and buffer of the model that is no quantized weight, by its name in the model's state. `rounds_activations`: whether
    the model computes with rounded inputs of its layers too, which no record shows.
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
    rounds_activations: bool = False


class Change(NamedTuple):
    """Hold what a method did: the model that computes with the new weights, and the record of its layers."""

    model: nn.Module
    layers: tuple[QuantizedLayer, ...]


@dataclass(frozen=True)
class Method:
    """Hold what guards and records must know of a quantizer: its `name` in messages, and what it needs and does."""

    name: str
    has_codes: bool = True
    needs_calibration: bool = False
    needs_generator: bool = False
    rounds_activations: bool = False


def record(method: Method, before: nn.Module, change: Change) -> Quantized:
    """Return the record of what `method` made of the model `before`."""
    done = change.layers
    originals = list(part.weights(before).values()) or list(before.parameters())
    count = sum(layer.codes.numel() for layer in done) or sum(weight.numel() for weight in originals)
    zeros = [layer.dequantize() for layer in done] or list(part.weights(change.model).values()) or originals
    own = sum(8.0 * weight.nbytes for weight in originals)
    return Quantized(
        model=change.model,
        layers=done,
        untouched=part.untouched(before, {layer.name for layer in done}) if method.has_codes else (),
        weights=count,
        bits_per_weight=(sum(layer.bits for layer in done) if done else own) / count,
        nominal_bits=(sum(layer.nominal_bits for layer in done) if done else own) / count,
        entropy_bits=(sum(layer.entropy_bits for layer in done) if done else own) / count,
        sparsity=sum(int((weight == 0).sum()) for weight in zeros) / count,
        fingerprint=fingerprint(before if done else change.model, done),
        others=_others(before, change),
        rounds_activations=method.rounds_activations,
    )


def _others(before: nn.Module, change: Change) -> dict[str, Tensor]:
    """Return what is no quantized weight, as the changed model holds it; a weight that layers share is left out."""
    after = change.model.state_dict()
    state = {name: value for name, value in before.state_dict().items() if isinstance(value, Tensor)}
    coded = {part.key_in(state, layer.name) for layer in change.layers}
    shared = {value.data_ptr() for name, value in state.items() if name in coded}
    rest = {name: value for name, value in state.items() if name not in coded and value.data_ptr() not in shared}
    return {name: _same(after.get(name), value) for name, value in rest.items()}


def _same(after: object, value: Tensor) -> Tensor:
    plain = type(after) is Tensor and after.shape == value.shape and after.dtype == value.dtype
    return after if plain and isinstance(after, Tensor) else value


def fingerprint(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> str:
    """Return the SHA-256 over codes and scales of `layers` and over every parameter and buffer outside them.

    Without layers it is `quantmis.models.weights.weights_digest`.
    """
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(layer.digest())
    coded = {part.weight_key(layer.name) for layer in layers}
    for name, value in sorted(model.state_dict().items(), key=itemgetter(0)):
        if name not in coded and isinstance(value, Tensor):
            digest.update(entry(name, str(value.dtype), tuple(value.shape), value.nbytes))
            digest.update(raw_bytes(value))
    return digest.hexdigest()
