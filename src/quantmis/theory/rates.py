"""How fast the best attack fails: exponents of `Delta_n`, the advantage of the best membership attack of all.

A procedure that minimises the empirical loss over a finite set of candidates leaks only when one training point
decides between two of them, and that needs the cumulated losses of a worse candidate to come level with those of
the best. The chance of it falls exponentially in the number n of training points. With `D_k = l_k - l_1` the loss
of candidate k beyond that of the best, `delta_k = E D_k` and `sigma_k^2 = Var D_k`:

    Chernoff    I_k = -log inf_{t >= 0} E exp(-t D_k),   rate = min_k I_k,   (1/n) log Delta_n -> -rate
    Gaussian    r_Q = min_k delta_k^2 / (2 sigma_k^2),   the limit of the first for small gaps

The larger the rate, the more private the quantizer. Both are plain plug-ins here: for the rate of models that
training reached, with an interval, see `quantmis.theory.indicator`.
Source: Aubinais, Formont, Piantanida and Gassiat, AISTATS 2026, arXiv 2502.06567, re-derived.
"""

import math

import numpy as np
from jaxtyping import Float

from quantmis.stats.estimate import Estimate
from quantmis.theory.candidates import checked, distinct, without_shared

NEWTON_STEPS = 60


def gaussian_rate(losses: Float[np.ndarray, "candidates samples"]) -> float:
    """Return the indicator of the paper on its own points, `r_Q = min_k delta_k^2 / (2 sigma_k^2)`.

    `losses`: [candidates, samples], in any unit of loss; the rate is per training point. Equal rows are one
    candidate. Infinite when every other candidate is worse by a constant. Choosing the minimum on the points that
    measure it biases it downwards. Raises `UserError` for fewer than two candidates or 100 samples, and for NaN.

    >>> coin = np.tile([-1.0, 1.0], 100)
    >>> round(gaussian_rate(np.stack([0 * coin, 0.2 + coin])), 3)  # 0.2^2 / 2
    0.02
    """
    excess = without_shared(distinct(checked(losses)))
    gap, variance = excess.mean(axis=1), excess.var(axis=1)
    return float(np.divide(gap**2, 2 * variance, where=variance > 0, out=np.full_like(gap, math.inf)).min())


def chernoff_rate(losses: Float[np.ndarray, "candidates samples"]) -> float:
    """Return the Chernoff rate, `min_k -log inf_{t >= 0} E exp(-t D_k)`.

    `losses`: [candidates, samples]; the rate is per training point. Equal rows are one candidate. A candidate that
    is better nowhere has the rate `-log P(D_k = 0)`, infinite where it is always worse. On N samples no finite rate
    above log N can be seen, and rare points decide large ones. Raises `UserError` as `gaussian_rate` does.

    >>> coin = np.array([1.0] * 75 + [-1.0] * 25)  # inf_t of 0.75 exp(-t) + 0.25 exp(t) is 2 sqrt(0.75 * 0.25)
    >>> round(chernoff_rate(np.stack([0 * coin, coin])), 4), round(-np.log(2 * np.sqrt(0.75 * 0.25)), 4)
    (0.1438, np.float64(0.1438))
    """
    excess = without_shared(distinct(checked(losses)))
    rest = excess[(excess != 0).any(axis=1)]
    better = (rest < 0).any(axis=1)
    rates = -_log_share_of_ties(rest[~better])
    if better.any():
        rates = np.append(rates, -_least_cumulant(rest[better]))
    return float(rates.min())


def _log_share_of_ties(excess: Float[np.ndarray, "candidates samples"]) -> Float[np.ndarray, " candidates"]:
    share = (excess == 0).mean(axis=1)
    return np.log(share, where=share > 0, out=np.full(len(share), -math.inf))


def _least_cumulant(excess: Float[np.ndarray, "candidates samples"]) -> Float[np.ndarray, " candidates"]:
    """Return `inf_{t >= 0} log E exp(-t D)` for rows that are negative somewhere, by safeguarded Newton steps.

    The cumulant generating function is convex, so the sign of its slope says on which side of t the least value
    lies. Each row is measured in units of its own deviation; with at least one negative value of -m in N samples
    the least value lies below t = log(N) / m, where the one term outweighs the rest.
    """
    scale = np.sqrt((excess**2).mean(axis=1, keepdims=True))
    unit = excess / scale
    low = np.zeros(len(unit))
    high = np.log(unit.shape[1] + 1) / -unit.min(axis=1)
    tilt = np.zeros(len(unit))
    for _ in range(NEWTON_STEPS):
        _, mean, variance = _tilted(unit, tilt)
        low, high = np.where(mean > 0, tilt, low), np.where(mean > 0, high, tilt)
        newton = tilt + np.divide(mean, variance, where=variance > 0, out=np.zeros_like(mean))
        tilt = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
    return np.minimum(_tilted(unit, tilt)[0], 0.0)


def _tilted(
    unit: Float[np.ndarray, "candidates samples"], tilt: Float[np.ndarray, " candidates"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `log E exp(-t D)`, and the mean and variance of D under the law tilted by exp(-t D)."""
    exponent = -tilt[:, None] * unit
    most = exponent.max(axis=1)
    weight = np.exp(exponent - most[:, None])
    total = weight.sum(axis=1)
    mean = (weight * unit).sum(axis=1) / total
    variance = (weight * unit**2).sum(axis=1) / total - mean**2
    return most + np.log(total / unit.shape[1]), mean, variance


def asymptotic_security(rate: float, n: int) -> float:
    """Return the asymptotic lower bound on security, `1 - exp(-n r)`.

    It describes `MIS_n` in the limit of large `n r` only: when `n r` is small it lies far from security, and it is
    then no bound. `rate` is per training point, `n` the number of training points.

    >>> round(asymptotic_security(0.01, 100), 3)
    0.632
    """
    return -math.expm1(-n * rate)


def asymptotic_bound(rate: Estimate, n: int) -> Estimate:
    """Return `1 - exp(-n r)` for an estimated rate, with its interval, labelled as the asymptotic bound that it is.

    A rate below resolution is an upper bound, and so is what follows from it: the `reason` is kept.

    >>> asymptotic_bound(Estimate(0.01, 0.005, 0.02, method="pairs"), 100).method
    'asymptotic bound 1 - exp(-n r), n = 100, far from security while n r is small; r: pairs'
    """
    value, low, high = (asymptotic_security(number, n) for number in (rate.value, rate.low, rate.high))
    label = f"asymptotic bound 1 - exp(-n r), n = {n}, far from security while n r is small; r: {rate.method}"
    return Estimate(value, low, high, rate.level, label, rate.reason)


def two_gaussian_advantage(gap: float, deviation: float, n: int) -> float:
    """Return `Delta_n = exp(-n delta^2 / 2 sigma^2) / (pi sqrt(n))`, of two candidates with Gaussian losses.

    `gap` and `deviation` are the mean and the standard deviation of the difference of their losses. Correct to
    first order in one point's share of the sum. Source: derived for this project.

    >>> round(two_gaussian_advantage(0.1, 1.0, 100), 4)
    0.0193
    """
    return math.exp(-n * gap**2 / (2 * deviation**2)) / (math.pi * math.sqrt(n))
