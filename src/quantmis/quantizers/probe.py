"""A few inputs through a quantized model, to see that it runs and computes with what its record says.

Layers of a library's own, or of a plug-in, keep codes where nobody looks. A model that records codes and computes with
the weights that it had before is found by its outputs: they are those of the model before, and not those of the
recorded weights. Only a method that rounds activations, which no record shows, and says so, may return others.
"""

import copy

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.checked import CLOSE, NEARER
from quantmis.quantizers.quantized import Quantized

FARTHEST = 0.5
"""How far from those of its record outputs may be where activations are rounded too, of their own size, besides twice
what the record changes."""


def require_computes(name: str, before: nn.Module, after: Quantized, inputs: Tensor) -> None:
    """Raise `UserError` unless what `name` made of the model `before` runs on `inputs` and computes as recorded."""
    outputs = _outputs(name, after.model, inputs)
    finite = bool(torch.isfinite(outputs).all())
    require(finite, f"{name}: the quantized model returns outputs that are NaN or infinite")
    recorded = _dequantized(before, after)
    if not after.layers or recorded is None:
        return
    whole, expected = _outputs(name, before, inputs), _outputs(name, recorded, inputs)
    require(
        outputs.shape == expected.shape,
        f"{name}: the quantized model returns {list(outputs.shape)}, the model before {list(expected.shape)}",
    )
    off, shift, same = ((one - other).norm() for one, other in _pairs(outputs, expected, whole))
    unchanged = bool(shift > 0) and bool(off > NEARER * same)
    message = "the quantized model computes with the weights that it had before, not with its record"
    require(not unchanged, f"{name}: {message}")
    farthest = FARTHEST * expected.norm() + 2 * shift if after.rounds_activations else CLOSE * expected.norm()
    require(
        bool(off <= farthest),
        f"{name}: the quantized model does not compute with the weights of its record",
        hint="a quantizer whose models round activations too says so: rounds_activations = True",
    )


def _pairs(outputs: Tensor, expected: Tensor, whole: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(outputs, expected), (whole, expected), (outputs, whole)]


def _outputs(name: str, model: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with evaluating(model), torch.no_grad():
            return model(inputs.clone()).double()  # a forward may work in place
    except Exception as error:  # whatever a module does with weights that it did not expect
        first = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{name}: the quantized model does not run: {type(error).__name__}: {first}",
            hint="another quantizer may suit its layers, or mixed(...) that leaves some of them alone",
        ) from error


def _dequantized(before: nn.Module, after: Quantized) -> nn.Module | None:
    """Return the model before with the weights that the record stands for, None where names are not its own."""
    model = copy.deepcopy(before)
    own, parts = part.quantizable(model), dict(model.named_modules())
    for layer in after.layers:
        module = parts.get(layer.name)
        if module is None or not isinstance(getattr(module, "weight", None), Tensor):
            return None
        if layer.name not in own:  # it shares its weight with another layer, and no longer does
            module.weight = nn.Parameter(part.weight_of(module).detach().clone())
        with torch.no_grad():
            part.weight_of(module).copy_(layer.dequantize())
    return model
