"""What the measures of a model that was made to forget have in common: which samples they compare, and by what.

The score is the membership signal of the loss: of a classifier the logit of the right class, of a language model the
mean log-probability of a token.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from quantmis.evidence import where_any_is_shared
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.utility import NO_PREDICTIONS
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average, average_difference
from quantmis.stats.cluster import Linear, spread
from quantmis.stats.compare import difference
from quantmis.stats.forgetting import Strata, area, has_peers, likeness, quality
from quantmis.stats.groups import numbers_of, units_of
from quantmis.stats.interval import wilson
from quantmis.stats.metrics import clustering
from quantmis.tables import Forgetting, LossTable

NO_FORGET_SET = Unmeasured("the audit was not told of samples that were to be forgotten: [target] forget names them")
ONE_MODEL = np.ones((1, 1), dtype=bool)
NO_PEERS = Unmeasured("there are no samples of the same classes to hold the forget set against")
NOT_LIKE_THIS = Unmeasured("the other model was not quantized like this version: say which quantizer it is `like`")


@dataclass(frozen=True, eq=False)
class ForgetSet:
    """Hold the samples to be forgotten beside those that are compared with them, by the columns of a loss table."""

    table: LossTable
    forgetting: Forgetting
    level: float

    @property
    def forget(self) -> Bool[np.ndarray, " samples"]:
        """The samples that were to be forgotten."""
        return self.forgetting.is_forget

    @property
    def never_seen(self) -> Bool[np.ndarray, " samples"]:
        """The samples that the model never saw, those that a quantizer was calibrated on left out."""
        return self.table.is_held_out & self.table.is_audited

    @property
    def retained(self) -> Bool[np.ndarray, " samples"]:
        """The samples that the model was trained on and may remember."""
        return self.table.evidence.member[0] & self.table.is_audited

    @property
    def strata(self) -> Strata:
        """The classes, within which samples are compared; None where targets are no classes."""
        return self.table.evidence.label

    @property
    def scores(self) -> Float[np.ndarray, " samples"]:
        """The membership signal of this version."""
        return self.table.evidence.signals[0]

    def beside(self, model: str) -> Float[np.ndarray, " samples"] | Unmeasured:
        """Return the membership signal of another model, put through the same quantizer."""
        return self.forgetting.beside.get(model, NOT_LIKE_THIS)

    def told_from(self, others: Bool[np.ndarray, " samples"], scores: np.ndarray | None = None) -> Linear | Unmeasured:
        """Return how often a sample to be forgotten scores higher than one of the `others`."""
        if not has_peers(self.strata, self.forget, others).any():
            return NO_PEERS
        return area(self.scores if scores is None else scores, self.forget, others, self.strata)

    def estimate(self, linear: Linear | Unmeasured, others: Bool[np.ndarray, " samples"]) -> Estimate | Unmeasured:
        """Return a probability with its interval over the samples that it is about."""
        if isinstance(linear, Unmeasured):
            return linear
        among = self.forget | others
        numbers = self._groups(among)
        over = spread(linear.influence[:, among], np.zeros(1, dtype=int), numbers)
        low, high = wilson(linear.value, over, self.level, units_of(numbers, int(among.sum())))
        return Estimate(linear.value, low, high, self.level, self._how(clustering(over, numbers is not None)))

    def change(self, first: Linear | Unmeasured, second: Linear | Unmeasured) -> Estimate | Unmeasured:
        """Return `first` minus `second`, against samples that were never seen, paired on the same samples."""
        if isinstance(first, Unmeasured):
            return first
        if isinstance(second, Unmeasured):
            return second
        among = self.forget | self.never_seen
        one, other = (Linear(each.value, each.influence[:, among]) for each in (first, second))
        return difference(one, other, np.zeros(1, dtype=int), self.level, self._groups(among))[0]

    def quality(self) -> float | Unmeasured:
        """Return the p-value of no difference from samples that were never seen."""
        if not has_peers(self.strata, self.forget, self.never_seen).any():
            return NO_PEERS
        return quality(self.scores, self.forget, self.never_seen, self.strata)

    def likeness(self, model: str) -> float | Unmeasured:
        """Return the p-value of no difference from another model's scores of the same samples."""
        other = self.beside(model)
        return other if isinstance(other, Unmeasured) else likeness(self.scores[self.forget], other[self.forget])

    def utility(self, among: Bool[np.ndarray, " samples"]) -> Estimate | Unmeasured:
        """Return the mean utility of predictions on some samples."""
        values = self._utilities(among)
        if values is None:
            return Unmeasured(NO_PREDICTIONS)
        return average(values, ONE_MODEL, self.level, self._weight(among), self._groups(among))

    def utility_change(self, whole: "ForgetSet") -> Estimate | Unmeasured:
        """Return the mean utility on the samples to be forgotten minus that in full precision, paired."""
        values, before = self._utilities(self.forget), whole._utilities(self.forget)
        if values is None or before is None:
            return Unmeasured(NO_PREDICTIONS)
        weight, groups = self._weight(self.forget), self._groups(self.forget)
        return average_difference(values, before, ONE_MODEL, self.level, weight, groups)

    def _utilities(self, among: Bool[np.ndarray, " samples"]) -> Float[np.ndarray, "models some"] | None:
        utilities = self.table.per_sample_utility
        return None if utilities is None else utilities[:, among].astype(np.float64)

    def _weight(self, among: Bool[np.ndarray, " samples"]) -> Float[np.ndarray, " some"] | None:
        return None if self.table.weight is None else self.table.weight[among]

    def _groups(self, among: Bool[np.ndarray, " samples"]) -> np.ndarray | None:
        groups = self.table.evidence.groups
        shared = None if groups is None else where_any_is_shared(groups[among])
        return numbers_of(shared, int(among.sum()))

    def _how(self, clustered: str) -> str:
        return clustered if self.strata is None else f"within classes; {clustered}"


def forget_set(version: ScoredVersion) -> ForgetSet | None:
    """Return what was to be forgotten, None where the audit was not told."""
    forgetting = version.table.forgetting
    return None if forgetting is None else ForgetSet(version.table, forgetting, version.precision.level)


def knows(version: ScoredVersion, model: str) -> bool:
    """Whether the audit was given another model to compare with: "before" or "retrained"."""
    forgetting = version.full_precision.table.forgetting
    return forgetting is not None and model in forgetting.beside
