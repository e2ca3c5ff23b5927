"""What a file does beside its weights where it runs: which layers round their inputs and how, and what is only said."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from quantmis.errors import require
from quantmis.inspection import modelopt, quanto, torchao
from quantmis.inspection.roundings import BITNET, MODELOPT, Rounding, algorithm, by_group, of_fp8
from quantmis.quantizers.formats.activations import RoundedInputs

ACTIVATIONS = "activations (rounded where the file runs)"
CACHE = "keys and values (kept in fewer bits where the file runs)"

Beside = tuple[dict[str, RoundedInputs], tuple[str, ...]]


def computed_beside(
    where: str, format: str, layers: list[str], tensors: Mapping[str, Tensor], words: Mapping[str, Any]
) -> Beside:
    """Return how the layers of a file round their inputs, by name, and what it does that is not repeated, in words.

    Raises `UserError` where a configuration asks for a rounding of activations that is not known.
    """
    notes = tuple(note for note, is_so in _notes(format, tensors, words).items() if is_so)
    if format == "compressed-tensors":
        return _with_scales(by_group(where, words, layers), tensors, "input_scale", "input_global_scale"), notes
    if format == "fp8":
        kept = "activation_scale" if any(name.endswith(".activation_scale") for name in tensors) else "input_scale"
        return _with_scales(dict.fromkeys(layers, of_fp8(words)), tensors, kept, kept), notes
    if format == "modelopt":
        own = MODELOPT.get(algorithm(words, tensors))
        hooks = _with_scales(dict.fromkeys(layers, own) if own else {}, tensors, "input_scale", "input_scale")
        return {name: _divided(hook) for name, hook in hooks.items()}, notes
    if format == "bitnet":
        return {name: RoundedInputs(BITNET) for name in layers}, notes
    return {}, notes


def _notes(format: str, tensors: Mapping[str, Tensor], words: Mapping[str, Any]) -> dict[str, bool]:
    return {
        ACTIVATIONS: (format == "bitsandbytes" and any(name.endswith(".SCB") for name in tensors))
        or (format == "torchao" and any(torchao.rounds_activations(word) for word in map(str, words.values())))
        or (format == "quanto" and quanto.rounds_activations(words)),
        CACHE: format == "modelopt" and modelopt.rounds_cache(words),
    }


def _with_scales(
    how: Mapping[str, Rounding], tensors: Mapping[str, Tensor], static: str, whole: str
) -> dict[str, RoundedInputs]:
    """Return the hooks of layers with the scale that the file keeps: of static ones, or the `whole` of two levels."""
    return {name: _with_scale(name, each, tensors, whole if each.two_levels else static) for name, each in how.items()}


def _with_scale(name: str, how: Rounding, tensors: Mapping[str, Tensor], part: str) -> RoundedInputs:
    if not (how.static or how.two_levels):
        return RoundedInputs(how)
    scale = tensors.get(f"{name}.{part}")
    require(
        scale is not None and scale.numel() == 1, f"{name} rounds its inputs by a {part} that the file does not have"
    )
    zero = None if how.symmetric else tensors.get(f"{name}.input_zero_point")
    return RoundedInputs(how, scale, zero)


def _divided(hook: RoundedInputs) -> RoundedInputs:
    """Return a hook of ModelOpt: of two levels it keeps the scale itself, and compressed-tensors one over it."""
    if not hook.rounding.two_levels or hook.scale is None:
        return hook
    return RoundedInputs(hook.rounding, 1 / hook.scale.float(), hook.zero)
