"""What a classifier returns: logits, or probabilities, as Keras and many ONNX files do.

Probabilities that are taken for logits make every loss wrong without a word, so they are recognised: no logits of
several samples sum to 1 in every row. Of models with several labels nothing sums to 1; there the last operation is
looked at, or, of a trained model, whether any output lies outside 0 to 1.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from quantmis.models.calling import call

Outputs = Literal["logits", "probabilities"]
OUTPUTS = ("logits", "probabilities")
DECLARED = 'outputs="probabilities"'

SUM = 1e-2
"""How far the sum of probabilities lies from 1 at most, those of 16 bits included."""

SIGMOIDS = ("sigmoid", "sigmoid_", "hardsigmoid")
LEAST, LEFT = torch.finfo(torch.float32).tiny, 2.0**-24
"""The least that is taken for a probability, and for what is left to 1: float32 holds no more near 1."""


def log_probabilities(p: Tensor) -> Tensor:
    """Return the logarithms of probabilities [..., samples, classes], which are logits; 0 counts as float32's least."""
    return p.float().clamp(min=LEAST).log()


def log_odds(p: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of probabilities of labels [..., samples, labels], as far as float32 tells them apart."""
    return p.float().clamp(min=LEAST).log() - (1 - p.float()).clamp(min=LEFT).log()


def are_distributions(outputs: Tensor) -> bool:
    """Whether every row of `outputs` [samples, classes] consists of probabilities that sum to 1.

    >>> are_distributions(torch.tensor([[0.2, 0.8], [1.0, 0.0]])), are_distributions(torch.tensor([[2.0, -1.0]]))
    (True, False)
    """
    sums = outputs.float().sum(-1)
    return within_one(outputs) and bool(((sums - 1).abs() <= SUM).all())


def within_one(outputs: Tensor) -> bool:
    """Whether all `outputs` lie in 0 to 1, but for rounding."""
    return bool(((outputs >= 0) & (outputs <= 1 + SUM)).all())


@torch.no_grad()
def ends_in_sigmoid(module: nn.Module, x: Tensor) -> bool:
    """Whether what `module` returns for `x` [samples, ...] is the result of a sigmoid, whatever it is called."""
    with _Sigmoids() as sigmoids:
        returned = call(module, x)
    memory = {each.untyped_storage().data_ptr() for each in tree_leaves(returned) if isinstance(each, Tensor)}
    return any(each.untyped_storage().data_ptr() in memory for each in sigmoids.results)


class _Sigmoids(TorchDispatchMode):
    """Hold what sigmoids return."""

    def __init__(self):
        super().__init__()
        self.results: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Compute as ever, and remember the results of sigmoids."""
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in SIGMOIDS:
            self.results.append(result)
        return result
