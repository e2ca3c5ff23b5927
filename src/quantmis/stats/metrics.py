"""What an attack's scores are worth: every metric with its interval, or with the reason why it has none.

The scores of all models are pooled into one ROC curve. AUC and the true positive rates are read off it; advantage,
balanced accuracy and epsilon are those of decisions on held-out samples (`quantmis.stats.heldout`), because their
threshold is chosen to make them large.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.stats import heldout, interval
from quantmis.stats.cluster import Linear, Spread, between_rows, pair_id, spread
from quantmis.stats.estimate import Estimate, Unmeasured
from quantmis.stats.groups import numbers_of, units_of
from quantmis.stats.roc import FALSE_POSITIVES_NEEDED, Tally, auc, points, step_at, tally, true_positive_rate

FALSE_POSITIVE_RATES = (0.1, 0.01, 0.001)
SAMPLES_NEEDED = 8
FADES = 2.0
"""Standard errors from nothing beyond which what models are to each other as references matters less."""

HELD_OUT = "threshold and direction chosen on one half of the samples, measured on the other; "


@dataclass(frozen=True)
class Metrics:
    """Hold what the scores of one attack achieved.

    `epsilon_low`: log(TPR / FPR), which no (epsilon, 0)-differentially private training can exceed; quote its `low`.
    `tpr`: by false positive rate. `fpr_points`, `tpr_points`: the ROC curve, thinned for drawing.
    """

    auc: Estimate
    advantage: Estimate | Unmeasured
    balanced_accuracy: Estimate | Unmeasured
    epsilon_low: Estimate | Unmeasured
    tpr: dict[float, Estimate | Unmeasured]
    fpr_points: list[float]
    tpr_points: list[float]


@dataclass(frozen=True, eq=False)
class Table:
    """Hold scores already tallied, with what every interval over them needs."""

    counts: Tally
    member: Bool[np.ndarray, "models samples"]
    cluster: Int[np.ndarray, " models"]
    half: Bool[np.ndarray, " samples"]
    level: float
    groups: Int[np.ndarray, " samples"] | None = None
    each_other: bool = False

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, "models samples"],
        member: Bool[np.ndarray, "models samples"],
        level: float,
        seed: int = 0,
        groups: Shaped[np.ndarray, " samples"] | None = None,
        each_other: bool = False,
    ) -> "Table":
        """Tally `scores` and divide their samples into halves; samples of one of `groups` stay together.

        `each_other`: the models are each other's references, see `proportion`.
        """
        numbers = numbers_of(groups, scores.shape[1])
        half = heldout.halves(scores, member, seed, numbers)
        return cls(tally(scores, member), member, pair_id(member), half, level, numbers, each_other)

    @property
    def units(self) -> int:
        """How many independent draws of samples there are: the samples, or their groups."""
        return units_of(self.groups, self.member.shape[1])

    def spread(self, influence: Float[np.ndarray, "models samples"]) -> Spread:
        """Return the clustered variance of a metric with this `influence`."""
        return spread(influence, self.cluster, self.groups)

    def proportion(self, linear: Linear, how: str = "", nothing: float = 0.5) -> Estimate:
        """Return a number in [0, 1] with its interval; it is `nothing` where scores say nothing.

        Influences count what a model is as a target. Where little is given away, what it is as a reference of the
        others varies as much: if the models are `each_other`'s references, the variance between them counts twice
        there. The more a number stands out, the less does it depend on the references, which find what there is.
        """
        over, value = self.spread(linear.influence), min(max(linear.value, 0.0), 1.0)
        if self.each_other and over.variance > 0:
            beyond = max(abs(value - nothing) / math.sqrt(over.variance) - FADES, 0.0)
            between = between_rows(linear.influence, self.cluster, self.groups)
            over = replace(over, variance=over.variance + between / (1 + beyond**2))
        low, high = interval.wilson(value, over, self.level, units=self.units)
        return Estimate(value, low, high, self.level, how + clustering(over, self.groups is not None))

    def chosen_proportion(self, right: Linear, how: str) -> Estimate:
        """Return a balanced accuracy whose threshold was chosen to make it large: the choice widens it downwards."""
        plain = self.proportion(right, how)
        error = math.sqrt(self.spread(right.influence).variance)
        low = max(plain.low - heldout.price_of_choice(plain.low, error, nothing=0.5), 0.0)
        return replace(plain, low=low)


def evaluate(
    scores: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    false_positive_rates: Sequence[float] = FALSE_POSITIVE_RATES,
    groups: Shaped[np.ndarray, " samples"] | None = None,
    each_other: bool = False,
) -> Metrics:
    """Return every metric of the scores of an attack, higher = more member-like.

    `groups` [samples]: which samples belong together (a patient's, a document's); they are one draw, not several.
    `each_other`: the models are each other's references, as where shadow models attack each other. Raises `UserError`
    for NaN, for unequal shapes, and where there are only members or only non-members.

    >>> draw = np.random.default_rng(0)
    >>> member = np.tile(np.arange(400) % 2 == 0, (1, 1))
    >>> metrics = evaluate(draw.normal(size=(1, 400)) + member, member)
    >>> metrics.auc.low < 0.76 < metrics.auc.high, metrics.tpr[0.001].reason
    (True, 'not resolvable with 200 non-members: 0.2 false positives expected, 10 needed')
    """
    table = Table.of(scores, member, level, groups=groups, each_other=each_other)
    fpr, tpr = points(table.counts.curve)
    balanced = balanced_accuracy(table)
    return Metrics(
        auc=table.proportion(auc(table.counts, member), "ties counted half; "),
        advantage=_advantage(balanced),
        balanced_accuracy=balanced,
        epsilon_low=epsilon(table),
        tpr={rate: _true_positive_rate(table, rate) for rate in false_positive_rates},
        fpr_points=fpr.tolist(),
        tpr_points=tpr.tolist(),
    )


def balanced_accuracy(table: Table) -> Estimate | Unmeasured:
    """Return the accuracy on as many members as non-members, at held-out thresholds; never below a coin's."""
    why = too_few(table)
    if why:
        return why
    accepted = heldout.decide(table.counts, table.member, table.half, heldout.best_advantage)
    return table.chosen_proportion(accuracy(accepted, table.member), HELD_OUT)


