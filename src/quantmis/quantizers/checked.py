"""The guards that every quantizer goes through: what it was given, and what it did.

Libraries have been seen to skip layers without a word, to return unrounded weights, to return weights rounded to a
grid that is not theirs, and to collapse a layer to NaN. An audit of such a model would be an audit of another one.
"""

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.models.precision import computing
from quantmis.quantizers import layers as part
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.quantized import Change, Method, Quantized, record
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.supervision import Supervision

CLOSE, ROUNDED = 0.02, 0.2
"""How far a layer's outputs may be from those of its record, of their own size: as they are, with rounded inputs."""

NEARER = 10.0
"""How many times nearer to the model before than to its record outputs must be to be called those of the former."""

TRIED = 16
"""Inputs that a layer of a library's own is tried with."""


def require_inputs(
    method: Method,
    models: Sequence[nn.Module],
    calibration: Sequence[Tensor | Supervision] | None,
    generators: Sequence[torch.Generator] | None,
) -> None:
    """Raise `UserError` unless `method` can start on `models` with these inputs and generators."""
    name = method.name
    for model in models:
        _require_weights(method, model)
    shapes = [{layer: weight.shape for layer, weight in part.weights(model).items()} for model in models]
    require(
        all(shape == shapes[0] for shape in shapes),
        f"{name}: models that are quantized together must be of one architecture",
    )
    for what, each in (("calibration inputs", calibration), ("generators", generators)):
        require(each is None or len(each) == len(models), f"{name}: expected {what} for each of {len(models)} models")
    require(
        not method.needs_supervision or all(isinstance(each, Supervision) for each in calibration or (None,)),
        f"{name} looks at labels, members and held-out samples, and was given none",
        hint="pass quantize(model, calibration=qm.quantizers.Supervision(members, held_out, loss))",
    )
    require(
        calibration is not None or not method.needs_calibration,
        f"{name} looks at data and was given none",
        hint="pass quantize(model, calibration=inputs), inputs [samples, ...] that the models were not trained on",
    )
    require(
        generators is not None or not method.needs_generator,
        f"{name} draws at random and was given no generator",
        hint="pass quantize(model, generator=torch.Generator().manual_seed(0))",
    )
    for model, inputs in zip(models, calibration or (), strict=False):
        _require_runs(name, model, inputs.inputs if isinstance(inputs, Supervision) else inputs)


def checked(method: Method, before: nn.Module, change: Change) -> Quantized:
    """Return the record of `change`, what `method` made of a copy of `before`, once all of it holds.

    Raises `UserError` where no layer was quantized, a layer has more codes than levels, a weight or scale is not
    finite, the model computes with other weights than those recorded, or something else was changed.
    """
    name = method.name
    if method.has_codes:
        require(
            change.layers,
            f"{name} left every layer as it was",
            hint="auditing the unquantized model as if it were quantized would say nothing",
        )
    shapes = {layer: weight.shape for layer, weight in part.weights(before).items()}
    weights = part.weights(change.model)
    for layer in change.layers:
        require_written(name, layer, shapes.get(layer.name), weights.get(layer.name))
    _require_libraries_compute(method, before, change)
    _require_rest(method, before, change)
    return record(method, before, change)


def require_written(name: str, layer: QuantizedLayer, shape: torch.Size | None, weight: Tensor | None) -> None:
    """Raise `UserError` unless the record of a layer holds, and `weight` is the one of it: the guards of one layer."""
    _require_sound(name, layer, shape)
    _require_computed_with(name, layer, weight)


def _require_weights(method: Method, model: nn.Module) -> None:
    weights, name = part.weights(model), method.name
    require(
        weights or not method.has_codes,
        f"{name}: the model has no Linear, Conv or Embedding layer to quantize",
        hint="auditing the unquantized model as if it were quantized would say nothing",
    )
    for layer, weight in weights.items():
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
        with torch.no_grad(), computing(model):
            model.eval()(inputs[:2].clone())  # a forward may work in place
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


def _require_computed_with(name: str, layer: QuantizedLayer, weight: Tensor | None) -> None:
    if _is_plain(weight):
        require(
            torch.equal(weight.detach().cpu(), layer.dequantize().to(weight.dtype).cpu()),
            f"{name}: the model does not compute with the quantized weights of {layer.name or 'its layer'}",
        )


def _is_plain(weight: Tensor | None) -> TypeGuard[Tensor]:
    """Say whether a weight is numbers; a library's own modules and tensors keep codes instead."""
    return type(weight) in (nn.Parameter, Tensor)


def _require_libraries_compute(method: Method, before: nn.Module, change: Change) -> None:
    """Raise `UserError` unless each Linear layer that a library computes gives the outputs of its record.

    bitsandbytes 0.50 has a kernel that takes the scales of other blocks where rows do not divide into blocks.
    """
    own, after = dict(before.named_modules()), dict(change.model.named_modules())
    for layer in change.layers:
        old, new = own.get(layer.name), after.get(layer.name)
        if isinstance(old, nn.Linear) and new is not None and not _is_plain(getattr(new, "weight", None)):
            _require_near(method, layer, old, new)


def _require_near(method: Method, layer: QuantizedLayer, old: nn.Linear, new: nn.Module) -> None:
    off, label = distance_from_record(old, new, layer), f"{method.name}: {layer.name or 'the layer'}"
    if off <= (ROUNDED if method.rounds_activations else CLOSE):
        return
    unchanged = _distance(old, new, old.weight) < off / NEARER
    require(not unchanged, f"{label} computes with the weights that it had before, not with its record")
    raise UserError(
        f"{label} does not compute with the weights of its record: outputs are off by {off:.2g} of their size",
        hint="this version of the library, or of its kernel for this processor, is wrong for layers of shape "
        f"{list(layer.shape)}; another group size, or a native quantizer, may suit them",
    )


def distance_from_record(old: nn.Linear, new: nn.Module, layer: QuantizedLayer) -> float:
    """Return how far the outputs of `new`, in the place of `old`, are from those of the record, of their own size."""
    return _distance(old, new, layer.dequantize().to(old.weight))


@torch.no_grad()
def _distance(old: nn.Linear, new: nn.Module, weight: Tensor) -> float:
    draws = torch.randn(TRIED, old.in_features, generator=torch.Generator().manual_seed(0))
    inputs = draws.to(old.weight)
    with evaluating(new):
        outputs = new(inputs.clone())
    recorded = nn.functional.linear(inputs, weight)
    difference = outputs - nn.functional.linear(inputs, weight, old.bias)
    return float(difference.double().norm() / recorded.double().norm().clamp(min=1e-30))


def _require_rest(method: Method, before: nn.Module, change: Change) -> None:
    done = set(part.weights(before)) if not method.has_codes else {layer.name for layer in change.layers}
    coded, after = {part.weight_key(layer) for layer in done}, change.model.state_dict()
    pointers = {after[key].data_ptr() for key in coded if key in after}
    shared = {value.data_ptr() for key, value in before.state_dict().items() if key in coded}
    for key, value in before.state_dict().items():
        same = key in after and after[key].shape == value.shape
        free = not method.has_codes or (same and after[key].data_ptr() in pointers)
        still = value.data_ptr() in shared and free
        if key not in coded and same and not still:
            require(torch.equal(after[key].to(value), value), f"{method.name} changed {key} and does not record it")
