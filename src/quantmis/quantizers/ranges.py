"""Where evenly spaced levels lie: the scale and zero point of each row of a weight matrix.

Sums are taken in double precision: rounded to a float, they do not depend on how many rows are summed at once.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

RANGES = 24
NARROWEST = 0.2
REFINEMENTS = 4


@dataclass(frozen=True, eq=False)
class Levels:
    """Hold evenly spaced levels: a code c from `low` to `high` stands for (c - zero) * scale, row by row."""

    scale: Float[Tensor, "rows 1"]
    zero: Float[Tensor, "rows 1"]
    low: int
    high: int

    def codes(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
        """Return the nearest codes, whole numbers."""
        return (rows * (1.0 / self.scale)).round_().add_(self.zero).clamp_(self.low, self.high)

    def values(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
        """Return the nearest levels."""
        return self.codes(rows).sub_(self.zero).mul_(self.scale)

    def error(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows 1"]:
        """Return the squared error of rounding, summed over each row."""
        return (rows - self.values(rows)).square_().sum(1, keepdim=True, dtype=torch.float64)


class Best:
    """Hold, for each row, the best of the levels that were tried and its error."""

    def __init__(self, rows: Tensor, levels: Levels):
        self.rows, self.levels, self.error = rows, levels, levels.error(rows)

    def try_(self, other: Levels) -> None:
        """Take `other` for the rows where it errs less."""
        error = other.error(self.rows)
        take = error < self.error
        scale = torch.where(take, other.scale, self.levels.scale)
        self.levels = replace(self.levels, scale=scale, zero=torch.where(take, other.zero, self.levels.zero))
        self.error = torch.where(take, error, self.error)


def fit(rows: Tensor, ends: tuple[int, int], symmetric: bool, criterion: str, percentile: float) -> Levels:
    """Return the levels with codes from `ends[0]` to `ends[1]` that fit each of `rows`, [rows, columns].

    `criterion` is that of `Uniform.range`.
    """
    if criterion == "mse":
        return _least_error(rows, ends, symmetric)
    low, high = _extent(rows, percentile if criterion == "percentile" else 100.0)
    return _symmetric(torch.maximum(-low, high), ends) if symmetric else _asymmetric(low, high, ends)


def _extent(rows: Tensor, percentile: float) -> tuple[Tensor, Tensor]:
    """Return the range of each row, zero included, cut to a percentile of its magnitudes."""
    low, high = rows.amin(1, keepdim=True).clamp(max=0), rows.amax(1, keepdim=True).clamp(min=0)
    count = max(1, round(percentile / 100 * rows.shape[1]))
    cut = rows.abs().kthvalue(count, dim=1, keepdim=True).values
    return torch.maximum(low, -cut), torch.minimum(high, cut)


def _symmetric(reach: Tensor, ends: tuple[int, int]) -> Levels:
    scale = _positive(reach / ((ends[1] - ends[0]) / 2))
    return Levels(scale, torch.zeros_like(scale), *ends)


def _asymmetric(low: Tensor, high: Tensor, ends: tuple[int, int]) -> Levels:
    scale = _positive((high - low) / float(ends[1] - ends[0]))
    zero = (ends[0] - (low / scale).round()).clamp(*ends)
    return Levels(scale, zero, *ends)


def _positive(scale: Tensor) -> Tensor:
    return scale.clamp(min=1e-30)  # a row of zeros has no scale of its own; the reciprocal must stay finite


def _least_error(rows: Tensor, ends: tuple[int, int], symmetric: bool) -> Levels:
    low, high = _extent(rows, 100.0)
    # both ends on a level: the widest of the two scales that reach the smallest and the largest weight
    reach = torch.maximum(high / ends[1], low / ends[0])
    widest = Levels(_positive(reach), torch.zeros_like(reach), *ends) if symmetric else _asymmetric(low, high, ends)
    best = Best(rows, widest)
    for fraction in torch.linspace(1.0, NARROWEST, RANGES).tolist()[1:]:
        if symmetric:
            best.try_(replace(widest, scale=_positive(widest.scale * fraction)))
        else:
            best.try_(_asymmetric(low * fraction, high * fraction, ends))
    for _ in range(REFINEMENTS):
        best.try_(_least_squares(rows, best.levels))
    return best.levels


def _least_squares(rows: Tensor, levels: Levels) -> Levels:
    steps = levels.codes(rows) - levels.zero
    norm = steps.square().sum(1, keepdim=True, dtype=torch.float64)
    optimum = ((rows * steps).sum(1, keepdim=True, dtype=torch.float64) / norm.clamp(min=1)).float()
    scale = torch.where((norm > 0) & (optimum > 0), optimum, levels.scale)
    return Levels(scale, levels.zero, levels.low, levels.high)
