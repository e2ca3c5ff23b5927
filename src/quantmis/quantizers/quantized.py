"""What a quantizer made of a model, and the record of it: codes, sizes in bits, a fingerprint, what was left alone."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    needs_supervision: bool = False


class Account:
    """Count the layers of a record one after the other: their sizes, their zeros and their digests."""

    def __init__(self):
        self._weights = self._zeros = 0
        self._bits = self._nominal = self._entropy = 0.0
        self._digests: dict[str, bytes] = {}

    def add(self, layer: QuantizedLayer) -> None:
        """Count a layer."""
        self._weights += layer.codes.numel()
        self._zeros += int((layer.dequantize() == 0).sum())
        self._bits += layer.bits
        self._nominal += layer.nominal_bits
        self._entropy += layer.entropy_bits
        self._digests[layer.name] = layer.digest()

    def of(self, method: Method, model: nn.Module, order: Iterable[str], before: nn.Module | None = None) -> Quantized:
        """Return what was counted as the record of `model`, its layers hashed in `order`, itself without layers.

        `before` is the model that the method started from, where it is another one.
        """
        digests = {name: self._digests[name] for name in order if name in self._digests}
        own = before or model
        return Quantized(
            model=model,
            layers=(),
            untouched=part.untouched(own, set(digests)) if method.has_codes else (),
            weights=self._weights,
            bits_per_weight=self._bits / self._weights,
            nominal_bits=self._nominal / self._weights,
            entropy_bits=self._entropy / self._weights,
            sparsity=self._zeros / self._weights,
            fingerprint=_fingerprint(own, digests),
            rounds_activations=method.rounds_activations,
        )


def record(method: Method, before: nn.Module, change: Change) -> Quantized:
    """Return the record of what `method` made of the model `before`."""
    if not change.layers:
        return replace(_plain(method, before, change.model), others=_others(before, change))
    account = Account()
    for layer in change.layers:
        account.add(layer)
    counted = account.of(method, change.model, [layer.name for layer in change.layers], before)
    return replace(counted, layers=change.layers, others=_others(before, change))


def _plain(method: Method, before: nn.Module, model: nn.Module) -> Quantized:
    """Return the record of a model whose weights are plain numbers."""
    originals = list(part.weights(before).values()) or list(before.parameters())
    count = sum(weight.numel() for weight in originals)
    bits = sum(8.0 * weight.nbytes for weight in originals) / count
    zeros = list(part.weights(model).values()) or originals
    return Quantized(
        model=model,
        layers=(),
        untouched=part.untouched(before, set()) if method.has_codes else (),
        weights=count,
        bits_per_weight=bits,
        nominal_bits=bits,
        entropy_bits=bits,
        sparsity=sum(int((weight == 0).sum()) for weight in zeros) / count,
        fingerprint=_fingerprint(model, {}),
        rounds_activations=method.rounds_activations,
    )


def plain(method: Method, model: nn.Module) -> Quantized:
    """Return the record of a model that `method` leaves as it is, the model itself."""
    return _plain(method, model, model)


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

    A weight that a layer of the record shares is not counted twice. Without layers it is
    `quantmis.models.weights.weights_digest`.
    """
    return _fingerprint(model, {layer.name: layer.digest() for layer in layers})


def _fingerprint(model: nn.Module, digests: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for each in digests.values():
        digest.update(each)
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    coded = {part.weight_key(name) for name in digests}
    shared = {value.data_ptr() for name, value in state.items() if name in coded}
    for name, value in sorted(state.items(), key=itemgetter(0)):
        if name not in coded and not (value.numel() and value.data_ptr() in shared):
            digest.update(entry(name, str(value.dtype), tuple(value.shape), value.nbytes))
            digest.update(raw_bytes(value))
    return digest.hexdigest()
