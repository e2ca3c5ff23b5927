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

from quantmis.theory.candidates import checked, distinct, without_shared


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


def asymptotic_security(rate: float, n: int) -> float:
    """Return the asymptotic lower bound on security, `1 - exp(-n r)`.

    It describes `MIS_n` in the limit of large `n r` only: when `n r` is small it lies far from security, and it is
    then no bound. `rate` is per training point, `n` the number of training points.

    >>> round(asymptotic_security(0.01, 100), 3)
    0.632
    """
    return -math.expm1(-n * rate)
