"""A linear head on frozen embeddings with a guarantee: the exact minimiser, quantized by an error that is the noise.

Output perturbation (Chaudhuri, Monteleoni and Sarwate 2011, JMLR 12): the minimiser of a mean of losses that are
L-Lipschitz in the scores, over n embeddings of norm at most R, plus decay / 2 times the squared norm of the weights,
moves by at most 2 L R / (n decay) when one record is replaced. Gaussian noise of the size that this calls for makes it
(epsilon, delta)-private, and `quantmis.theory.dithering` makes quantizing do that.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import nn

from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.theory.dithering import analytic_gaussian, decode, dither, encode

SLACK = 1e-3
"""How far from zero the gradient may be at the end, of what one record contributes to it; counted as sensitivity."""

LIPSCHITZ = math.sqrt(2.0)
"""Of the cross-entropy in the logits: its gradient is probabilities less a one-hot vector."""


@dataclass(frozen=True)
class DitheredHead:
    """Train a linear classifier so that it is (epsilon, delta)-private of each record, as the recipe of a task.

    `norm`: what the norm of every embedding is known to keep below; scale or clip them so before. `decay`: the strength
    of the L2 penalty, decay / 2 times the squared norm of the weights beside the mean cross-entropy. The model is one
    Linear layer without bias; a column of ones in the embeddings does what a bias would. Neighbours are sets of equally
    many records of which one differs. The guarantee holds for whoever sees the weights or what is made of them, not the
    dither. Raises `UserError` for anything that would void it.

    >>> draw = np.random.default_rng(0)
    >>> x = draw.normal(size=(200, 4)); x /= np.linalg.norm(x, axis=1, keepdims=True)
    >>> head = DitheredHead(epsilon=8.0, delta=1e-5, norm=1.0, decay=0.1)
    >>> samples, stream = Samples(x, (x[:, 0] > 0).astype(int)), torch.Generator().manual_seed(0)
    >>> head(nn.Linear(4, 2, bias=False), samples, stream).weight.shape, round(head.sensitivity(200), 3)
    (torch.Size([2, 4]), 0.142)
    """

    epsilon: float
    delta: float
    norm: float
    decay: float

    def __post_init__(self):
        for name in ("norm", "decay"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"dithered head: {name} must be a positive number, got {value}")
        analytic_gaussian(self.epsilon, self.delta)  # checks both

    def sensitivity(self, records: int) -> float:
        """Return how far replacing one of that many records moves the weights, in the Euclidean norm."""
        return 2 * LIPSCHITZ * self.norm / (records * self.decay) * (1 + SLACK)

    def sigma(self, records: int) -> float:
        """Return the standard deviation of the noise on each weight."""
        return analytic_gaussian(self.epsilon, self.delta, self.sensitivity(records))

    def __call__(self, model: nn.Module, samples: Samples, generator: torch.Generator) -> nn.Module:
        """Return `model` with private weights."""
        layer = self._layer(model)
        x, y = self._checked(samples, layer)
        exact = self._minimiser(x, y, layer.out_features)
        draw = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        by = dither(self.sigma(len(x)), exact.shape, draw)
        private = decode(encode(exact, by), by)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(private))
        return model

    def _layer(self, model: nn.Module) -> nn.Linear:
        layers = [each for each in model.modules() if not list(each.children())]
        require(
            len(layers) == 1 and isinstance(layers[0], nn.Linear) and len(list(layers[0].parameters())) == 1,
            "dithered head: the model must be one Linear layer without bias, on frozen embeddings",
            hint="nn.Linear(features, classes, bias=False); the guarantee rests on a convex problem",
        )
        layer = layers[0]
        assert isinstance(layer, nn.Linear)  # noqa: S101 for the type checker
        return layer

    def _checked(self, samples: Samples, layer: nn.Linear) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
        x, y = np.asarray(samples.x, dtype=np.float64), np.asarray(samples.y)
        require(
            y.ndim == 1 and y.dtype.kind in "iub" and layer.out_features > 1,
            "dithered head: its loss is the cross-entropy of two classes or more, whose slope is bounded",
            hint="a squared error has no bound on its slope, so that no sensitivity is known",
        )
        longest = float(np.linalg.norm(x, axis=1).max())
        require(
            longest <= self.norm * (1 + 1e-6),
            f"dithered head: an embedding has norm {longest:.4g}, above the {self.norm:g} that was promised",
            hint="divide each embedding by max(1, its norm / norm), here and wherever the model is used",
        )
        require(
            self.delta < 1 / len(x),
            f"dithered head: delta {self.delta:g} is no guarantee for {len(x)} records",
            hint="by convention delta lies well below 1 / records: publishing one whole record at random keeps that",
        )
        return x, y.astype(np.int64)

    def _minimiser(
        self, x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], classes: int
    ) -> Float[np.ndarray, "classes d"]:
        """Return weights at which the gradient is as good as zero."""

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weight = flat.reshape(classes, -1)
            logs = log_softmax(x @ weight.T, axis=1)
            residual = np.exp(logs)
            residual[np.arange(len(y)), y] -= 1
            value = self.decay / 2 * float(flat @ flat) - float(logs[np.arange(len(y)), y].mean())
            return value, (residual.T @ x / len(x)).ravel() + self.decay * flat

        options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 0.0, "gtol": 1e-12}
        found = minimize(objective, np.zeros(classes * x.shape[1]), jac=True, method="L-BFGS-B", options=options).x
        left = float(np.linalg.norm(objective(found)[1]))
        most = SLACK * LIPSCHITZ * self.norm / len(x)
        require(left <= most, f"dithered head: the minimiser was not reached, gradient {left:.2g} above {most:.2g}")
        return found.reshape(classes, -1)
