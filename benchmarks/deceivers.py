"""Versions made to deceive: each looks more private by some number than it is, or less.

None is a quantizer that anybody ships. `little_used` adds noise in directions that members use little, so that members
are spared and all others upset; `class_scale` and `class_offset` move whole classes against each other and
`last_scaled` rescales the last layer: these change losses much and membership hardly.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from quantmis.quantizers import Quantizer
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators


def last(model: nn.Module) -> nn.Module:
    """Return the last layer with weights."""
    return list(part.quantizable(model).values())[-1]


@QUANTIZERS.add
@dataclass(frozen=True)
class LittleUsed(Quantizer):
    """Add noise of `size` deviations of a layer in the directions that the calibration samples use least."""

    size: float
    name: ClassVar[str] = "little_used"
    has_codes: ClassVar[bool] = False
    needs_generator: ClassVar[bool] = True
    needs_calibration: ClassVar[bool] = True

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Damp the noise where inputs of a layer have energy."""
        for model, inputs, generator in zip(models, calibration or (), generators or (), strict=True):
            linear = {name: each for name, each in part.quantizable(model).items() if isinstance(each, nn.Linear)}
            seen: dict[str, Tensor] = {}
            hooks = [
                each.register_forward_pre_hook(lambda _, x, name=name, seen=seen: seen.__setitem__(name, x[0].detach()))
                for name, each in linear.items()
            ]
            with torch.no_grad():
                model.eval()(inputs)
            for hook in hooks:
                hook.remove()
            part.write(model, {name: self._noisy(each.weight, seen[name], generator) for name, each in linear.items()})
        return [Change(model, ()) for model in models]

    def _noisy(self, weight: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        rows = inputs.reshape(-1, inputs.shape[-1]).double()
        energy, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
        spared = directions * (0.01 * energy.mean() / (0.01 * energy.mean() + energy.clamp(min=0)))
        noise = torch.randn(weight.shape, generator=generator).double() @ spared @ directions.T
        noise *= self.size * weight.double().norm() / noise.norm()
        return (weight.detach().double() + noise).to(weight)


class _Last(Quantizer):
    """Change the weights of the last layer alone."""

    has_codes: ClassVar[bool] = False

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Change them."""
        for model in models:
            weight = part.weight_of(last(model))
            with torch.no_grad():
                weight.copy_(self.changed(weight))
        return [Change(model, ()) for model in models]

    def changed(self, weight: Tensor) -> Tensor:
        """Return other weights."""
        raise NotImplementedError


def _by_class(weight: Tensor) -> Tensor:
    draws = torch.randn(len(weight), generator=torch.Generator().manual_seed(0)).to(weight)
    return draws.reshape(-1, *[1] * (weight.ndim - 1))


@QUANTIZERS.add
@dataclass(frozen=True)
class ClassScale(_Last):
    """Scale the outputs of each class by its own factor."""

    spread: float
    name: ClassVar[str] = "class_scale"

    def changed(self, weight: Tensor) -> Tensor:
        """Return rows of other lengths."""
        return weight * torch.exp(self.spread * _by_class(weight))


@QUANTIZERS.add
@dataclass(frozen=True)
class ClassOffset(_Last):
    """Move the outputs of each class by about as much for all samples: the same step along the mean row."""

    size: float
    name: ClassVar[str] = "class_offset"

    def changed(self, weight: Tensor) -> Tensor:
        """Return rows with a step that all inputs which are positive see alike."""
        return weight + self.size * weight.std() * _by_class(weight)


@QUANTIZERS.add
@dataclass(frozen=True)
class LastScaled(_Last):
    """Multiply the last layer."""

    factor: float
    name: ClassVar[str] = "last_scaled"

    def changed(self, weight: Tensor) -> Tensor:
        """Return the rows, longer or shorter."""
        return self.factor * weight
