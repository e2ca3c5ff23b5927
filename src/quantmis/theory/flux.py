"""Boundary flux: how much probability one training point carries across the boundaries between candidates.

The training procedure returns the candidate whose cumulated loss S_k is least. The best attack learns from it only
where one point moves S across a boundary, where the two least of the S_k are level. With `f_kj` the density of
{S_j - S_k = 0 and both are the minimum} and `s_k(z) = l_k(z) - m_k`,

    P(k | z) - P(k) ~ sum_{j != k} f_kj (s_j(z) - s_k(z)),      Delta_n = 1/2 E_z sum_k | P(k | z) - P(k) |.

*Sums.* S has the mean n m, the covariance n C and the third cumulants of n points: a few resampled points,
enlarged by the cube root of how many each stands for, carry the skewness; a Gaussian term carries the rest.

*Density.* Along a line S + u v through a draw, where v moves one Gaussian coordinate and u is that coordinate, the
minimum is the lower envelope of straight lines. Each of its corners is a point of a boundary, met with a density that
is known exactly: no bandwidth, and a rare near tie is found wherever on the line it lies. The lines run along the
gaps between the candidates that are most often level. A corner that lines of several directions could have met
counts once: its weight is one over the sum of the densities (the balance heuristic of Veach and Guibas, 1995).

*Moves.* A point moves S by a finite step. The change of P(k) from a point z' to a point z is the flux along the
segment between them, so the corners are sought in S_{n-1} + t s(z) + (1 - t) s(z') with uniform t: exact at any size of
the step. Only the signs of P(k | z) - P(k) are taken from the formula above. Derived for this project.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float, Int

REACH = 7.0  # how many standard deviations a line runs each way
NEAR = 32  # candidates that can be least on one line; the others are level with the best beyond its ends
DIRECTIONS = 48
PILOT = 2000
MOVES = 4  # pairs of points z, z' tried on each draw of the sums
LARGEST_SUM = 100  # resampled points in a sum
COLUMNS = 4096  # points z over which the advantage is averaged
RESAMPLED = 20_000  # columns from which the skewed part of the sums is drawn
IRRELEVANT = 45.0  # a candidate less likely than the nearest by exp(-45 / 2) is left out
ENTRIES = 4_000_000  # of one block of draws


@dataclass(frozen=True, eq=False)
class Law:
    """Hold the law of the losses of the candidates that can win: `m`, `C` and the centred losses `s`.

    `mean`: [candidates], relative to the best. `covariance`: [candidates, candidates]. `moves`: [candidates,
    samples], `s_k(z) = l_k(z) - m_k`.
    """

    mean: Float[np.ndarray, " candidates"]
    covariance: Float[np.ndarray, "candidates candidates"]
    moves: Float[np.ndarray, "candidates samples"]

    @staticmethod
    def of(relative: Float[np.ndarray, "all samples"], n: int) -> "Law":
        """Return the law of losses relative to the best candidate, without candidates that cannot win with n points."""
        mean, variance = relative.mean(axis=1), relative.var(axis=1)
        distance = np.divide(n * mean**2, variance, where=variance > 0, out=np.where(mean > 0, np.inf, 0.0))
        keep = distance <= np.sort(distance)[1] + IRRELEVANT
        moves = relative[keep] - mean[keep, None]
        return Law(mean[keep], moves @ moves.T / (moves.shape[1] - 1), moves)

    @property
    def candidates(self) -> int:
        """The number of candidates that can win."""
        return len(self.mean)

    def columns(self, stream: np.random.Generator, count: int) -> Float[np.ndarray, "candidates columns"]:
        """Return the centred losses at `count` of the points, or at all when there are fewer."""
        moves = self.moves[:, stream.permutation(self.moves.shape[1])[:count]]
        return moves - moves.mean(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Sums:
    """Hold draws of the cumulated losses of n - 1 points and the mean of one more: `rest` + `scale` * `gaussian`."""

    rest: Float[np.ndarray, "draws candidates"]
    gaussian: Float[np.ndarray, "draws candidates"]
    scale: float

    @property
    def total(self) -> Float[np.ndarray, "draws candidates"]:
        """The cumulated losses S."""
        return self.rest + self.scale * self.gaussian

    def first(self, count: int) -> "Sums":
        """Return the first draws."""
        return Sums(self.rest[:count], self.gaussian[:count], self.scale)

    def moved(self, shift: Float[np.ndarray, " candidates"]) -> "Sums":
        """Return the same draws about another mean."""
        return Sums(self.rest + shift, self.gaussian, self.scale)


class Sampler:
    """Draw cumulated losses with the mean, covariance and third cumulants of n points."""

    def __init__(self, law: Law, n: int, stream: np.random.Generator):
        self._stream, self._mean = stream, n * law.mean
        jitter = 1e-11 * np.trace(law.covariance) * np.eye(law.candidates)
        self._root = np.linalg.cholesky(law.covariance + jitter).T
        self._points = np.ascontiguousarray(law.columns(stream, RESAMPLED).T, dtype=np.float32)
        self._few = min((n - 1) // 8, LARGEST_SUM)
        self._enlarged = ((n - 1) / max(self._few, 1)) ** (1 / 3)
        self._scale = math.sqrt(n - 1 - self._few * self._enlarged**2)

    def draw(self, draws: int) -> Sums:
        """Return `draws` independent draws."""
        gaussian = self._stream.normal(size=(draws, len(self._root))) @ self._root
        return Sums(self._mean + self._enlarged * self._skewed(draws), gaussian, self._scale)

    def _skewed(self, draws: int) -> Float[np.ndarray, "draws candidates"]:
        samples = len(self._points)
        point = self._stream.integers(samples, size=draws * self._few)
        ends = np.arange(0, len(point) + 1, self._few) if self._few else np.zeros(draws + 1, dtype=int)
        picks = scipy.sparse.csr_array((np.ones(len(point), dtype=np.float32), point, ends), shape=(draws, samples))
        return (picks @ self._points).astype(float)


@dataclass(frozen=True, eq=False)
class Directions:
    """Hold the directions of lines: the gaps between candidates that are often the two least.

    `first`, `second`: the pairs. `share`: how often each is used. `slope`: [directions, candidates], the move of S
    for one standard deviation of the gap. `agreement`: the correlations of the gaps.
    """

    first: Int[np.ndarray, " directions"]
    second: Int[np.ndarray, " directions"]
    share: Float[np.ndarray, " directions"]
    slope: Float[np.ndarray, "directions candidates"]
    deviation: Float[np.ndarray, " directions"]

    @staticmethod
    def of(law: Law, sums: Sums) -> "Directions":
        """Return the gaps between the two least of the first draws, the most frequent ones."""
        least = np.sort(np.argpartition(sums.total[:PILOT], 1, axis=1)[:, :2], axis=1)
        pair, count = np.unique(least @ [law.candidates, 1], return_counts=True)
        often = np.sort(count.argsort(kind="stable")[::-1][:DIRECTIONS])
        first, second = np.divmod(pair[often], law.candidates)
        share = 0.9 * count[often] / count[often].sum() + 0.1 / len(often)
        difference = law.covariance[first] - law.covariance[second]
        row = np.arange(len(first))
        variance = difference[row, first] - difference[row, second]
        deviation = np.sqrt(np.maximum(variance, 1e-12 * np.trace(law.covariance) / law.candidates))
        return Directions(first, second, share, difference / deviation[:, None], deviation)

    @property
    def agreement(self) -> Float[np.ndarray, "directions directions"]:
        """The correlation of each pair of gaps."""
        return (self.slope[:, self.first] - self.slope[:, self.second]) / self.deviation

    def coordinate(self, gaussian: Float[np.ndarray, "draws candidates"]) -> Float[np.ndarray, "draws directions"]:
        """Return the standard normal coordinate of each draw along each direction."""
        return (gaussian[:, self.first] - gaussian[:, self.second]) / self.deviation


@dataclass(frozen=True, eq=False)
class Lines:
    """Hold one line S + u v through each draw, for the candidates that can be least on it.

    `start`: S where u = 0; `slope`: v; `candidate`: whose; all [draws, near]. `direction`: [draws]. `coordinate`:
    [draws, directions], where along each direction the draw lies.
    """

    start: Float[np.ndarray, "draws near"]
    slope: Float[np.ndarray, "draws near"]
    candidate: Int[np.ndarray, "draws near"]
    direction: Int[np.ndarray, " draws"]
    coordinate: Float[np.ndarray, "draws directions"]

    @staticmethod
    def through(sums: Sums, directions: Directions, stream: np.random.Generator) -> "Lines":
        """Return a line through each draw, along directions in proportion to their shares."""
        draws, candidates = sums.rest.shape
        direction = np.searchsorted(directions.share.cumsum(), (stream.permutation(draws) + 0.5) / draws)
        direction = np.minimum(direction, len(directions.share) - 1)
        coordinate = directions.coordinate(sums.gaussian)
        slope = sums.scale * directions.slope[direction]
        start = sums.total - coordinate[np.arange(draws), direction][:, None] * slope
        near = _nearest(start, slope) if candidates > NEAR else np.tile(np.arange(candidates), (draws, 1))
        start, slope = np.take_along_axis(start, near, axis=1), np.take_along_axis(slope, near, axis=1)
        return Lines(start, slope, near, direction, coordinate)


@dataclass(frozen=True, eq=False)
class Corners:
    """Hold points of boundaries: on line `draw` at `position`, candidate `left` is least before, `right` after."""

    draw: Int[np.ndarray, " corners"]
    left: Int[np.ndarray, " corners"]
    right: Int[np.ndarray, " corners"]
    position: Float[np.ndarray, " corners"]


def _nearest(start: np.ndarray, slope: np.ndarray) -> Int[np.ndarray, "draws near"]:
    """Return the candidates that come level with the least of `start` at the smallest distance along the line."""
    row = np.arange(len(start))
    least = start.argmin(axis=1)
    closing = np.abs(slope - slope[row, least][:, None])
    away = np.divide(start - start[row, least][:, None], closing, where=closing > 0, out=np.full_like(start, np.inf))
    away[row, least] = -1.0
    return np.argpartition(away, NEAR - 1, axis=1)[:, :NEAR]


def corners(start: Float[np.ndarray, "draws near"], slope: Float[np.ndarray, "draws near"]) -> Corners:
    """Return the corners of the lower envelope of the lines start + u slope, for |u| below `REACH`.

    Walks from left to right: the next corner is where the first flatter line comes level with the least one.

    >>> envelope = corners(np.array([[0.0, 1.0, 9.0]]), np.array([[1.0, -1.0, 0.0]]))
    >>> envelope.left.tolist(), envelope.right.tolist(), envelope.position.tolist()
    ([0], [1], [0.5])
    """
    draw, least = np.arange(len(start)), (start - REACH * slope).argmin(axis=1)
    pieces: list[tuple[np.ndarray, ...]] = []
    while len(draw):
        row = np.arange(len(draw))
        closing = slope[row, least][:, None] - slope
        distance = start - start[row, least][:, None]
        level = np.divide(distance, closing, where=closing > 1e-12, out=np.full_like(start, np.inf))
        following = level.argmin(axis=1)
        position = level[row, following]
        on = position < REACH
        pieces.append((draw[on], least[on], following[on], position[on]))
        draw, start, slope, least = draw[on], start[on], slope[on], following[on]
    return Corners(*(np.concatenate(part) for part in zip(*pieces, strict=True)))


def weights(at: Corners, lines: Lines, directions: Directions, scale: float) -> Float[np.ndarray, " corners"]:
    """Return one over the density with which lines of all directions meet each corner.

    A line of direction e meets a boundary of slope difference d at its coordinate u with density `d / phi(u)`
    relative to the density of the gap.
    """
    own = lines.direction[at.draw]
    moved = at.position - lines.coordinate[at.draw, own]
    coordinate = lines.coordinate[at.draw] + moved[:, None] * directions.agreement[own]
    closing = scale * np.abs(directions.slope[:, at.left] - directions.slope[:, at.right]).T
    inverse = math.sqrt(2 * math.pi) * np.exp(np.minimum(coordinate**2, REACH**2) / 2)
    met = np.where(np.abs(coordinate) < REACH, directions.share * closing * inverse, 0.0).sum(axis=1)
    return np.divide(1.0, met, where=met > 0, out=np.zeros_like(met))
