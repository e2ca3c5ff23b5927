"""The guards that every quantizer goes through: what it was given, and what it did.

Libraries have been seen to skip layers without a word, to return unrounded weights, to return weights rounded to a
grid that is not theirs, and to collapse a layer to NaN. An audit of such a model would be an audit of another one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import (
    Change,
    Generators,
    Quantized,
    Quantizer,
    needs_calibration,
    needs_generator,
    record,
)
from quantmis.quantizers.record import QuantizedLayer
from quantmis.registry import spelling


def require_inputs(
    quantizer: Quantizer, models: Sequence[nn.Module], calibration: Sequence[Tensor] | None, generators: Generators
) -> None:
    """Raise `UserError` unless `quantizer` can start on `models` with what was given."""
    name = spelling(quantizer)
    for model in models:
        _require_weights(quantizer, name, model)
    shapes = [{layer: weight.shape for layer, weight in part.weights(model).items()} for model in models]
    require(
        all(shape == shapes[0] for shape in shapes),
        f"{name}: models that are quantized together must be of one architecture",
    )
    for what, given in (("calibration inputs", calibration), ("generators", generators)):
        require(given is None or len(given) == len(models), f"{name}: expected {what} for each of {len(models)} models")
    require(
        calibration is not None or not needs_calibration(quantizer),
        f"{name} looks at data and was given none",
        hint="pass quantize(model, calibration=inputs), inputs [samples, ...] that the models were not trained on",
    )
    require(
        generators is not None or not needs_generator(quantizer),
        f"{name} draws at random and was given no generator",
        hint="pass quantize(model, generator=torch.Generator().manual_seed(0))",
    )
    for model, inputs in zip(models, calibration or (), strict=False):
        _require_runs(name, model, inputs)


def checked(quantizer: Quantizer, before: nn.Module, change: Change) -> Quantized:
    """Return the record of `change`, what `quantizer` made of a copy of `before`, once all of it holds.

    Raises `UserError` where no layer was quantized, a layer has more codes than levels, a weight or scale is not
    finite, the model computes with other weights than those recorded, or something else was changed.
    """
    name = spelling(quantizer)
    if quantizer.has_codes:
        require(
            change.layers,
            f"{name} left every layer as it was",
            hint="auditing the unquantized model as if it were quantized would say nothing",
        )
    shapes = {layer: weight.shape for layer, weight in part.weights(before).items()}
    for layer in change.layers:
        _require_sound(name, layer, shapes.get(layer.name))
    _require_computed_with(name, change)
    _require_rest(quantizer, name, before, change)
    return record(quantizer, before, change)


def _require_weights(quantizer: Quantizer, name: str, model: nn.Module) -> None:
    found = part.weights(model)
    require(
        found or not quantizer.has_codes,
        f"{name}: the model has no Linear, Conv or Embedding layer to quantize",
        hint="auditing the unquantized model as if it were quantized would say nothing",
    )
    for layer, weight in found.items():
        require(
            weight.is_floating_point() and bool(torch.isfinite(weight).all()),
            f"{name}: the weights of {layer or 'the model'} are NaN or infinite, or are no floating-point numbers",
        )
        require(
            isinstance(weight, nn.Parameter),
            f"{name}: the weights of {layer or 'the model'} are computed from others, as under weight_norm",
            hint="make them plain first: torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
        )


def _require_runs(name: str, model: nn.Module, inputs: Tensor) -> None:
    require(inputs.ndim >= 1 and len(inputs) > 0, f"{name}: the calibration inputs are empty")
    require(
        not inputs.is_floating_point() or bool(torch.isfinite(inputs).all()),
        f"{name}: the calibration inputs hold values that are NaN or infinite",
    )
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(inputs[:2])
    except Exception as error:
        raise UserError(
            f"{name}: the model does not take calibration inputs of shape {list(inputs.shape)}: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            hint="calibration is a tensor [samples, ...] of what the model's forward takes",
        ) from error
    finally:
        model.train(training)


def _require_sound(name: str, layer: QuantizedLayer, shape: torch.Size | None) -> None:
    label = layer.name or "the model"
    require(
        shape is None or layer.shape == shape,
        f"{name}: the record of {label} has shape {list(layer.shape)}, its weights have {list(shape or ())}",
    )
    require(
        layer.codes.dtype in (torch.int8, torch.uint8) and layer.levels_used <= layer.levels,
        f"{name}: {label} has {layer.levels_used} codes of {layer.codes.dtype} where {layer.levels} levels exist",
    )
    require(bool(torch.isfinite(layer.dequantize()).all()), f"{name}: quantized weights of {label} are NaN or infinite")


def _require_computed_with(name: str, change: Change) -> None:
    found = part.weights(change.model)
    for layer in change.layers:
        weight = found.get(layer.name)
        if weight is not None and type(weight) in (
            nn.Parameter,
            Tensor,
        ):  # a library's own modules and tensors keep codes, not weights
            require(
                torch.equal(weight.detach().cpu(), layer.dequantize().to(weight.dtype).cpu()),
                f"{name}: the model does not compute with the quantized weights of {layer.name or 'its layer'}",
            )


def _require_rest(quantizer: Quantizer, name: str, before: nn.Module, change: Change) -> None:
    done = set(part.weights(before)) if not quantizer.has_codes else {layer.name for layer in change.layers}
    coded, after = {part.weight_key(layer) for layer in done}, change.model.state_dict()
    shared = {value.data_ptr() for key, value in before.state_dict().items() if key in coded}
    for key, value in before.state_dict().items():
        same = key in after and after[key].shape == value.shape
        if key not in coded and same and value.data_ptr() not in shared:
            require(torch.equal(after[key].to(value), value), f"{name} changed {key} and does not record it")
