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
from quantmis.quantizers.record import QuantizedLayer, as_matrix
from quantmis.quantizers.unrounded import recorded

RATE = 0.1
"""How far a code moves in the first step, in levels; it falls to nothing."""

State = dict[str, Tensor]
Records = list[QuantizedLayer]


class _Levels:
    """Hold the levels of one layer of many models, as stacks: code c stands for (c - zero) * scale."""

    def __init__(self, layers: Records):
        self.records, first = layers, layers[0]
        zeros = [torch.zeros_like(each.scale) if each.zero_point is None else each.zero_point for each in layers]
        self._scale = torch.stack([each.spread(each.scale) for each in layers]).double()
        self._zero = torch.stack([each.spread(zero) for each, zero in zip(layers, zeros, strict=True)]).double()
        self._shape, self._axis = first.shape, first.axis
        self.ends = -(first.levels // 2), (first.levels - 1) // 2

    def steps(self, weights: list[Tensor]) -> Float[Tensor, "models rows columns"]:
        """Return weights in units of codes, within the levels."""
        matrices = torch.stack([as_matrix(each.detach(), self._axis) for each in weights]).double()
        return (matrices / self._scale + self._zero).clamp(*self.ends)

    def weights(self, codes: Float[Tensor, "models rows columns"]) -> Float[Tensor, "models *shape"]:
        """Return what codes stand for, in the shape of the layer's weight."""
        values = (codes - self._zero) * self._scale
        if self._axis is None:
            return values.reshape(len(values), *self._shape)
        rest = [size for dimension, size in enumerate(self._shape) if dimension != self._axis]
        return values.reshape(len(values), self._shape[self._axis], *rest).movedim(1, self._axis + 1)


class Fit:
    """Hold models of one architecture whose `layers`, the records of each by name, are to get other codes."""

    def __init__(self, models: list[nn.Module], layers: dict[str, Records], x: Tensor):
        self._models = models
        self.levels = {name: _Levels(of) for name, of in layers.items()}
        parameters, buffers = stack_module_state(models)
        self._state: State = {name: value.detach() for name, value in {**parameters, **buffers}.items()}
        self._wide: State = {name: _widened(value) for name, value in self._state.items()}
        self._is_batched = self._can_be_batched(x)

    def starts(self) -> list[Float[Tensor, "models rows columns"]]:
        """Return the weights of each layer in units of codes."""
        weights = [part.weights(model) for model in self._models]
        return [of.steps([own[name] for own in weights]) for name, of in self.levels.items()]

    def outputs(self, codes: list[Tensor], x: Real[Tensor, "models samples *shape"]) -> Tensor:
        """Return what the models make of `x` with such codes, whole or not, [models, samples, ...]."""
        pairs = zip(self.levels.items(), codes, strict=True)
        values = {part.weight_key(name): of.weights(each) for (name, of), each in pairs}
        return self._batched(values, x) if self._is_batched else self._one_by_one(values, x)

    def records(self, codes: list[Tensor]) -> list[tuple[QuantizedLayer, ...]]:
        """Return the records of each model with whole `codes`."""
        pairs = list(zip(self.levels.values(), codes, strict=True))
        return [
            tuple(recorded(of.records[index], each[index]) for of, each in pairs) for index in range(len(self._models))
        ]

    def _batched(self, values: State, x: Tensor) -> Tensor:
        def computed(state: State, own: Tensor) -> Tensor:
            return functional_call(self._models[0], state, (own,))

        with sdpa_kernel(SDPBackend.MATH), Im2col(), Padded(), Transposed():
            return torch.vmap(computed)({**self._wide, **values}, _widened(x))

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
    codes, ends = [each.requires_grad_() for each in fit.starts()], [each.ends for each in fit.levels.values()]
    optimizer = torch.optim.Adam(codes, RATE)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / iterations)
    with torch.enable_grad(), differentiable():
        for step in range(iterations):
            optimizer.zero_grad()
            whole = [each + (each.round() - each).detach() for each in codes]
            loss(step, partial(fit.outputs, whole)).sum().backward()
            optimizer.step()
            schedule.step()
            for each, own in zip(codes, ends, strict=True):
                each.data.clamp_(*own)
    return fit.records([each.detach().round() for each in codes])
