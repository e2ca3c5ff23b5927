"""Quantizing whose error is Gaussian noise: subtractive dithering with a step of random size.

A dither that is uniform over a step makes the error of rounding, once it is subtracted again, uniform over the step and
independent of what is rounded. A Gaussian is a mixture of uniform laws: with a step of 2 sigma sqrt(chi-squared_3), the
error is exactly N(0, sigma^2) (Hegazy and Li 2022, arXiv:2206.05374). So what a Gaussian mechanism adds and what
quantizing costs is one error and not two. Proof and limits: docs/explanation/dithering.md.

Steps and dithers are secret: whoever knows them reads off within half a step what was rounded.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_ndtr

from quantmis.errors import require

LARGEST_EPSILON = 500.0


class Dither(NamedTuple):
    """Hold the `step` of each value, and the `offset` that is added before rounding and subtracted after."""

    step: Float[np.ndarray, "*shape"]
    offset: Float[np.ndarray, "*shape"]


def dither(sigma: float, shape: tuple[int, ...], generator: np.random.Generator) -> Dither:
    """Return the dither of values of that shape by which the error of rounding becomes N(0, `sigma`^2)."""
    step = 2 * sigma * np.sqrt(generator.chisquare(3, shape))
    return Dither(step, step * generator.uniform(-0.5, 0.5, shape))


def encode(values: Float[np.ndarray, "*shape"], by: Dither) -> Int[np.ndarray, "*shape"]:
    """Return the whole numbers that stand for `values`."""
    return np.rint((values + by.offset) / by.step).astype(np.int64)


def decode(codes: Int[np.ndarray, "*shape"], by: Dither) -> Float[np.ndarray, "*shape"]:
    """Return what the codes stand for: the values with exactly Gaussian noise.

    >>> draw = np.random.default_rng(0)
    >>> by = dither(0.5, (100_000,), draw)
    >>> error = decode(encode(np.full(100_000, 0.3), by), by) - 0.3
    >>> round(float(error.std()), 2), round(float((np.abs(error) > 1.0).mean()), 3)  # 2 standard deviations: 0.0455
    (0.5, 0.045)
    """
    return codes * by.step - by.offset


def analytic_gaussian(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """Return the least standard deviation of Gaussian noise that makes a release (epsilon, delta)-private.

    `sensitivity`: how far, in the Euclidean norm, one record moves what is released. The exact condition of Balle and
    Wang (2018, arXiv:1805.06530, theorem 8), solved to ten digits from above. Raises `UserError` out of range.

    >>> round(analytic_gaussian(1.0, 1e-5), 3)
    3.731
    """
    require(0 < epsilon <= LARGEST_EPSILON, f"epsilon: expected a number above 0, at most 500, got {epsilon}")
    require(0 < delta < 1, f"delta: expected a probability above 0 and below 1, got {delta}")
    require(0 < sensitivity < math.inf, f"sensitivity: expected a positive number, got {sensitivity}")
    low, high = 0.0, 1.0
    while delta_of(high, epsilon) > delta:
        low, high = high, 2 * high
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) > delta else (low, middle)
    return high * sensitivity


def delta_of(sigma: float, epsilon: float) -> float:
    """Return the delta of Gaussian noise of `sigma` sensitivities at `epsilon`.

    >>> delta_of(3.731, 1.0) < 1.001e-5
    True
    """
    near, far = 1 / (2 * sigma) - epsilon * sigma, -1 / (2 * sigma) - epsilon * sigma
    return float(np.exp(log_ndtr(near)) - np.exp(epsilon + log_ndtr(far)))
