"""Steps of DP-SGD for a group of models: Poisson sampling, gradients clipped sample by sample, noise.

Model i draws its samples from the stream at ("shadow", i, "order") and its noise from ("shadow", i, "noise"), so that
neither depends on which models are trained beside it, nor on the engine kind. The streams are those of torch and NumPy:
good for measuring what a private training gives away, not for keeping a secret against who can guess a seed.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase  # pyright: ignore[reportPrivateUsage]

from quantmis.errors import require
from quantmis.models import ensemble, loop, streams
from quantmis.models.calling import call
from quantmis.models.dp import DP, Mechanism, mechanism_of
from quantmis.models.recipe import Recipe

WIDTHS = 8
"""Batches are filled up to a multiple of this, so that few widths occur."""

INSTEAD = "use nn.GroupNorm, nn.LayerNorm or nn.InstanceNorm without running statistics, which look at one sample"

Group = ensemble.Stack | loop.Row


def mechanism(recipe: Recipe, samples: int) -> Mechanism:
    """Return the mechanism of a private training of so many samples, in expectation."""
    assert recipe.dp is not None  # noqa: S101 for the type checker
    return mechanism_of(recipe.dp, min(recipe.batch_size / samples, 1.0), recipe.steps(samples))


def descent(
    group: Group,
    recipe: Recipe,
    rows: Sequence[Int[np.ndarray, "_"]],
    samples: int,
    orders: Sequence[np.random.Generator],
    noises: Sequence[torch.Generator],
    data: tuple[Tensor, Tensor],
) -> Iterator[Callable[[], None]]:
    """Yield, step by step, what gives the models of a group their private gradients.

    `rows`: the training samples of each model; `samples`: how many these are in expectation, which the accountant may
    know. `orders` and `noises`: the streams of each model. `data`: inputs and targets of all samples.
    """
    assert recipe.dp is not None  # noqa: S101 for the type checker
    counted, (x, y) = mechanism(recipe, samples), data
    scale = counted.noise_multiplier * recipe.dp.clip_norm
    for _ in range(counted.steps):
        batch, is_drawn = poisson(rows, counted.rate, orders)
        yield partial(_gradient, group, recipe.dp, x, y, batch, is_drawn, noises, scale, counted.rate * samples)


def _gradient(
    group: Group,
    dp: DP,
    x: Tensor,
    y: Tensor,
    batch: Tensor,
    is_drawn: Tensor,
    noises: Sequence[torch.Generator],
    scale: float,
    expected: float,
) -> None:
    group.clipped(x, y, batch, is_drawn.to(x.device), dp.clip_norm)
    noise = torch.stack([torch.randn(group.size, generator=each, device=each.device) for each in noises])
    group.perturb(noise * scale, expected)


def poisson(
    rows: Sequence[Int[np.ndarray, "_"]], rate: float, orders: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """Return a batch for each model, in which each of its samples is with probability `rate`, and which were drawn.

    Both are [models, width]. Nothing is cut off: batches are as wide as the largest, and the others are filled up with
    samples that do not count.
    """
    drawn = [each[order.random(len(each)) < rate] for each, order in zip(rows, orders, strict=True)]
    width = max(WIDTHS, -(-max(map(len, drawn)) // WIDTHS) * WIDTHS)
    batch = np.stack([np.pad(each, (0, width - len(each)), constant_values=0) for each in drawn])
    return torch.from_numpy(batch), torch.from_numpy(np.stack([np.arange(width) < len(each) for each in drawn]))


def require_separable(module: nn.Module, x: Tensor) -> None:
    """Raise `UserError` for a layer that mixes the samples of a batch or keeps what it saw of them, without noise.

    `x` [samples, ...]: a few inputs, on which a copy is run as in training.
    """
    for name, part in module.named_modules():
        mixes = isinstance(part, _BatchNorm) or (isinstance(part, _NormBase) and part.track_running_stats)
        require(
            not mixes,
            f"dp: the layer {name or 'itself'}, {type(part).__name__}, takes statistics over the samples of a batch, "
            "so that no gradient belongs to one sample",
            hint=INSTEAD,
        )
    trained = copy.deepcopy(module).train()
    before = {name: value.clone() for name, value in trained.named_buffers()}
    with streams.restoring(), torch.no_grad():
        call(trained, x)
    changed = [name for name, value in trained.named_buffers() if not torch.equal(value, before[name])]
    require(
        not changed,
        f"dp: training changes the buffer {', '.join(changed[:1])}, which no noise protects",
        hint="keep nothing of what the model saw but its weights; " + INSTEAD,
    )
