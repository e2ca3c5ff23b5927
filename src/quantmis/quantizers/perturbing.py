"""Copies of a model with noise on the weights that quantizers replace: what shows a quantizer's channel.

Nothing is trained again and nobody's membership is touched: the copy changes a little what the model makes of each
sample, and its quantized copy shows how much of that change a quantizer lets through (`quantmis.theory.channel`).
"""

import copy

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part

SIZE = 1.0
"""Standard deviations of a layer's weights that the noise has: of 0.3 and 1.0 the better on development problems."""


def perturbed(model: nn.Module, generator: torch.Generator, size: float = SIZE) -> nn.Module:
    """Return a copy of `model` with normal noise of `size` standard deviations of each layer on its weights.

    Biases, norms and all that no quantizer replaces stay as they are; a layer whose weights are all equal gets no
    noise. The noise of each layer is drawn from `generator`, in the order of the layers.

    >>> layer = nn.Linear(50, 40)
    >>> noisy = perturbed(layer, torch.Generator().manual_seed(0))
    >>> 0.9 < float((noisy.weight - layer.weight).detach().std() / layer.weight.detach().std()) < 1.1
    True
    """
    noisy = copy.deepcopy(model)
    perturb(noisy, generator, size)
    return noisy


def perturb(model: nn.Module, generator: torch.Generator, size: float = SIZE) -> None:
    """Put onto the weights of `model` itself the noise that its `perturbed` copy has."""
    for each in part.quantizable(model).values():
        weight = part.weight_of(each)
        part.overwrite(each, weight.detach() + size * _noise(weight, generator))


def _noise(weight: Tensor, generator: torch.Generator) -> Tensor:
    draws = torch.randn(weight.shape, generator=generator).to(weight)
    return draws * weight.detach().std(correction=0)
