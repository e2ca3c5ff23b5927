"""A number travels with its uncertainty; one that was not measured travels with the reason."""

import math
from dataclasses import dataclass

from quantmis.errors import UserError


class EstimateError(UserError):
    """Say that three numbers are no estimate: not finite, or outside their own interval."""


@dataclass(frozen=True)
class Estimate:
    """Hold a number with the interval that contains the truth with probability `level`.

    `low` <= `value` <= `high`, finite. `method` says how the number and its interval were made. `reason` is set
    only where the data cannot resolve the number: then `value` is a bound on it, and `reason` says which and why.

    >>> Estimate(0.71, 0.68, 0.74, level=0.95, method="clustered by model and sample")
    Estimate(value=0.71, low=0.68, high=0.74, level=0.95, method='clustered by model and sample', reason=None)
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    method: str = ""
    reason: str | None = None

    def __post_init__(self):
        numbers = (self.value, self.low, self.high)
        if not all(map(math.isfinite, numbers)):
            raise EstimateError(f"an estimate must be finite, got {numbers}")
        if not self.low <= self.value <= self.high:
            raise EstimateError(f"an estimate must lie in its interval, got {self.value} in [{self.low}, {self.high}]")
        if not 0 < self.level < 1:
            raise EstimateError(f"level: expected a probability between 0 and 1, got {self.level}")


@dataclass(frozen=True)
class Unmeasured:
    """Say why a quantity has no number: never a missing key, never a zero.

    >>> Unmeasured("not resolvable with 500 non-members").reason
    'not resolvable with 500 non-members'
    """

    reason: str
