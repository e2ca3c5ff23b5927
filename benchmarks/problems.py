"""The problems of the fidelity study: what is trained, on what, for how long, and which half a problem belongs to.

The halves were fixed before anything was measured. Estimators are improved on the development half alone, and the
study reports the test half; where a data set stands in both, its models, sizes and epochs differ. The fresh problems
were added after the list of an audit had been settled, and were measured once: the test half had been seen by then.
Data sets other than synthetic ones and scikit-learn's digits are read below the folder that the environment variable
QUANTMIS_DATA names.
"""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale
from torch import nn

from quantmis import seeds
from quantmis.data import Samples
from quantmis.models import Recipe, Task

LETTERS = 8


@dataclass(frozen=True)
class Problem:
    """Hold one problem; `kind` is how its models train: stacked where they are dense, which is many times faster."""

    name: str
    half: str
    load: Callable[[], Samples]
    model: Callable[[], nn.Module]
    recipe: Recipe
    loss: str = "cross_entropy"
    kind: str = "stacked"

    @property
    def task(self) -> Task:
        """What is audited."""
        return Task(model=self.model, loss=self.loss, recipe=self.recipe, name=self.name)


def mlp(*widths: int) -> nn.Module:
    """Return a perceptron with ReLU between its layers."""
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def cnn(side: int, classes: int) -> nn.Module:
    """Return two convolutions and a linear layer over images of one channel."""
    last = side // 4
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * last * last, classes),
    )


def letters(width: int) -> nn.Module:
    """Return a text classifier: letters embedded, the vectors of a window joined, one hidden layer."""
    return nn.Sequential(nn.Embedding(27, 12), nn.Flatten(), nn.Linear(12 * LETTERS, width), nn.ReLU(), mlp(width, 26))


def mixture(samples: int, features: int, classes: int, apart: float, wrong: float = 0.0) -> Samples:
    """Return a Gaussian mixture whose class means have length `apart`; a fraction `wrong` of the labels is random."""
    draw = seeds.generator(0, "fidelity", "mixture", samples, features, classes)
    means = draw.normal(size=(classes, features))
    means *= apart / np.linalg.norm(means, axis=1, keepdims=True)
    y = draw.integers(classes, size=samples)
    x = means[y] + draw.normal(size=(samples, features))
    return Samples(x, np.where(draw.random(samples) < wrong, draw.integers(classes, size=samples), y))


def digits(image: bool = False) -> Samples:
    """Return scikit-learn's 1,797 digits."""
    x, y = load_digits(return_X_y=True)
    return Samples((x / 16).reshape(-1, 1, 8, 8) if image else x / 16, y)


