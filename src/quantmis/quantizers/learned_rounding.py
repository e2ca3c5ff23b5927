"""Whether to round each weight up or down, as a smooth function that gradients can follow (AdaRound, BRECQ).

A weight's code is the level below plus h(v) in [0, 1]. A penalty, mild at first, drives every h(v) to 0 or 1. Both
papers weigh it by 0.01 against an error in units of the layer's outputs; here the error is in units of what rounding
to the nearest makes, so that one weighting serves layers of every size.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

RATE = 0.1
PENALTY = 16.0
WARM_UP = 0.2
STEEPEST, SMOOTHEST = 2.0, 20.0
LOW, HIGH = -0.1, 1.1
"""The ends of the stretched sigmoid, which reaches 0 and 1 at finite arguments."""


def share(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return h(v), the share of a step by which each weight is rounded up."""
    return (torch.sigmoid(logits) * (HIGH - LOW) + LOW).clamp(0, 1)


def logits_of(shares: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the v with h(v) = `shares`: where the search starts, at the weights as they are.

    >>> share(logits_of(torch.tensor([0.25, 0.5]))).tolist()
    [0.25, 0.5]
    """
    inner = (shares - LOW) / (HIGH - LOW)
    return (inner / (1 - inner)).log()


def learn(
    starts: list[Float[Tensor, "..."]], error: Callable[[int, list[Tensor]], Tensor], iterations: int
) -> list[Float[Tensor, "..."]]:
    """Return 0 or 1 for every weight: whether to round it up.

    `starts`: the fraction by which each weight exceeds the level below. `error(step, shares)` is the squared error
    that shares of a step make, in units of that of rounding to the nearest, times the number of weights.
    """
    logits = [logits_of(start).requires_grad_() for start in starts]
    optimizer = torch.optim.Adam(logits, RATE)
    with torch.enable_grad(), differentiable():
        for step in range(iterations):
            optimizer.zero_grad()
            shares = [share(each) for each in logits]
            (error(step, shares) + _penalty(shares, step / iterations)).backward()
            optimizer.step()
    return [(share(each.detach()) >= 0.5).to(each.dtype) for each in logits]


@contextmanager
def differentiable() -> Generator[None]:
    """Keep attention from its fused forward, which has no gradient and is taken by mistake where models are stacked."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _penalty(shares: list[Tensor], progress: float) -> Tensor:
    if progress < WARM_UP:
        return torch.zeros(())
    power = STEEPEST + (SMOOTHEST - STEEPEST) * (1 - (progress - WARM_UP) / (1 - WARM_UP))
    return PENALTY * torch.stack([(1 - (2 * each - 1).abs().pow(power)).sum() for each in shares]).sum()
