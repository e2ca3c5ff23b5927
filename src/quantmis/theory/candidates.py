"""What the theory reads: a table with one row per candidate and one column per point of the population.

A quantizer confines the parameters of a model to finitely many *candidates*. With `l_k(z)` the loss of candidate k
at the point z, the theory needs only the gaps `delta_jk = E[l_j - l_k]`, the variances `sigma_jk^2 = Var[l_j - l_k]`
and, for security itself, the whole joint law of the losses. Rows that are equal are one candidate seen twice. What
all candidates share at a point (a hard point, a constant) cancels in every difference, so it is removed first: the
differences then keep their digits when the losses are large and the gaps small.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from quantmis.errors import require

FEWEST_POINTS = 100
ROUNDING = 1e-13  # variances below this part of the moments that they are differences of are rounding


def checked(losses: Float[np.ndarray, "candidates samples"]) -> Float[np.ndarray, "candidates samples"]:
    """Return the losses in double precision; `UserError` where the theory cannot use them.

    Expects a finite table [candidates, samples] with two candidates and 100 samples or more.

    >>> checked(np.zeros((2, 50)))
    Traceback (most recent call last):
    quantmis.errors.UserError: losses: expected at least 100 samples, got 50
    """
    require(
        losses.ndim == 2,
        f"losses: expected a table [candidates, samples], got shape {losses.shape}",
        hint="one row per candidate (a quantized model), one column per held-out point",
    )
    candidates, samples = losses.shape
    require(
        candidates >= 2,
        f"losses: expected at least two candidates, got {candidates}",
        hint="security compares the models that training could have reached; train another replicate",
    )
    require(
        samples >= FEWEST_POINTS,
        f"losses: expected at least {FEWEST_POINTS} samples, got {samples}",
        hint="gaps and variances from fewer points are noise; evaluate the candidates on more held-out points",
    )
    table = np.asarray(losses, dtype=float)
    bad = np.argwhere(~np.isfinite(table))
    require(
        len(bad) == 0,
        f"losses: {len(bad)} entries are NaN or infinite, the first at [candidate, sample] = {bad[:1].tolist()}",
        hint="a model that diverged must not enter the table; leave its row out",
    )
    return table


def same(losses: Float[np.ndarray, "candidates samples"]) -> Int[np.ndarray, " candidates"]:
    """Return, for each row, the index of the first row that equals it.

    >>> same(np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]])).tolist()
    [0, 1, 0]
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault((row + 0.0).tobytes(), index) for index, row in enumerate(losses)])


def distinct(losses: Float[np.ndarray, "candidates samples"]) -> Float[np.ndarray, "merged samples"]:
    """Return each candidate once, in the order of first appearance; `UserError` when only one is left.

    >>> distinct(np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]])).tolist()
    [[1.0, 2.0], [0.0, 2.0]]
    """
    label = same(losses)
    keep = label == np.arange(len(label))
    require(
        keep.sum() >= 2,
        f"losses: all {len(label)} rows are one candidate, seen again and again",
        hint="training never reached another quantized model, so there is nothing to compare and no rate to estimate",
    )
    return losses if keep.all() else losses[keep]


def without_shared(losses: Float[np.ndarray, "candidates samples"]) -> Float[np.ndarray, "candidates samples"]:
    """Subtract the losses of the best candidate: `D_k = l_k - l_1`, whose differences are those of the losses.

    >>> without_shared(np.array([[5.0, 7.0], [6.0, 9.0]])).tolist()
    [[0.0, 0.0], [1.0, 2.0]]
    """
    return losses - losses[losses.mean(axis=1).argmin()]


@dataclass(frozen=True, eq=False)
class Gaps:
    """Hold what the Gaussian theory knows of each pair of candidates.

    `gap`: [candidates, candidates], `delta_jk = E[l_j - l_k]`. `variance`: the same shape, `sigma_jk^2`, with the
    unbiased divisor N - 1; exactly 0 where the two differ by a constant. `different`: false where j and k are one
    candidate.
    """

    gap: Float[np.ndarray, "candidates candidates"]
    variance: Float[np.ndarray, "candidates candidates"]
    different: Bool[np.ndarray, "candidates candidates"]

    @property
    def rate(self) -> Float[np.ndarray, "candidates candidates"]:
        """`delta^2 / 2 sigma^2` of each pair; infinite where one is better by a constant or the two are one."""
        ratio = np.divide(self.gap**2, 2 * self.variance, where=self.variance > 0, out=np.full_like(self.gap, np.inf))
        return np.where(self.different, ratio, np.inf)


def gaps(losses: Float[np.ndarray, "candidates samples"]) -> Gaps:
    """Return the gaps and variances of all pairs of candidates.

    >>> pair = gaps(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
    >>> pair.gap[1, 0], pair.variance[1, 0], pair.rate[1, 0]
    (np.float64(2.0), np.float64(1.0), np.float64(2.0))
    """
    relative = without_shared(losses)
    mean = relative.mean(axis=1)
    relative -= mean[:, None]
    products = relative @ relative.T
    moment = np.diag(products)
    scale = moment[:, None] + moment
    variance = (scale - 2 * products) / (losses.shape[1] - 1)
    variance[variance * (losses.shape[1] - 1) <= ROUNDING * scale] = 0.0
    label = same(losses)
    return Gaps(mean[:, None] - mean, variance, label[:, None] != label)
