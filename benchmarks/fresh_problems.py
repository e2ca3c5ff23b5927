"""Problems of other data and other architectures, on which nothing was ever chosen: does the list of an audit hold?

Read by benchmarks/fresh.py. All data are scikit-learn's own or synthetic, all networks are small: a ResNet with
BatchNorm, attention on text, a bag of embeddings, a convolution, LayerNorm with GELU, tanh, and regressions.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from problems import FRESH, Problem, cnn, digits, mixture, mlp
from sklearn import datasets
from sklearn.preprocessing import scale
from torch import Tensor, nn

from quantmis import seeds
from quantmis.data import Samples
from quantmis.models import Recipe

WORDS, LENGTH, LANGUAGES = 24, 10, 4


class Block(nn.Module):
    """Add to its input what two convolutions with BatchNorm make of it."""

    def __init__(self, channels: int):
        super().__init__()
        convolution = partial(nn.Conv2d, channels, channels, 3, padding=1, bias=False)
        parts = (convolution(), nn.BatchNorm2d(channels), nn.ReLU(), convolution(), nn.BatchNorm2d(channels))
        self.inner = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, channels, side, side]."""
        return torch.relu(x + self.inner(x))


def resnet() -> nn.Module:
    """Return a ResNet of one block for images of one channel and 8 by 8 pixels."""
    stem = (nn.Conv2d(1, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
    return nn.Sequential(*stem, Block(12), nn.Flatten(), nn.Linear(12 * 16, 10))


class Attention(nn.Module):
    """Classify a text by one layer of attention with a residual, LayerNorm, a hidden layer, and the mean over words."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(LENGTH, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.norm, self.hidden, self.out = nn.LayerNorm(width), nn.Linear(width, 48), nn.Linear(48, LANGUAGES)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, classes]."""
        h = self.words(x) + self.places.weight
        weight = (self.query(h) @ self.key(h).transpose(-1, -2) / h.shape[-1] ** 0.5).softmax(-1)
        return self.out(torch.relu(self.hidden(self.norm(h + weight @ self.value(h)))).mean(-2))


class Bag(nn.Module):
    """Classify a text by the mean of its words' embeddings and a hidden layer."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, width), mlp(width, 48, LANGUAGES)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, classes]."""
        return self.head(self.words(x).mean(-2))


def other_layers(activation: type[nn.Module], norm: bool, *widths: int) -> nn.Module:
    """Return a perceptron with another activation and, if asked, LayerNorm before it."""
    parts: list[nn.Module] = []
    for a, b in pairwise(widths):
        parts += [nn.Linear(a, b), *([nn.LayerNorm(b)] if norm else []), activation()]
    return nn.Sequential(*parts[: -2 if norm else -1])


def texts(samples: int) -> Samples:
    """Return texts of several languages, each a Markov chain of words, to be told by their language."""
    draw = seeds.generator(0, "fresh", "texts", samples)
    chains = draw.dirichlet(np.full(WORDS, 0.4), size=(LANGUAGES, WORDS))
    y = draw.integers(LANGUAGES, size=samples)
    x = draw.integers(WORDS, size=(samples, LENGTH))
    for place in range(1, LENGTH):
        reach = chains[y, x[:, place - 1]].cumsum(axis=1)
        x[:, place] = np.minimum((draw.random((samples, 1)) > reach).sum(axis=1), WORDS - 1)
    return Samples(x, y)


def toy(x: np.ndarray, y: np.ndarray) -> Samples:
    """Return a classification with scaled inputs."""
    return Samples(scale(x), np.unique(y, return_inverse=True)[1])


def numbers(x: np.ndarray, y: np.ndarray) -> Samples:
    """Return a regression with scaled inputs and targets."""
    return Samples(scale(x), scale(y)[:, None])


def _toy(name: str, load, model, epochs: int, rate: float = 3e-3, **more) -> Problem:
    return Problem(name, FRESH, load, model, Recipe(epochs=epochs, batch_size=32, learning_rate=rate), **more)


CLASSES = partial(datasets.make_classification, 1200, 24, n_informative=10, n_classes=4, flip_y=0.05, random_state=4)
REGRESSION = partial(datasets.make_regression, 900, 30, n_informative=15, noise=60.0, random_state=5)
PROBLEMS = [
    _toy("ResNet with BatchNorm, digits", partial(digits, True), resnet, 8, kind="auto"),
    _toy("convolution, digits", partial(digits, True), partial(cnn, 8, 10), 15, kind="im2col"),
    _toy("attention, texts", partial(texts, 1200), Attention, 20),
    _toy("bag of embeddings, texts", partial(texts, 1500), Bag, 25),
    _toy(
        "diabetes", lambda: numbers(*datasets.load_diabetes(return_X_y=True)), partial(mlp, 10, 48, 1), 60, loss="mse"
    ),
    _toy(
        "Friedman",
        lambda: numbers(*datasets.make_friedman1(900, 10, noise=2.0, random_state=6)),
        partial(mlp, 10, 64, 1),
        40,
        loss="mse",
    ),
    _toy(
        "linear in 30, tanh",
        lambda: numbers(*REGRESSION()),
        partial(other_layers, nn.Tanh, False, 30, 48, 1),
        40,
        loss="mse",
    ),
    _toy("breast cancer", lambda: toy(*datasets.load_breast_cancer(return_X_y=True)), partial(mlp, 30, 48, 2), 40),
    _toy("moons", lambda: toy(*datasets.make_moons(1200, noise=0.35, random_state=7)), partial(mlp, 2, 64, 64, 2), 60),
    _toy("four kinds", lambda: toy(*CLASSES()), partial(mlp, 24, 64, 4), 25),
    _toy("sums of squares", lambda: toy(*datasets.make_hastie_10_2(1500, random_state=8)), partial(mlp, 10, 96, 2), 40),
    _toy(
        "LayerNorm and GELU, mixture",
        partial(mixture, 1200, 48, 6, 2.5),
        partial(other_layers, nn.GELU, True, 48, 64, 6),
        20,
    ),
]
