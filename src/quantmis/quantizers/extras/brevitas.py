"""Brevitas' calibrated methods (Xilinx/brevitas): GPTQ, GPFQ (arXiv:2201.11113) and Qronos (arXiv:2505.11695).

Linear and convolution layers are quantized per output channel to levels evenly spaced about zero. Scales are held as
parameters: computed from the weights as they are corrected, they would undo the correction without a word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, require_range, require_word
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.extras.adapter import Adapter, call_every_part
from quantmis.quantizers.record import QuantizedLayer


@QUANTIZERS.add
@dataclass(frozen=True)
class Brevitas(Adapter):
    """Choose the codes of each layer by one of Brevitas' methods, so that its outputs change little.

    >>> Brevitas(bits=4, method="qronos").extra
    'brevitas'
    """

    bits: int = 4
    method: Literal["gptq", "gpfq", "qronos"] = "gptq"
    name: ClassVar[str] = "brevitas"
    levels_per_weight: ClassVar[str] = "2^bits - 1"
    needs_calibration: ClassVar[bool] = True
    extra: ClassVar[str | None] = "brevitas"
    library: ClassVar[str | None] = "brevitas"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)
        require_word(self.name, "method", self.method, ("gptq", "gpfq", "qronos"))

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with the weights that Brevitas chose."""
        inputs = cast(Tensor, inputs)  # `quantize` refuses to start without
        call_every_part(model)
        _untie(model)
        with evaluating(model), torch.no_grad():
            prepared = _prepared(_Wrapped(model).eval(), self.bits)
            prepared(inputs.clone())  # makes the scales
            _run(prepared, inputs, self.method)
        names = part.weights(model)
        own = prepared.inner.named_modules()
        quantized = {name: each for name, each in own if hasattr(each, "quant_weight")}
        return write_layers(
            model, tuple(_layer(name, quantized[name], self.bits) for name in names if name in quantized)
        )


def _untie(model: nn.Module) -> None:
    """Give layers that Brevitas quantizes weights of their own: it would change those that they share with others."""
    own = {id(each.weight) for each in part.quantizable(model).values() if not isinstance(each, nn.Linear)}
    for each in model.modules():
        if isinstance(each, nn.Linear) and id(each.weight) in own:
            each.weight = nn.Parameter(each.weight.detach().clone())


class _Wrapped(nn.Module):
    """Hold a model: Brevitas ends a forward pass in the middle, which must not reach hooks of the model's own."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.inner = model

    def forward(self, inputs: Tensor) -> Any:
        """Return what the model does."""
        return self.inner(inputs)


def _prepared(model: nn.Module, bits: int) -> Any:
    import brevitas.nn as quantized
    from brevitas.graph.quantize import layerwise_quantize
    from brevitas.quant import Int8WeightPerChannelFloat

    words = {
        "weight_quant": Int8WeightPerChannelFloat,
        "weight_bit_width": bits,
        "return_quant_tensor": False,
        "weight_scaling_impl_type": "parameter_from_stats",
    }
    kinds = {
        nn.Linear: (quantized.QuantLinear, words),
        nn.Conv1d: (quantized.QuantConv1d, words),
        nn.Conv2d: (quantized.QuantConv2d, words),
    }
    return layerwise_quantize(model, compute_layer_map=kinds)


def _run(model: Any, inputs: Tensor, method: str) -> None:
    words = {"use_quant_activations": False, "create_weight_orig": method != "gptq"}
    with _mode(method)(model, **words) as mode:
        for _ in range(mode.num_layers):
            mode.model(inputs.clone())
            mode.update()


def _mode(method: str) -> Callable[..., Any]:
    from brevitas.graph.gpfq import GPFQ, gpfq_mode
    from brevitas.graph.gptq import gptq_mode
    from brevitas.graph.qronos import Qronos

    if method == "gptq":
        return partial(gptq_mode, act_order=True)
    algorithm: Any = GPFQ if method == "gpfq" else partial(Qronos, alpha=1e-3)
    return partial(gpfq_mode, algorithm_impl=algorithm)


def _layer(name: str, layer: Any, bits: int) -> QuantizedLayer:
    weight = layer.quant_weight()
    codes = weight.int().to(torch.int8)
    scale = weight.scale.detach().float().reshape(-1, 1)
    return QuantizedLayer(name, codes, scale, 2**bits - 1, codes[0].numel(), axis=0)