def mnist(samples: int, image: bool = False) -> Samples:
    """Return random images of MNIST's test set, halved in size for convolutions."""
    pixels, labels = (_idx(f"images/t10k-{name}") for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"))
    x = pixels[16:].reshape(-1, 28, 28) / 255
    x = x.reshape(-1, 1, 14, 2, 14, 2).mean((3, 5)) if image else x.reshape(len(x), -1)
    return _few("mnist", samples, x, labels[8:].astype(np.int64))


def cifar(samples: int) -> Samples:
    """Return random CIFAR-10 images, halved in size and flattened."""
    from PIL import Image

    with tarfile.open(_path("images/cifar10_subset_jpeg.tar")) as tar:
        names = sorted(each for each in tar.getnames() if "train/" in each and each.endswith(".jpg"))
        kinds = sorted({Path(each).parent.name for each in names})
        chosen = sorted(seeds.generator(0, "fidelity", "cifar").choice(len(names), samples, replace=False))
        images = [np.asarray(Image.open(io.BytesIO(_member(tar, names[each])))) for each in chosen]
    x = np.stack(images).reshape(-1, 16, 2, 16, 2, 3).mean((2, 4)).reshape(samples, -1) / 255 - 0.5
    return Samples(x, [kinds.index(Path(names[each]).parent.name) for each in chosen])


def location(samples: int) -> Samples:
    """Return rows of Location30: 446 bits, 30 kinds of people."""
    with tarfile.open(_path("tables/dataset_location.tgz")) as tar:
        rows = _member(tar, "bangkok").decode().replace('"', "").splitlines()
    table = np.array([row.split(",") for row in rows], dtype=int)
    return _few("location", samples, table[:, 1:].astype(float), table[:, 0] - 1)


def adult(samples: int) -> Samples:
    """Return rows of Adult: numbers scaled, words one-hot; does a person earn more than 50,000 dollars?"""
    rows = [line.split(", ") for line in _path("tables/adult.data").read_text().splitlines() if line]
    columns = list(zip(*rows, strict=True))
    parts = [_encoded(column) for column in columns[:-1]]
    return _few("adult", samples, np.column_stack(parts), np.array([each == ">50K" for each in columns[-1]], dtype=int))


def admet(task: str, embedding: str, classes: bool) -> Samples:
    """Return molecules as frozen embeddings with the outcome of an assay, scaled where it is a number."""
    table = np.load(_path(f"admet/{task}.npz"), allow_pickle=False)
    x, y = scale(table[embedding].astype(float)), table["y"].astype(float)
    return Samples(x, y.astype(int)) if classes else Samples(x, scale(y)[:, None])


def names(samples: int) -> Samples:
    """Return first names without their last letter, which is to be guessed: the last eight letters before it."""
    words = [word for word in _path("text/names.txt").read_text().split() if len(word) > 2]
    codes = [[ord(letter) - 96 for letter in word] for word in words]
    x = np.array([([0] * LETTERS + code[:-1])[-LETTERS:] for code in codes])
    return _few("names", samples, x, np.array([code[-1] - 1 for code in codes]))


def _few(name: str, samples: int, x: np.ndarray, y: np.ndarray) -> Samples:
    chosen = np.sort(seeds.generator(0, "fidelity", name, samples).choice(len(x), samples, replace=False))
    return Samples(x[chosen], y[chosen])


def _encoded(column: tuple[str, ...]) -> np.ndarray:
    try:
        return scale(np.array(column, dtype=float))[:, None]
    except ValueError:
        kinds, number = np.unique(column, return_inverse=True)
        return np.eye(len(kinds))[number]


def _path(name: str) -> Path:
    return Path(os.environ["QUANTMIS_DATA"]) / name


def _idx(name: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(_path(name).read_bytes()), dtype=np.uint8)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    assert stream is not None
    return stream.read()


def _problem(half: str, name: str, load: Callable[[], Samples], model: Callable[[], nn.Module], epochs: int, **more):
    recipe = Recipe(epochs=epochs, batch_size=more.pop("batch", 32), learning_rate=more.pop("rate", 1e-3))
    return Problem(name, half, load, model, recipe, **more)


def _molecules(half: str, task: str, outputs: int, epochs: int) -> list[Problem]:
    loss = {"loss": "mse"} if outputs == 1 else {}
    return [
        _problem(
            half,
            f"{task}, {embedding}",
            partial(admet, task, embedding, outputs > 1),
            partial(mlp, width, 64, outputs),
            epochs,
            **loss,
        )
        for embedding, width in (("gcn_contextpred", 300), ("molclr_gcn", 512))
    ]


DEVELOPMENT, TEST, FRESH = "development", "test", "fresh"

PROBLEMS = [
    _problem(DEVELOPMENT, "mixture 128", partial(mixture, 1500, 128, 10, 3.0), partial(mlp, 128, 64, 10), 20),
    _problem(DEVELOPMENT, "mixture 64", partial(mixture, 3000, 64, 20, 3.5), partial(mlp, 64, 128, 20), 30),
    _problem(DEVELOPMENT, "digits, wide", digits, partial(mlp, 64, 128, 10), 40),
    _problem(DEVELOPMENT, "digits, narrow", digits, partial(mlp, 64, 32, 10), 15),
    _problem(DEVELOPMENT, "digits, CNN", partial(digits, True), partial(cnn, 8, 10), 20, kind="im2col", rate=3e-3),
    _problem(DEVELOPMENT, "MNIST 3000", partial(mnist, 3000), partial(mlp, 784, 64, 10), 20),
    _problem(DEVELOPMENT, "Location30", partial(location, 5010), partial(mlp, 446, 64, 30), 10),
    _problem(DEVELOPMENT, "Adult 3000", partial(adult, 3000), partial(mlp, 108, 64, 2), 60),
    _problem(DEVELOPMENT, "names 3000", partial(names, 3000), partial(letters, 64), 20),
    *_molecules(DEVELOPMENT, "hia_hou", 2, 20),
    *_molecules(DEVELOPMENT, "caco2_wang", 1, 40),
    _problem(
        DEVELOPMENT, "ames, 4 epochs", partial(admet, "ames", "gcn_contextpred", True), partial(mlp, 300, 64, 2), 4
    ),
    _problem(TEST, "mixture 256", partial(mixture, 900, 256, 5, 4.0), partial(mlp, 256, 64, 5), 15),
    _problem(TEST, "mixture 32, wrong labels", partial(mixture, 2400, 32, 4, 3.0, 0.2), partial(mlp, 32, 256, 4), 60),
    _problem(TEST, "digits, deep", digits, partial(mlp, 64, 96, 96, 10), 25),
    _problem(TEST, "MNIST 1500", partial(mnist, 1500), partial(mlp, 784, 64, 10), 40),
    _problem(TEST, "MNIST 6000", partial(mnist, 6000), partial(mlp, 784, 32, 10), 8, batch=64),
    _problem(TEST, "MNIST, CNN", partial(mnist, 1200, True), partial(cnn, 14, 10), 15, kind="im2col", rate=3e-3),
    _problem(TEST, "CIFAR-10 1500", partial(cifar, 1500), partial(mlp, 768, 64, 10), 25),
    _problem(TEST, "Location30 2000", partial(location, 2000), partial(mlp, 446, 128, 30), 30),
    _problem(TEST, "Adult 8000", partial(adult, 8000), partial(mlp, 108, 64, 2), 20, batch=64),
    _problem(TEST, "names 6000", partial(names, 6000), partial(letters, 96), 10, batch=64),
    *_molecules(TEST, "bbb_martins", 2, 20),
    *_molecules(TEST, "lipophilicity_astrazeneca", 1, 15),
    _problem(FRESH, "mixture 96", partial(mixture, 2000, 96, 8, 3.2), partial(mlp, 96, 48, 8), 25),
    _problem(FRESH, "mixture 48, wrong labels", partial(mixture, 1800, 48, 6, 3.0, 0.1), partial(mlp, 48, 192, 6), 40),
    _problem(FRESH, "digits, widest", digits, partial(mlp, 64, 256, 10), 30),
    _problem(FRESH, "MNIST 2400", partial(mnist, 2400), partial(mlp, 784, 96, 10), 30),
    _problem(
        FRESH, "MNIST, CNN of 2000", partial(mnist, 2000, True), partial(cnn, 14, 10), 10, kind="im2col", rate=3e-3
    ),
    _problem(FRESH, "CIFAR-10 1000", partial(cifar, 1000), partial(mlp, 768, 48, 10), 30),
    _problem(FRESH, "Location30 3500", partial(location, 3500), partial(mlp, 446, 96, 30), 20),
    _problem(FRESH, "Adult 5000", partial(adult, 5000), partial(mlp, 108, 96, 2), 40, batch=64),
    _problem(FRESH, "names 4500", partial(names, 4500), partial(letters, 80), 15),
    *_molecules(FRESH, "pgp_broccatelli", 2, 20),
    *_molecules(FRESH, "ppbr_az", 1, 25),
]
