"""Membership inference security itself: `MIS_n = 1 - Delta_n`, from one table of losses.

With theta_hat the outcome of training on z_1..z_n,

    Delta_n = TV( law(theta_hat, z_1), law(theta_hat) x P )
            = E_z 1/2 sum_k | P(theta_hat = k | z_1 = z) - P(theta_hat = k) |

is the advantage of the best membership attack of all, known or unknown: 1 - MIS. Every concrete attack gives an upper
bound on MIS; only a theory of training gives the number. The one here: theta_hat minimises the empirical loss over
the candidates, whose losses on the population are the table. `quantmis.theory.flux` says how Delta_n is computed.

The number is as good as the table: what n points decide must be resolved by its N columns. The means of the losses
enter n-fold, so the relative error of Delta_n is about `sqrt(2 r) n / sqrt(N)` with r the rate: for values, rather
than bounds, N should be a hundred times n. The interval says how much is left.

The method is made for n of 50 or more. Against simulation the advantage comes out about 3 % low at n = 20, 8 % at
n = 10 and a quarter at n = 5, where a few points are far from Gaussian; the interval does not include this.
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy
from jaxtyping import Float, Int

from quantmis.errors import require
from quantmis.seeds import generator
from quantmis.stats.estimate import Estimate
from quantmis.theory.candidates import checked, distinct, without_shared
from quantmis.theory.flux import (
    COLUMNS,
    ENTRIES,
    MOVES,
    PILOT,
    Corners,
    Directions,
    Law,
    Lines,
    Sampler,
    Sums,
    corners,
    weights,
)

DRAWS = 20_000
FEWEST_DRAWS = PILOT
RESAMPLES = 40
RESAMPLED_DRAWS = 1000
RESAMPLED_POINTS = 512
BLOCKS = 1024
METHOD_ERROR = 0.03  # of the method itself, relative, as benchmarks/theory.py measures it
UNRESOLVED = 1.0  # standard error of log Delta_n beyond which only a bound is given
HOPELESS = 5.0  # and beyond which there is no bound either
NOT_RESAMPLED = np.zeros(2)  # of columns, where their error is not asked for


def security(
    losses: Float[np.ndarray, "candidates samples"],
    n: int,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return `MIS_n = 1 - Delta_n` of a procedure that minimises the empirical loss, by boundary flux.

    `losses`: [candidates, samples], of every candidate on points of the population that trained none of them.
    `n`: the number of training points. `draws`: of the cumulated losses. The interval accounts for the columns and
    for the draws. An advantage that they do not resolve gives a `reason`; the value is then a lower bound. Equal rows
    are one candidate. Assumes independent points, and training that finds the best candidate. Raises `UserError` for
    fewer than two candidates, 100 samples, 2 training points or 2,000 draws, and for NaN.
    Source: derived for this project.

    >>> points = np.random.default_rng(0).normal(size=5000)
    >>> estimate = security(np.stack([0 * points, 0.1 + points]), n=100, draws=2000)
    >>> round(estimate.value, 2), round(1 - math.exp(-0.5) / (math.pi * 10), 2)
    (0.98, 0.98)
    """
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}")
    law = _law(losses, n, draws)
    samples = losses.shape[1]
    method = f"boundary flux, {draws} draws, {samples} points, {law.candidates} of {len(losses)} candidates can win"
    if not law.covariance.any():
        return _bound(3 / draws, level, method, "no other candidate is ever better")
    return _estimate(_sampled(law, n, draws, seed), n / samples, 3 / draws, level, method)


def advantage(losses: Float[np.ndarray, "candidates points"], n: int, draws: int = DRAWS, seed: int = 0) -> float:
    """Return `Delta_n` when the points are the whole population, each as likely: a number without an interval.

    `losses`: [candidates, points]. The method of `security`, and its errors, where the columns are no sample.

    >>> points = np.tile([-1.0, 1.0], 100)
    >>> round(advantage(np.stack([0 * points, 0.1 + points]), n=100), 2)
    0.02
    """
    law = _law(losses, n, draws)
    return _flux(_Run.of(law, n, draws, seed), NOT_RESAMPLED).advantage if law.covariance.any() else 0.0


def flux(losses: Float[np.ndarray, "candidates samples"], n: int, draws: int, seed: int) -> "Flux | None":
    """Return the advantage with its errors in parts, which tables of the same samples share; None where it is 0."""
    law = _law(losses, n, draws)
    return _sampled(law, n, draws, seed) if law.covariance.any() else None