def accuracy(accepted: Bool[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]) -> Linear:
    """Return the balanced accuracy of decisions; 1/2 where they are worse than a coin."""
    tpr, fpr = heldout.rates(accepted, member)
    return Linear(max((1 + tpr.value - fpr.value) / 2, 0.5), (tpr.influence - fpr.influence) / 2)


def epsilon(table: Table) -> Estimate | Unmeasured:
    """Return log(TPR / FPR) at held-out thresholds; exact (Clopper-Pearson) for a single model."""
    why = too_few(table)
    if why:
        return why
    accepted = heldout.decide(table.counts, table.member, table.half, heldout.best_epsilon)
    hits, alarms = accepted[table.member].sum(), accepted[~table.member].sum()
    if min(hits, alarms) < FALSE_POSITIVES_NEEDED:
        return Unmeasured(f"not resolvable with {table.counts.trials[1]} non-members")
    is_exact = len(accepted) == 1 and table.groups is None
    return (_exact_epsilon if is_exact else _clustered_epsilon)(table, accepted)


def too_few(table: Table) -> Unmeasured | None:
    """Say so where the halves hold too few members or non-members to choose a threshold and to measure it."""
    first = slice(None) if table.groups is None else np.unique(table.groups, return_index=True)[1]
    member, half = table.member[:, first], table.half[first]
    counted = [kind[:, side].sum() for side in (half, ~half) for kind in (member, ~member)]
    if min(counted) >= SAMPLES_NEEDED // 2:
        return None
    among = "" if table.groups is None else "groups of "
    counts = f"{(~member).sum()} {among}non-members and {member.sum()} {among}members"
    return Unmeasured(f"not resolvable with {counts}: {SAMPLES_NEEDED} of each are needed")


def clustering(over: Spread, grouped: bool = False) -> str:
    """Say which entries an interval takes for dependent."""
    unit = "group of samples" if grouped else "sample"
    if over.only_these:
        these = "this model" if over.models == 1 else f"these {over.models} models"
        return f"clustered by {unit}; about {these} only"
    return f"clustered by {unit} and by model ({over.models} models)"


def _advantage(accuracy: Estimate | Unmeasured) -> Estimate | Unmeasured:
    if isinstance(accuracy, Unmeasured):
        return accuracy
    value, low, high = (max(2 * end - 1, 0.0) for end in (accuracy.value, accuracy.low, accuracy.high))
    return Estimate(value, low, high, accuracy.level, accuracy.method)


def _true_positive_rate(table: Table, fpr: float) -> Estimate | Unmeasured:
    non_members = table.counts.trials[1]
    if fpr * non_members < FALSE_POSITIVES_NEEDED - 1e-9:
        expected = f"{fpr * non_members:.2g} false positives expected, {FALSE_POSITIVES_NEEDED} needed"
        return Unmeasured(f"not resolvable with {non_members} non-members: {expected}")
    found = table.proportion(true_positive_rate(table.counts, table.member, fpr), "threshold at this rate; ", fpr)
    return replace(found, low=max(found.low - step_at(table.counts.curve, fpr), 0.0))  # the number is the upper end


def _exact_epsilon(table: Table, accepted: Bool[np.ndarray, "models samples"]) -> Estimate:
    """Give each of the two rates an exact interval of half the error, so that both hold together."""
    (tpr, low_tpr, high_tpr), (fpr, low_fpr, high_fpr) = (
        _exact(accepted[among], (1 + table.level) / 2) for among in (table.member, ~table.member)
    )
    ends = (math.log(top / bottom) for top, bottom in ((tpr, fpr), (low_tpr, high_fpr), (high_tpr, low_fpr)))
    value, low, high = (max(end, 0.0) for end in ends)
    return Estimate(value, low, high, table.level, HELD_OUT + "exact binomial (Clopper-Pearson)")


def _exact(accepted: Bool[np.ndarray, " trials"], level: float) -> tuple[float, float, float]:
    successes, trials = int(accepted.sum()), len(accepted)
    return successes / trials, *interval.clopper_pearson(successes, trials, level)


def _clustered_epsilon(table: Table, accepted: Bool[np.ndarray, "models samples"]) -> Estimate:
    tpr, fpr = heldout.rates(accepted, table.member)
    over = table.spread(tpr.influence / tpr.value - fpr.influence / fpr.value)
    raw, reach = (
        math.log(tpr.value / fpr.value),
        interval.quantile(table.level, over.freedom) * math.sqrt(over.variance),
    )
    value = max(raw, 0.0)
    return Estimate(
        value,
        max(value - reach, 0.0),
        value + reach,
        table.level,
        HELD_OUT + clustering(over, table.groups is not None),
    )
