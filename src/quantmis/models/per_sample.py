"""The gradients of stacked models sample by sample, clipped and summed: one forward and one backward pass for all.

Where every weight that learns stands in a linear layer, the gradient of a sample is the product of what went into the
layer and of what came back to its output. Its norm is then the product of their norms (Goodfellow 2015, arXiv
1510.01799), and the clipped sum one matrix product, so that no gradient of one sample is ever written down. Any other
architecture is differentiated by `torch.func`, a few samples at a time.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from quantmis.models.streams import restoring

CHUNK = 16
"""Samples whose gradients are written down at once, per model."""

LEAST = 1e-6
"""What is added to norms before they divide, as torch does where it clips."""

Named = Mapping[str, Tensor]
Objective = Callable[[Tensor, Tensor], Tensor]


def clip_factors(norms: Tensor, is_drawn: Tensor, norm: float) -> Tensor:
    """Return by what the gradient of each sample is multiplied; 0 for those that were not drawn."""
    return torch.where(is_drawn, (norm / (norms + LEAST)).clamp(max=1.0), 0.0)


class Differentiated:
    """Compute clipped sums by `torch.func`, for any module that it can follow."""

    def __init__(self, module: nn.Module, objective: Objective):
        self._module, self._objective = module, objective

    def clipped(
        self, learning: Named, fixed: Named, x: Tensor, y: Tensor, is_drawn: Tensor, norm: float
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the clipped sum of the gradients of each model by name, and its summed loss, [models].

        `learning` and `fixed`: tensors with the models along the first axis. `x`, `y` [models, batch, ...], `is_drawn`
        [models, batch]: which samples count.
        """
        samples = vmap(grad_and_value(self._loss), (None, None, 0, 0), randomness="different")
        models = vmap(samples, randomness="different")
        sums = {name: torch.zeros_like(value) for name, value in learning.items()}
        total = torch.zeros(len(x), device=x.device)
        for start in range(0, x.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            gradients, losses = models(learning, fixed, x[:, part], y[:, part])
            norms = torch.stack([each.flatten(2).norm(dim=2) for each in gradients.values()]).norm(dim=0)
            factors = clip_factors(norms, is_drawn[:, part], norm)
            for name, each in gradients.items():
                sums[name] += torch.einsum("mb,mb...->m...", factors, each)
            total += torch.where(is_drawn[:, part], losses, 0.0).sum(1)
        return sums, total

    def _loss(self, learning: Named, fixed: Named, x: Tensor, y: Tensor) -> Tensor:
        outputs = functional_call(self._module, {**learning, **fixed}, (x[None],))
        return self._objective(outputs, y[None])


class Factored:
    """Compute clipped sums from what enters and leaves linear layers, where these hold all that learns."""

    def __init__(self, module: nn.Module, objective: Objective, shapes: Mapping[str, torch.Size]):
        self._module, self._objective, self._shapes = module, objective, shapes
        self._entered = dict[str, Tensor]()
        self._taps: Named = {}

    def clipped(
        self, learning: Named, fixed: Named, x: Tensor, y: Tensor, is_drawn: Tensor, norm: float
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the same as `Differentiated.clipped`."""
        sizes = x.shape[:2]
        taps = {
            name: torch.zeros(*sizes, *shape, device=x.device, dtype=learning[f"{name}.weight"].dtype)
            for name, shape in self._shapes.items()
        }
        for each in taps.values():
            each.requires_grad_()
        plain = {name: value.detach() for name, value in {**learning, **fixed}.items()}
        handles = [self._module.get_submodule(name).register_forward_hook(self._hook(name)) for name in taps]
        try:
            losses, entered = vmap(self._losses, randomness="different")(plain, taps, x, y)
        finally:
            for handle in handles:
                handle.remove()
        back = dict(zip(taps, torch.autograd.grad(losses.sum(), list(taps.values())), strict=True))
        pairs = {name: (_by_place(entered[name].detach()), _by_place(back[name])) for name in taps}
        squares = sum(_squared_norm(*pair, f"{name}.bias" in learning) for name, pair in pairs.items())
        factors = clip_factors(torch.as_tensor(squares).clamp(min=0.0).sqrt(), is_drawn, norm)
        sums = {name: self._sum(name, pairs, factors) for name in learning}
        return sums, torch.where(is_drawn, losses.detach(), 0.0).sum(1)

    def _losses(self, tensors: Named, taps: Named, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self._taps, self._entered = taps, {}
        outputs = functional_call(self._module, dict(tensors), (x,))
        return vmap(self._of_one)(outputs, y), self._entered

    def _of_one(self, output: Tensor, y: Tensor) -> Tensor:
        return self._objective(output[None], y[None])

    def _hook(self, name: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            self._entered[name] = arguments[0]
            return output + self._taps[name]

        return hook

    @staticmethod
    def _sum(name: str, pairs: Mapping[str, tuple[Tensor, Tensor]], factors: Tensor) -> Tensor:
        layer, _, kind = name.rpartition(".")
        entered, back = pairs[layer]
        weighted = (back * factors[..., None, None]).flatten(1, 2)
        return weighted.sum(1) if kind == "bias" else weighted.mT @ entered.flatten(1, 2)


def _by_place(tensor: Tensor) -> Tensor:
    """Return [models, batch, places, features] of what a linear layer took or gave, one place for a flat one."""
    return tensor.flatten(2, -2) if tensor.ndim > 3 else tensor[:, :, None]


def _squared_norm(entered: Tensor, back: Tensor, has_bias: bool) -> Tensor:
    """Return the squared norm of the gradient of each sample, [models, batch], without writing the gradient down."""
    if entered.shape[2] == 1:
        outer = back.square().sum((2, 3))
        return outer * (entered.square().sum((2, 3)) + has_bias)
    products = (entered @ entered.mT + has_bias) * (back @ back.mT)
    return products.sum((2, 3))


def per_sample(module: nn.Module, objective: Objective, x: Tensor) -> Differentiated | Factored:
    """Return what computes the clipped sums of stacks of `module`, the cheaper way where there is one.

    `x` [samples, ...]: a few inputs, which say how large the outputs of layers are.
    """
    shapes = _shapes(module, x)
    return Differentiated(module, objective) if shapes is None else Factored(module, objective, shapes)


def _shapes(module: nn.Module, x: Tensor) -> dict[str, torch.Size] | None:
    """Return the shape of one sample's output of each linear layer that learns; None where they do not hold all."""
    layers = {
        name: part
        for name, part in module.named_modules()
        if type(part) is nn.Linear and any(each.requires_grad for each in part.parameters())
    }
    own = {f"{name}.{each}" for name, part in layers.items() for each, _ in part.named_parameters()}
    learning = {name for name, each in module.named_parameters() if each.requires_grad}
    return _called_once(module, layers, x) if own == learning else None


def _called_once(module: nn.Module, layers: Mapping[str, nn.Module], x: Tensor) -> dict[str, torch.Size] | None:
    shapes, calls = dict[str, torch.Size](), Counter[str]()

    def note(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            calls[name] += 1
            shapes[name] = output.shape

        return hook

    handles = [part.register_forward_hook(note(name)) for name, part in layers.items()]
    try:
        with restoring(), torch.no_grad():
            vmap(module, randomness="different")(
                x[None]
            )  # as in a stack, where nothing is cut to the longest of a batch
    finally:
        for handle in handles:
            handle.remove()
    apart = all(calls[name] == 1 and shapes[name][0] == len(x) and len(shapes[name]) > 1 for name in layers)
    return {name: shape[1:] for name, shape in shapes.items()} if apart else None