@dataclass(frozen=True, eq=False)
class _Crossings:
    """Boundaries met on `draw`, between `left` and `right`, with `weight`, on the way from `other` to `point`."""

    draw: Int[np.ndarray, " crossings"]
    left: Int[np.ndarray, " crossings"]
    right: Int[np.ndarray, " crossings"]
    weight: Float[np.ndarray, " crossings"]
    point: Int[np.ndarray, " crossings"]
    other: Int[np.ndarray, " crossings"]


@dataclass(frozen=True, eq=False)
class _Run:
    """What the draws gave: the boundaries they met, and the first of them for resampling.

    `moves`: [candidates, points], `s_k(z)` at the points that `crossings` names.
    """

    draws: int
    moves: Float[np.ndarray, "candidates points"]
    sums: Sums
    directions: Directions
    crossings: _Crossings

    @staticmethod
    def of(law: Law, n: int, draws: int, seed: int) -> "_Run":
        stream = generator(seed, "security", "draws")
        sampler, moves = Sampler(law, n, stream), law.columns(stream, COLUMNS)
        block = min(draws, max(PILOT, ENTRIES // law.candidates))
        sums = sampler.draw(block)
        directions = Directions.of(law, sums)
        met = _meet(sums, directions, moves, stream)
        for begin in range(block, draws, block):
            more = sampler.draw(min(block, draws - begin))
            met += [replace(part, draw=part.draw + begin) for part in _meet(more, directions, moves, stream)]
        return _Run(draws, moves, sums.first(RESAMPLED_DRAWS), directions, _joined(met))


@dataclass(frozen=True, eq=False)
class Flux:
    """Hold Delta_n, and how much its logarithm errs, by cause.

    `draws`: the standard error from the draws. `points`: the influence of each point z, the same points whatever the
    candidates. `columns`: the logarithm on resamples of the columns, the same resamples for all tables of one size.
    """

    advantage: float
    draws: float
    points: Float[np.ndarray, " points"]
    columns: Float[np.ndarray, " resamples"]

    @property
    def relative_error(self) -> float:
        """The standard error of the logarithm."""
        return math.hypot(self.draws, float(np.sqrt((self.points**2).sum())), float(self.columns.std(ddof=1)))

    @property
    def is_resolved(self) -> bool:
        """Whether this is a number and not a bound only."""
        return self.relative_error < UNRESOLVED


def _law(losses: np.ndarray, n: int, draws: int) -> Law:
    require(n >= 2, f"n: expected at least 2 training points, got {n}", hint="n is the size of the training set")
    require(
        draws >= FEWEST_DRAWS,
        f"draws: expected at least {FEWEST_DRAWS}, got {draws}",
        hint="the first draws only find where to look",
    )
    return Law.of(without_shared(distinct(checked(losses))), n)


def _sampled(law: Law, n: int, draws: int, seed: int) -> Flux:
    run = _Run.of(law, n, draws, seed)
    return _flux(run, _on_resampled_columns(law, n, run, seed))


def _flux(run: _Run, columns: np.ndarray) -> Flux:
    """Return `Delta_n = 1/2 E_z sum_k | P(k | z) - P(k) |`, and its errors from draws, points z and columns."""
    change = _change(run.crossings, run.moves, run.draws * MOVES)
    carried = _carried(run.crossings, run.moves, np.sign(change))
    per_draw = np.bincount(run.crossings.draw, weights=carried, minlength=run.draws) / MOVES
    draws, points = _influence(per_draw), _influence(np.abs(change).sum(axis=0))
    error = float(np.sqrt((draws**2).sum()))
    return Flux(float(per_draw.mean()), error, points, columns)


def _influence(values: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " draws"]:
    """Return by how much each value moves the logarithm of their mean."""
    mean = float(values.mean())
    return (values / mean - 1) / len(values) if mean > 0 else np.full(len(values), np.inf)


def _meet(sums: Sums, directions: Directions, moves: np.ndarray, stream: np.random.Generator) -> list[_Crossings]:
    """Return the boundaries met on each draw's line, with points z and z' of its own in each of several tries."""
    lines = Lines.through(sums, directions, stream)
    draws, points = len(lines.start), moves.shape[1]
    boundaries: list[_Crossings] = []
    for _ in range(MOVES):
        point, other, part = (
            stream.integers(points, size=draws),
            stream.integers(points, size=draws),
            stream.random(draws),
        )
        step = part[:, None] * moves[lines.candidate, point[:, None]]
        step += (1 - part[:, None]) * moves[lines.candidate, other[:, None]]
        boundaries.append(_crossings(lines, step, directions, sums.scale, point, other))
    return boundaries


def _crossings(
    lines: Lines, step: np.ndarray, directions: Directions, scale: float, point: np.ndarray, other: np.ndarray
) -> _Crossings:
    at = corners(lines.start + step, lines.slope)
    at = Corners(at.draw, lines.candidate[at.draw, at.left], lines.candidate[at.draw, at.right], at.position)
    return _Crossings(at.draw, at.left, at.right, weights(at, lines, directions, scale), point[at.draw], other[at.draw])


def _joined(met: list[_Crossings]) -> _Crossings:
    return _Crossings(*(np.concatenate([getattr(part, field.name) for part in met]) for field in fields(_Crossings)))


def _change(
    crossings: _Crossings, moves: Float[np.ndarray, "candidates points"], draws: int
) -> Float[np.ndarray, "candidates points"]:
    """Return `P(k | z) - P(k) = sum_j f_kj (s_j(z) - s_k(z))`, to first order, for every point."""
    candidates = len(moves)
    pair = crossings.left * candidates + crossings.right
    density = np.bincount(pair, weights=crossings.weight, minlength=candidates**2).reshape(candidates, candidates)
    f = (density + density.T) / draws
    return f @ moves - f.sum(axis=1, keepdims=True) * moves


def _carried(
    met: _Crossings, moves: Float[np.ndarray, "candidates points"], sign: Float[np.ndarray, "candidates points"]
) -> Float[np.ndarray, " crossings"]:
    """Return what each boundary adds to Delta_n: the flux from z' to z across it, signed as the change of z says."""
    step = moves[met.right, met.point] - moves[met.left, met.point]
    step -= moves[met.right, met.other] - moves[met.left, met.other]
    return met.weight * step * (sign[met.left, met.point] - sign[met.right, met.point]) / 2


def _on_resampled_columns(law: Law, n: int, run: _Run, seed: int) -> Float[np.ndarray, " resamples"]:
    """Return log Delta_n on resamples of the columns, on the same draws.

    Columns act through the means of the losses, which enter n-fold.
    """
    stream = generator(seed, "security", "columns")
    block = stream.permutation(law.moves.shape[1]) % BLOCKS
    totals = np.stack([np.bincount(block, weights=row) for row in law.moves])
    sizes = np.bincount(block)
    counts = stream.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=RESAMPLES)
    shifts = n * (counts @ totals.T) / (counts @ sizes)[:, None]
    values = [_first_order(run.sums.moved(shift), run, seed) for shift in shifts]
    return np.log(np.maximum(values, np.finfo(float).tiny))


def _first_order(sums: Sums, run: _Run, seed: int) -> float:
    lines = Lines.through(sums, run.directions, generator(seed, "security", "lines"))
    nobody = np.zeros(len(lines.start), dtype=int)
    met = _crossings(lines, np.zeros_like(lines.start), run.directions, sums.scale, nobody, nobody)
    return float(np.abs(_change(met, run.moves[:, :RESAMPLED_POINTS], len(lines.start))).sum(axis=0).mean() / 2)


def _estimate(flux: Flux, share: float, fewest: float, level: float, method: str) -> Estimate:
    """Return 1 - Delta_n with its interval, or the bound where that is too wide; `share` is n over the columns.

    With `Delta_n ~ exp(-t^2 / 2)` the columns err evenly in t, by sqrt(n / N), hence unevenly in log Delta_n: its
    lower end lies further away by half the square of the error in t.
    """
    deviations = float(scipy.special.stdtrit(RESAMPLES - 1, (1 + level) / 2))
    up = deviations * math.hypot(flux.relative_error, METHOD_ERROR)
    down = up + deviations**2 * share / 2
    if not flux.is_resolved:
        high = flux.advantage * math.exp(up) if 0 < flux.relative_error < HOPELESS else 1.0
        why = f"an advantage near {max(flux.advantage, fewest):.1g} needs more columns or draws"
        return _bound(max(high, fewest), level, method, why)
    low, high = 1 - flux.advantage * math.exp(up), 1 - flux.advantage * math.exp(-down)
    return Estimate(max(0.0, 1 - flux.advantage), max(0.0, low), high, level, method)


def _bound(advantage: float, level: float, method: str, why: str) -> Estimate:
    low = max(0.0, 1 - advantage)
    return Estimate(low, low, 1.0, level, method, reason=f"below resolution: {why}; the value is a lower bound")
