"""Codes learnt by gradients that pass straight through the rounding (Bengio et al. 2013, arXiv:1308.3432).

Many models of one architecture are fitted at once, in double precision, so that the company a model is in does not show
in its codes. A module that torch cannot batch, or that computes in one precision alone, is computed model by model.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.lr_scheduler import LambdaLR

from quantmis.models.convolution import Im2col
from quantmis.models.embedding import Padded
from quantmis.models.linear import Transposed
from quantmis.quantizers import layers as part
from quantmis.quantizers.learned_rounding import differentiable
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.unrounded import clamped, recorded, steps_of, values_of

RATE = 0.1
"""How far a code moves in the first step, in levels; it falls to nothing."""

State = dict[str, Tensor]
Records = list[QuantizedLayer]


class Fit:
    """Hold models of one architecture whose `layers`, the records of each by name, are to get other codes."""

    def __init__(self, models: list[nn.Module], layers: dict[str, Records], x: Tensor):
        self._models, self._layers = models, layers
        parameters, buffers = stack_module_state(models)
        self._state: State = {name: value.detach() for name, value in {**parameters, **buffers}.items()}
        self._wide: State = {name: _widened(value) for name, value in self._state.items()}
        self._is_batched = self._can_be_batched(x)

    def starts(self) -> list[Float[Tensor, "models rows columns"]]:
        """Return the weights of each layer in units of codes."""
        weights = [part.weights(model) for model in self._models]
        return [
            torch.stack([steps_of(layer, own[name]) for layer, own in zip(of, weights, strict=True)]).double()
            for name, of in self._layers.items()
        ]

    def outputs(self, codes: list[Tensor], x: Real[Tensor, "models samples *shape"]) -> Tensor:
        """Return what the models make of `x` with such codes, whole or not, [models, samples, ...]."""
        pairs = zip(self._layers.items(), codes, strict=True)
        values = {part.weight_key(name): values_of(of, each) for (name, of), each in pairs}
        return self._batched(values, x) if self._is_batched else self._one_by_one(values, x)

    def records(self, codes: list[Tensor]) -> list[tuple[QuantizedLayer, ...]]:
        """Return the records of each model with whole `codes`."""
        return [
            tuple(recorded(of[index], each[index]) for of, each in zip(self._layers.values(), codes, strict=True))
            for index in range(len(self._models))
        ]

    def whole(self, codes: list[Tensor]) -> list[Tensor]:
        """Return the nearest whole codes, within the levels; gradients are those of the codes as they are."""
        inside = [
            torch.stack([clamped(layer, own) for layer, own in zip(of, each, strict=True)])
            for of, each in zip(self._layers.values(), codes, strict=True)
        ]
        return [each + (each.round() - each).detach() for each in inside]

    def _batched(self, values: State, x: Tensor) -> Tensor:
        one = partial(functional_call, self._models[0])
        with sdpa_kernel(SDPBackend.MATH), Im2col(), Padded(), Transposed():
            return torch.vmap(lambda state, own: one(state, (own,)))({**self._wide, **values}, _widened(x))

    def _one_by_one(self, values: State, x: Tensor) -> Tensor:
        states = [
            {name: value[index].to(self._state[name].dtype) for name, value in {**self._state, **values}.items()}
            for index in range(len(self._models))
        ]
        one = partial(functional_call, self._models[0])
        return torch.stack([one(each, (own,)) for each, own in zip(states, x, strict=True)])

    def _can_be_batched(self, x: Tensor) -> bool:
        try:
            with torch.no_grad():
                self._batched({}, x[:1].expand(len(self._models), 1, *x.shape[1:]))
        except (RuntimeError, ValueError):
            return False
        return True


def _widened(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def fitted(
    fit: Fit, loss: Callable[[int, Callable[[Tensor], Tensor]], Float[Tensor, " models"]], iterations: int
) -> list[tuple[QuantizedLayer, ...]]:
    """Return the records with the codes that make `loss(step, outputs)` small; `outputs(x)` is what models compute."""
    codes = [each.detach().requires_grad_() for each in fit.starts()]
    optimizer = torch.optim.Adam(codes, RATE)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / iterations)
    with torch.enable_grad(), differentiable():
        for step in range(iterations):
            optimizer.zero_grad()
            loss(step, lambda x: fit.outputs(fit.whole(codes), x)).sum().backward()
            optimizer.step()
            schedule.step()
    return fit.records([each.detach() for each in fit.whole(codes)])
