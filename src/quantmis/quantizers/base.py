"""What every quantizer is: models in, small integers and the models that compute with them out.

A quantizer replaces the weights of Linear, convolution and Embedding layers and leaves biases, norms and everything
else alone. `quantize` and `quantize_many` are the only ways in: they copy the models, check what was given, let the
method do its work in `apply`, and check what it did (`checked`), so that no method, ours or a third party's, can
leave a model as it was and have it audited as quantized.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import ClassVar

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers.checked import checked, require_inputs
from quantmis.quantizers.quantized import Change, Method, Quantized
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.supervision import Supervision
from quantmis.registry import Registry, spelling, suggestion
from quantmis.shorthand import NOT_ONE, SHORTHAND

__all__ = [
    "QUANTIZERS",
    "Calibration",
    "Change",
    "Generators",
    "Quantized",
    "Quantizer",
    "importable",
    "installed",
    "learns_from_members",
    "method_of",
    "needs_calibration",
    "needs_generator",
    "needs_supervision",
    "require_range",
    "require_word",
]

Calibration = Tensor | Supervision | Sequence[Tensor | Supervision] | None
Generators = Sequence[torch.Generator] | None
Apply = Callable[[list[nn.Module], Sequence[Tensor | Supervision] | None, Generators], list[Change]]


class Quantizer(ABC):
    """Quantize models. A concrete quantizer is a frozen dataclass of its parameters; `name` is what users write.

    `has_codes` is false for the controls, which change no weights or not to integers. `rounds_activations`: whether the
    models that it makes round the inputs of their layers too, as no record of weights shows; all others must compute
    with their record alone. `extra` names what to install (`pip install quantmis[extra]`) and `library` what is then
    imported; both are None for a method of ours. `levels_per_weight` says for people how many values a weight can take.
    """

    name: ClassVar[str]
    needs_calibration: ClassVar[bool] = False
    needs_generator: ClassVar[bool] = False
    needs_supervision: ClassVar[bool] = False
    has_codes: ClassVar[bool] = True
    rounds_activations: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    library: ClassVar[str | None] = None
    levels_per_weight: ClassVar[str] = ""

    @property
    def looks_at_members(self) -> bool:
        """Whether it uses the members that supervision shows it; one that does not say so does."""
        return self.needs_supervision

    @abstractmethod
    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize `models`, copies of one architecture that may be changed in place.

        `calibration` holds the inputs of each model, [samples, ...], and `generators` a stream of randomness for each.
        What becomes of one model must not depend on the others.
        """

    def apply_supervised(
        self, models: list[nn.Module], shown: list[Supervision], generators: Generators
    ) -> list[Change]:
        """Quantize `models` as `apply` does, each shown its members, held-out samples and the loss of the task.

        A method that needs no labels looks at the inputs of the held-out samples.
        """
        return self.apply(models, [each.inputs for each in shown], generators)

    def written_layers(self, model: nn.Module, calibration: Tensor | None) -> Iterator[QuantizedLayer] | None:
        """Quantize the layers of `model` in place, yielding the record of each once it is written.

        None for a method that makes whole models. `calibration` is as in `quantize`.
        """
        return None

    def quantize(
        self,
        model: nn.Module,
        calibration: Tensor | Supervision | None = None,
        generator: torch.Generator | None = None,
    ) -> Quantized:
        """Return the quantized copy of `model`, which itself stays as it is.

        `calibration` holds inputs, [samples, ...], for the methods that look at data, and a `Supervision` for those
        that look at labels; `generator` is the randomness of those that draw. Raises `UserError` where there is
        nothing to quantize, or something needed is missing.
        """
        return self.quantize_many([model], calibration, None if generator is None else [generator])[0]

    def quantize_many(
        self, models: Sequence[nn.Module], calibration: Calibration = None, generators: Generators = None
    ) -> list[Quantized]:
        """Return the quantized copies of `models` of one architecture, the same as one by one but all at once.

        `calibration` is one tensor of inputs, or one `Supervision`, for all or one for each; `generators` has one for
        each.
        """
        return self.applied(models, calibration, generators, self._changes)

    def applied(
        self, models: Sequence[nn.Module], calibration: Calibration, generators: Generators, apply: Apply
    ) -> list[Quantized]:
        """Return what `apply` makes of copies of `models`, in the place of the method's own, with the same guards."""
        inputs, method = (
            [calibration] * len(models) if isinstance(calibration, Tensor | Supervision) else calibration,
            method_of(self),
        )
        require_inputs(method, models, inputs, generators)
        copies = [copy.deepcopy(model) for model in models]
        changes = apply(copies, inputs, generators)
        return [checked(method, model, change) for model, change in zip(models, changes, strict=True)]

    def _changes(
        self, copies: list[nn.Module], shown: Sequence[Tensor | Supervision] | None, generators: Generators
    ) -> list[Change]:
        supervised = [each for each in shown or () if isinstance(each, Supervision)]
        if supervised:
            return self.apply_supervised(copies, supervised, generators)
        inputs = [each for each in shown or () if isinstance(each, Tensor)]
        return self.apply(copies, None if shown is None else inputs, generators)


QUANTIZERS: Registry[Quantizer] = Registry("quantizer", "quantmis.quantizers", SHORTHAND, NOT_ONE)


def method_of(quantizer: Quantizer) -> Method:
    """Return what guards and records must know of `quantizer`."""
    return Method(
        spelling(quantizer),
        quantizer.has_codes,
        needs_calibration(quantizer),
        needs_generator(quantizer),
        quantizer.rounds_activations,
        needs_supervision(quantizer),
    )


def needs_calibration(quantizer: Quantizer) -> bool:
    """Say whether a quantizer, or one that it wraps, looks at data."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.needs_calibration or any(needs_calibration(each) for each in wrapped)


def needs_generator(quantizer: Quantizer) -> bool:
    """Say whether a quantizer, or one that it wraps, draws at random."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.needs_generator or any(needs_generator(each) for each in wrapped)


def needs_supervision(quantizer: Quantizer) -> bool:
    """Say whether a quantizer, or one that it wraps, looks at labels, members and held-out samples."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.needs_supervision or any(needs_supervision(each) for each in wrapped)


def learns_from_members(quantizer: Quantizer) -> bool:
    """Say whether what a quantizer, or one that it wraps, makes depends on the members that it is shown."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    return quantizer.looks_at_members or any(learns_from_members(each) for each in wrapped)


def installed(kind: type[Quantizer]) -> bool:
    """Say whether the library that a quantizer adapts is there; a method of ours always is."""
    return importable(kind.library)


def importable(library: str | None) -> bool:
    """Say whether a library can be imported; None stands for needing none."""
    return library is None or find_spec(library) is not None


def require_range(name: str, parameter: str, value: float, low: float, high: float) -> None:
    """Raise `UserError` unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        share = f"; {value:g} % is {value / 100:g}" if high <= 1 < value else ""
        hint = f"{name}({parameter}={min(max(value, low), high):g}) is the nearest{share}"
        raise UserError(f"{name}: {parameter} must lie between {low} and {high}, got {value}", hint=hint)


def require_word(name: str, parameter: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `UserError` unless `value` is one of the words `known`."""
    words = ", ".join(map(repr, allowed))
    hint = suggestion(str(value), allowed)
    require(value in allowed, f"{name}: {parameter} must be one of {words}, got {value!r}", hint=hint)
