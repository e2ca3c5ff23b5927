"""A control that separates "low precision protects" from "any perturbation of that size protects": matched noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Calibration, Change, Generators, Quantized, Quantizer
from quantmis.quantizers.supervision import Supervision


@QUANTIZERS.add
@dataclass(frozen=True)
class MatchedNoise(Quantizer):
    """Add Gaussian noise to the weights of each layer, of exactly the size of the error that `of` makes there.

    The model keeps its number format, so there are no codes and no bits are saved.

    >>> from quantmis.quantizers import Sign
    >>> noisy = MatchedNoise(of=Sign()).quantize(nn.Linear(4, 2), generator=torch.Generator().manual_seed(0))
    >>> noisy.bits_per_weight
    32.0
    """

    of: InstanceOf[Quantizer]
    name: ClassVar[str] = "matched_noise"
    levels_per_weight: ClassVar[str] = "all"
    has_codes: ClassVar[bool] = False
    needs_generator: ClassVar[bool] = True

    def __post_init__(self):
        require(self.of.has_codes, f"matched_noise: {self.of.name} makes no rounding error to match")

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Draw the noise of each model from its own generator."""
        return _with_noise(models, self.of.quantize_many(models, calibration, generators), generators)

    def apply_supervised(
        self, models: list[nn.Module], shown: list[Supervision], generators: Generators
    ) -> list[Change]:
        """Do as `apply` does, and let a method that looks at labels see them."""
        return _with_noise(models, self.of.quantize_many(models, shown, generators), generators)

    def around(
        self,
        models: Sequence[nn.Module],
        rounded: Sequence[Quantized],
        calibration: Calibration,
        generators: Generators,
    ) -> list[Quantized]:
        """Return what `quantize_many` does where `rounded` is known, what `of` makes of the models."""
        return self.applied(
            models, calibration, generators, lambda copies, _, streams: _with_noise(copies, rounded, streams)
        )


def _with_noise(models: list[nn.Module], rounded: Sequence[Quantized], generators: Generators) -> list[Change]:
    for model, version, generator in zip(models, rounded, generators or (), strict=True):
        own = part.weights(model)
        for layer in version.layers:
            key = part.key_in(model.state_dict(), layer.name)
            noisy = _noisy(model.get_parameter(key), layer.dequantize(), generator)
            if layer.name in own:
                part.write(model, {layer.name: noisy})
            else:  # a matrix of another name, or a weight shared with a layer that `of` left alone
                above, _, last = key.rpartition(".")
                setattr(model.get_submodule(above), last, nn.Parameter(noisy))
    return [Change(model, ()) for model in models]


def _noisy(weight: Tensor, rounded: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(weight.shape, generator=generator, device=generator.device).to(weight)
    error = (weight.detach() - rounded).double().norm()
    return weight.detach() + noise * (error / noise.double().norm()).to(weight.dtype)
