"""Where evenly spaced levels lie: the scale and zero point of each row of a weight matrix.

Sums are taken in double precision: rounded to a float, they do not depend on how many rows are summed at once.
"""

from dataclasses import dataclass

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
        return ((rows * (1.0 / self.scale)).round() + self.zero).clamp(self.low, self.high)

    def values(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
        """Return the nearest levels."""
        return (self.codes(rows) - self.zero) * self.scale

    def error(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows 1"]:
        """Return the squared error of rounding, summed over each row."""
        return (rows - self.values(rows)).square().sum(1, keepdim=True, dtype=torch.float64)

    def better(self, other: "Levels", rows: Float[Tensor, "rows columns"]) -> "Levels":
        """Return, for each row, the levels of `other` where they err less."""
        take = other.error(rows) < self.error(rows)
        scale, zero = torch.where(take, other.scale, self.scale), torch.where(take, other.zero, self.zero)
        return Levels(scale, zero, self.low, self.high)


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
    best = Levels(_positive(reach), torch.zeros_like(reach), *ends) if symmetric else _asymmetric(low, high, ends)
    widest = best
    for fraction in torch.linspace(1.0, NARROWEST, RANGES)[1:]:
        narrower = Levels(_positive(widest.scale * fraction), widest.zero, *ends)
        if not symmetric:
            narrower = _asymmetric(low * fraction, high * fraction, ends)
        best = best.better(narrower, rows)
    for _ in range(REFINEMENTS):
        best = best.better(_least_squares(rows, best), rows)
    return best


def _least_squares(rows: Tensor, levels: Levels) -> Levels:
    steps = levels.codes(rows) - levels.zero
    norm = steps.square().sum(1, keepdim=True, dtype=torch.float64)
    optimum = ((rows * steps).sum(1, keepdim=True, dtype=torch.float64) / norm.clamp(min=1)).float()
    scale = torch.where((norm > 0) & (optimum > 0), optimum, levels.scale)
    return Levels(scale, levels.zero, levels.low, levels.high)
