"""Which version is safer by theory: orders that the columns carry, and how many columns the others would need.

Versions are evaluated on the same columns, so what a few unusual columns do to one advantage they do to another, and
the difference of two logarithms errs less, or more, than two intervals side by side say. It is therefore resampled
itself: the same columns in the same resamples, the same points z. Draws of the sums and the error of the method itself
add to that. An order is stated where the difference excludes 0 after Holm; all others are left open.

An advantage below resolution is known to be no larger than a bound, which says that its version is safer than one whose
advantage lies beyond doubt above the bound, and never the reverse.

All versions have to be listed somehow. They are listed by the advantage as it was measured, also where it is below
resolution: `security` gives a bound there, and bounds order nothing.

The error from N columns falls like `1 / sqrt(N)`; what the draws and the method add does not. Solved for N this says
how many columns would carry an order, should the difference be as large as it was measured. Derived for this project.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from jaxtyping import Float

from quantmis.errors import require
from quantmis.stats.compare import holm
from quantmis.stats.estimate import Estimate, Unmeasured
from quantmis.theory.rates import gaussian_rate
from quantmis.theory.security import DRAWS, HOPELESS, METHOD_ERROR, RESAMPLES, Flux, flux

METHOD = "difference of log advantage by boundary flux, the same columns and points"


@dataclass(frozen=True)
class SecurityOrder:
    """Hold how two versions compare: `log(Delta_n of first / Delta_n of second)`, and whether that is beyond doubt.

    `adjusted`: the p-value of no difference after Holm. `safer`: the version of the smaller advantage; None where the
    columns do not carry the order. `columns`: how many would, or the reason why no number of columns does.
    """

    first: str
    second: str
    difference: Estimate | Unmeasured
    adjusted: float
    safer: str | None
    columns: int | Unmeasured


@dataclass(frozen=True)
class SecurityRanking:
    """Hold the orders that the columns carry, of every two versions, and all versions `listed`, the safest first."""

    listed: tuple[str, ...]
    orders: tuple[SecurityOrder, ...]


def security_ranking(
    losses: Mapping[str, Float[np.ndarray, "candidates samples"]],
    n: int,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> SecurityRanking:
    """Return, of every two versions, which is safer by `security`, stated only where the columns carry it.

    `losses`: of each version, [candidates, samples], over the same samples in the same order. The probability that any
    stated order is wrong is at most 1 - `level`. Raises `UserError` for fewer than two versions, versions of different
    samples, and as `security` does. Source: derived for this project.

    >>> points = np.random.default_rng(0).normal(size=5000)
    >>> tables = {name: np.stack([0 * points, gap + points]) for name, gap in (("close", 0.1), ("far", 0.3))}
    >>> ranking = security_ranking(tables, n=100, draws=2000)
    >>> ranking.listed, ranking.orders[0].safer, ranking.orders[0].columns < 5000
    (('far', 'close'), 'far', True)
    """
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}")
    require(len(losses) >= 2, f"losses: expected two versions or more, got {len(losses)}")
    sizes = {name: table.shape[-1] for name, table in losses.items()}
    require(
        len(set(sizes.values())) == 1,
        f"losses: versions are compared on the same samples, got {sizes}",
        hint="evaluate every version on all held-out points, in one order",
    )
    fluxes = {name: flux(table, n, draws, seed) for name, table in losses.items()}
    return SecurityRanking(_listed(losses, fluxes), _orders(fluxes, next(iter(sizes.values())), level, 3 / draws))


def _listed(losses: Mapping[str, np.ndarray], fluxes: Mapping[str, Flux | None]) -> tuple[str, ...]:
    """Return the names by their advantage; of those that no draw met, the largest rate first."""
    advantage = {name: 0.0 if each is None else each.advantage for name, each in fluxes.items()}
    return tuple(sorted(losses, key=lambda name: (advantage[name], -gaussian_rate(losses[name]))))


def _orders(fluxes: Mapping[str, Flux | None], samples: int, level: float, fewest: float) -> tuple[SecurityOrder, ...]:
    pairs = [_pair(first, second, fluxes[first], fluxes[second], fewest) for first, second in combinations(fluxes, 2)]
    adjusted = holm([pair.p for pair in pairs])
    return tuple(_order(pair, float(p), samples, level, len(pairs)) for pair, p in zip(pairs, adjusted, strict=True))


@dataclass(frozen=True)
class _Pair:
    """Hold a difference of logarithms, its error from columns, and the other errors.

    `is_bound`: the smaller advantage is below resolution, and the difference is at least so large.
    """

    first: str
    second: str
    value: float
    columns: float
    others: float
    is_bound: bool = False

    @property
    def p(self) -> float:
        """The p-value of no difference."""
        return float(2 * scipy.special.stdtr(RESAMPLES - 1, -abs(self.value) / math.hypot(self.columns, self.others)))


@dataclass(frozen=True)
class _Open:
    """Hold two versions of which neither can be told to be safer: both are bounds only, or the larger one is."""

    first: str
    second: str
    p: float = 1.0


def _pair(first: str, second: str, one: Flux | None, other: Flux | None, fewest: float) -> _Pair | _Open:
    advantages = [max(0.0 if each is None else each.advantage, fewest) for each in (one, other)]
    larger = one if advantages[0] >= advantages[1] else other
    smaller = other if larger is one else one
    if larger is None or not larger.is_resolved or (smaller is not None and not smaller.relative_error < HOPELESS):
        return _Open(first, second)
    is_bound = smaller is None or not smaller.is_resolved
    columns = larger.columns if smaller is None else larger.columns - smaller.columns
    points = larger.points if smaller is None else larger.points - smaller.points
    draws = math.hypot(larger.draws, 0.0 if smaller is None else smaller.draws)
    others = math.hypot(draws, float(np.sqrt((points**2).sum())), METHOD_ERROR * math.sqrt(2))
    value = math.log(advantages[0] / advantages[1])
    return _Pair(first, second, value, float(columns.std(ddof=1)), others, is_bound)


def _order(pair: _Pair | _Open, adjusted: float, samples: int, level: float, pairs: int) -> SecurityOrder:
    if isinstance(pair, _Open):
        why = Unmeasured("below resolution: the larger of the two advantages is a bound only")
        return SecurityOrder(pair.first, pair.second, why, 1.0, None, why)
    reach = float(scipy.special.stdtrit(RESAMPLES - 1, (1 + level) / 2)) * math.hypot(pair.columns, pair.others)
    reason = "below resolution: the smaller advantage is a bound, and so is the difference" if pair.is_bound else None
    difference = Estimate(pair.value, pair.value - reach, pair.value + reach, level, METHOD, reason)
    safer = (pair.second if pair.value > 0 else pair.first) if adjusted <= 1 - level else None
    return SecurityOrder(pair.first, pair.second, difference, adjusted, safer, _columns(pair, samples, level, pairs))


def _columns(pair: _Pair, samples: int, level: float, pairs: int) -> int | Unmeasured:
    """Return how many columns carry a difference as large as this among so many pairs."""
    most = abs(pair.value) / float(scipy.special.stdtrit(RESAMPLES - 1, 1 - (1 - level) / 2 / pairs))
    room = most**2 - pair.others**2
    if room <= 0:
        return Unmeasured("no number of columns: the difference is within the error of the draws and of the method")
    return math.ceil(samples * pair.columns**2 / room)
