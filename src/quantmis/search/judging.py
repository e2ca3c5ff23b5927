"""What a candidate is worth on the trained pairs: exposure, utility, bits, and the limits that a search can judge.

**Exposure** is a predicted advantage: how much better than a coin an attacker with 64 models of their own would do. Two
cheap estimates of it are taken and the larger counts: what twins show of membership itself, and what full precision
shows after the channel, which knows nothing of members (docs/explanation/which-number.md says how well each orders
versions). A search finds what deceives the number that it is led by; what deceives one of these is seen by the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from quantmis.attacks import PairedReplicates
from quantmis.errors import UserError
from quantmis.measures import ScoredVersion
from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.measures.predicted_advantage import predicted_advantage
from quantmis.measures.scored import Precision
from quantmis.measures.utility import UTILITY
from quantmis.measures.utility_change import UTILITY_CHANGE
from quantmis.search.limits import Limit
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.tables import LossTable

NO_ATTACK = Unmeasured("a search runs no attack")
T = TypeVar("T")


@dataclass(frozen=True)
class Judged:
    """Hold what a candidate is worth.

    `change` is its utility less that of full precision. `shortfalls`: by how much each limit is missed, by its key; 0
    or less where it is kept.
    """

    exposure: Estimate
    utility: Estimate
    change: Estimate
    bits: float
    shortfalls: Mapping[str, float]

    @property
    def is_within(self) -> bool:
        """Whether every limit is kept."""
        return all(each <= 0 for each in self.shortfalls.values())

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Exposure, less is better; utility, more is better; bits, less is better."""
        return self.exposure.value, self.utility.value, self.bits


class Judge:
    """Measure tables of versions against that of full precision, `whole`, of the same models."""

    def __init__(self, whole: LossTable, limits: tuple[Limit, ...], level: float, seed: int):
        self._limits, self._precision = limits, Precision(level, seed, whole.evidence.models)
        self._whole = self._scored(whole, None)
        self.baseline = self.judged(whole)

    def judged(self, table: LossTable) -> Judged:
        """Return what a version is worth; `UserError` where that cannot be measured."""
        version = self._scored(table, None if table is self._whole.table else self._whole)
        exposure = exposure_of(version)
        utility = measured(UTILITY.compute(version))
        flat = Estimate(0.0, 0.0, 0.0, self._precision.level)
        change = flat if version.is_full_precision else measured(UTILITY_CHANGE.compute(version))
        before = exposure if version.is_full_precision else self.baseline.exposure
        shortfalls = {each.key: each.shortfall(version, exposure.value, before.value) for each in self._limits}
        return Judged(exposure, utility, change, measured(BITS_PER_WEIGHT.compute(version)), shortfalls)

    def _scored(self, table: LossTable, reference: ScoredVersion | None) -> ScoredVersion:
        return ScoredVersion(table, {}, {}, Bound(NO_ATTACK, ""), "", self._precision, reference)


def exposure_of(version: ScoredVersion) -> Estimate:
    """Return the larger of the advantages that twins and the channel predict; `UserError` where neither can be told."""
    level = version.precision.level
    estimates = [_if_possible(lambda: PairedReplicates().advantage(version.table.audited, level))]
    estimates.append(predicted_advantage(version))
    known = [each for each in estimates if isinstance(each, Estimate)]
    if not known:
        raise UserError(
            f"exposure cannot be estimated: {next(each.reason for each in estimates if isinstance(each, Unmeasured))}",
            hint="a search needs more samples, of which some are held out",
        )
    return max(known, key=lambda each: each.value)


def _if_possible(compute: Callable[[], Estimate]) -> Estimate | Unmeasured:
    try:
        return compute()
    except UserError as error:
        return Unmeasured(str(error))


def measured(value: T | Unmeasured | None) -> T:
    """Return what was measured; `UserError` where it was not."""
    if value is None or isinstance(value, Unmeasured):
        raise UserError(f"a search cannot judge this: {'not measured' if value is None else value.reason}")
    return value
