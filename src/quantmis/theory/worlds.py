"""Worlds where membership inference security is known: the test bench of every indicator.

A world is a linear or logistic model with a few weights, a codebook small enough to enumerate, and a population that
can be sampled without end: finitely many points, each as likely, drawn with replacement. Its losses are one table
[candidates, points] that holds everything, so `Delta_n` can be simulated instead of estimated, with its Monte-Carlo
error and with no approximation: draw n - 1 points, add each point of the population in turn, and see which candidate
is best. An indicator is then given a sample of the population, as it would have in practice, and held to the truth.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float

from quantmis.errors import UserError, require
from quantmis.registry import suggestion
from quantmis.seeds import generator
from quantmis.stats.estimate import Estimate
from quantmis.theory.candidates import checked, distinct, without_shared

POINTS = 1024
CLOSEST = 24  # candidates of each draw that one more point may make best
BLOCK = 500
PARTS = 8

CODEBOOKS: dict[str, tuple[tuple[float, ...], int | None]] = {
    "sign": ((-1.0, 1.0), None),
    "ternary": ((-1.0, 0.0, 1.0), None),
    "sparse1": ((-1.0, 0.0, 1.0), 1),
    "sparse2": ((-1.0, 0.0, 1.0), 2),
    "2bit": ((-1.5, -0.5, 0.5, 1.5), None),
    "quinary": ((-2.0, -1.0, 0.0, 1.0, 2.0), None),
    "3bit": (tuple(np.arange(-3.5, 4.0) / 2), None),
}


@dataclass(frozen=True, eq=False)
class World:
    """Hold the losses of every candidate at every point of a population whose points are equally likely.

    `losses`: [candidates, points]. `weights`: [candidates, dimension], the codebook.
    """

    losses: Float[np.ndarray, "candidates points"]
    weights: Float[np.ndarray, "candidates dimension"]

    def sample(self, samples: int, seed: int = 0) -> Float[np.ndarray, "candidates samples"]:
        """Return the losses at `samples` independent points: the table that an indicator is given.

        >>> world("logistic", "sign", dimension=2).sample(300).shape
        (4, 300)
        """
        return self.losses[:, generator(seed, "world", "sample").integers(self.losses.shape[1], size=samples)]


def codebook(name: str, dimension: int) -> Float[np.ndarray, "candidates dimension"]:
    """Return every vector of weights that a quantizer allows, in units of its scale.

    `name`: "sign", "ternary", "2bit", "quinary" (five levels), "3bit", or "sparse1" and "sparse2", ternary with at
    most so many weights that are not zero. Raises `UserError` for another name.

    >>> codebook("sparse1", 2).tolist()
    [[-1.0, 0.0], [0.0, -1.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if name not in CODEBOOKS:
        raise UserError(f"unknown codebook {name!r}", hint=suggestion(name, CODEBOOKS))
    levels, nonzero = CODEBOOKS[name]
    grid = np.array(list(itertools.product(levels, repeat=dimension)))
    return grid if nonzero is None else grid[(grid != 0).sum(axis=1) <= nonzero]


def logistic_loss(
    weights: Float[np.ndarray, "candidates dimension"],
    inputs: Float[np.ndarray, "points dimension"],
    label: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "candidates points"]:
    """Return `log(1 + exp(-y w.x))`, in nats, for labels -1 and 1.

    >>> logistic_loss(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1)).round(3).tolist()
    [[0.693]]
    """
    return np.logaddexp(0.0, -label * (weights @ inputs.T))


def squared_loss(
    weights: Float[np.ndarray, "candidates dimension"],
    inputs: Float[np.ndarray, "points dimension"],
    label: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "candidates points"]:
    """Return `(y - w.x)^2 / 2`.

    >>> squared_loss(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1)).tolist()
    [[0.5]]
    """
    return (label - weights @ inputs.T) ** 2 / 2


def world(kind: str, quantizer: str, dimension: int = 4, points: int = POINTS, seed: int = 0) -> World:
    """Return a random world: Gaussian inputs of unequal scales, a random true model, and a codebook around it.

    `kind`: "logistic" or "linear". `quantizer`: a name of `codebook`; all codebooks of one seed share the population.
    Raises `UserError` for unknown names.

    >>> world("linear", "ternary", dimension=3).losses.shape
    (27, 1024)
    """
    if kind not in _LABELS:
        raise UserError(f"unknown kind of world {kind!r}", hint=suggestion(kind, _LABELS))
    stream = generator(seed, "world", kind, dimension)
    truth = stream.normal(size=dimension)
    inputs = stream.normal(size=(points, dimension)) * np.exp(0.3 * stream.normal(size=dimension))
    sharpness, label, loss = _LABELS[kind]
    weights = codebook(quantizer, dimension) * sharpness * np.abs(truth).mean()
    return World(loss(weights, inputs, label(sharpness * inputs @ truth, stream)), weights)


def exact_security(
    losses: Float[np.ndarray, "candidates points"], n: int, draws: int = 100_000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Return `MIS_n` of a world by simulation, with its Monte-Carlo error.

    `losses`: [candidates, points], the whole population, each point as likely. `Delta_n = E_z 1/2 sum_k |P(k | z) -
    P(k)|` with the same draws of n - 1 points for every z. The absolute values of noisy differences are too large and
    their values with signs from other draws are too small: both are computed, and the interval contains both.
    Raises `UserError` as `security` does, and for fewer than 1,000 draws.
    Source: the definition.

    >>> population = world("logistic", "sign", dimension=2, points=200)
    >>> truth = exact_security(population.losses, n=50, draws=5000)
    >>> truth.low < truth.value < truth.high
    True
    """
    require(n >= 2, f"n: expected at least 2 training points, got {n}", hint="n is the size of the training set")
    require(draws >= 1000, f"draws: expected at least 1000, got {draws}", hint="100,000 give two digits")
    relative = without_shared(distinct(checked(losses))).astype(np.float32)
    stream = generator(seed, "exact", n)
    parts = np.stack([_changes(relative, n, draws // PARTS, stream) for _ in range(PARTS)])
    return _estimate(parts, level, f"simulation, {draws} draws, {relative.shape[1]} points")


def _changes(relative: np.ndarray, n: int, draws: int, stream: np.random.Generator) -> np.ndarray:
    """Return P(k | z) - P(k), [points, candidates]: how often k is best after z is added to n - 1 drawn points."""
    points = relative.shape[1]
    sizes = [min(BLOCK, draws - begin) for begin in range(0, draws, BLOCK)]
    near = [_closest(_point_counts(points, n - 1, size, stream) @ relative.T) for size in sizes]
    candidate, deficit = (np.concatenate(part) for part in zip(*near, strict=True))
    reach = float(np.ptp(relative, axis=0).max())
    level = (deficit < reach).sum(axis=1)
    gained = np.zeros(relative.shape[::-1])
    for least, most in itertools.pairwise((1, 2, 4, 8, 16, CLOSEST)):
        some = (level > least) & (level <= most)
        gained += _gained(candidate[some, :most], deficit[some, :most], relative)
    gained /= draws
    return gained - gained.mean(axis=0)


def _point_counts(points: int, n: int, draws: int, stream: np.random.Generator) -> Float[np.ndarray, "draws points"]:
    """Return how often each point is drawn, in each of several samples of n points."""
    if n > 4 * points:
        return stream.multinomial(n, np.full(points, 1 / points), size=draws).astype(np.float32)
    flat = stream.integers(points, size=(draws, n)) + points * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * points).reshape(draws, points).astype(np.float32)


def _closest(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates with the least sums, in order, and how far each lies behind the first."""
    width = min(CLOSEST, sums.shape[1])
    candidate = np.argpartition(sums, width - 1, axis=1)[:, :width]
    value = np.take_along_axis(sums, candidate, axis=1)
    order = value.argsort(axis=1)
    value = np.take_along_axis(value, order, axis=1)
    return np.take_along_axis(candidate, order, axis=1), value - value[:, :1]


def _gained(candidate: np.ndarray, deficit: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Return how many draws each candidate wins, less how many it loses, when each point is added."""
    row, first = np.arange(len(candidate)), candidate[:, 0]
    gained = np.zeros(relative.shape[::-1])
    for point, loss in enumerate(relative.T):
        best = candidate[row, (deficit + loss[candidate]).argmin(axis=1)]
        moved = best != first
        gained[point] += np.bincount(best[moved], minlength=len(loss))
        gained[point] -= np.bincount(first[moved], minlength=len(loss))
    return gained


def _advantage(change: np.ndarray, sign: np.ndarray) -> float:
    return float((sign * change).sum(axis=1).mean() / 2)


def _estimate(parts: np.ndarray, level: float, method: str) -> Estimate:
    """Return 1 - Delta_n between its too large and its too small version, from `parts`, independent simulations."""
    change = parts.mean(axis=0)
    others = [(len(parts) * change - part) / (len(parts) - 1) for part in parts]
    above = _advantage(change, np.sign(change))
    below = float(np.mean([_advantage(part, np.sign(other)) for part, other in zip(parts, others, strict=True)]))
    spread = np.std([_advantage(part, np.sign(change)) for part in parts], ddof=1) / math.sqrt(len(parts))
    error = float(scipy.special.stdtrit(len(parts) - 1, (1 + level) / 2) * spread)
    value = 1 - (above + below) / 2
    return Estimate(value, max(0.0, 1 - above - error), min(1.0, 1 - below + error), level, method)


def _classes(score: Float[np.ndarray, " points"], stream: np.random.Generator) -> Float[np.ndarray, " points"]:
    return np.where(stream.random(len(score)) < scipy.special.expit(score), 1.0, -1.0)


def _responses(score: Float[np.ndarray, " points"], stream: np.random.Generator) -> Float[np.ndarray, " points"]:
    return score + stream.normal(size=len(score))


_LABELS = {"logistic": (1.5, _classes, logistic_loss), "linear": (1.0, _responses, squared_loss)}
