"""A quantizer as a noisy channel: how much of what a model says of a sample passes, and what an attacker then gets.

**Model.** The membership signal of sample i in full precision is `S = mu_i + m d + tau eps`: `mu_i` its difficulty,
`m` whether the model was trained on it, `eps` what another training would change. Quantizing gives
`S_Q = a S + b_i + omega`, where `b_i` is what the quantizer does to the sample whatever the training, and `omega` is
noise that is independent of membership given `S`.

**Data processing.** Given `S`, the signal `S_Q` knows nothing more of `m`. So no attack on `S_Q` does better than the
best attack on `S`, whatever the laws. How much worse is the channel's *contraction*:

* In general, chi^2(in_Q || out_Q) <= R^2 chi^2(in || out), with R the maximal correlation of `S` and `S_Q` given out;
  with TV <= sqrt(chi^2) / 2 the advantage is at most R sqrt(chi^2) / 2. Proof: the likelihood ratio after is the
  conditional expectation of that before, and R is the norm of that conditional expectation on centred functions.
* For normal `eps` and `omega`, R is the plain correlation `rho = a tau / sqrt(a^2 tau^2 + Var omega)` (Gebelein 1941)
  and the advantage is exactly `2 Phi(rho z) - 1`, where it is `2 Phi(z) - 1` before, z = d / 2 tau. This lies between
  rho times the advantage before and that advantage itself.
* For other laws rho <= R only: an advantage may then exceed what rho predicts.

**Estimation.** Between two trainings, or between a training and a copy of it with noise on its weights, `mu_i` and
`b_i` cancel: `rho = corr(S_1 - S_2, S_Q1 - S_Q2)` over samples that neither was trained on. It needs no member. Several
trainings are pooled over all their pairs, which is the correlation of what is left once the mean of each sample over
trainings is taken out. What breaks the assumption, such as noise that spares members, rho cannot see: membership must.
Derived for this project.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from quantmis.errors import require
from quantmis.stats.cluster import PRIOR, USUAL, Linear, Spread
from quantmis.stats.estimate import Estimate
from quantmis.stats.groups import gather_groups
from quantmis.stats.interval import quantile

FEWEST = 50
"""Differences that a correlation is measured on, at least."""

PASSES = 4
"""How often means of models and samples are taken out in turn, where not every model says something of each sample."""

Signals = Float[np.ndarray, "models samples"]


@dataclass(frozen=True, eq=False)
class Changes:
    """Hold how the signals of models change for reasons other than membership, before and after quantizing.

    `before`, `after`: [models, samples], what remains once means are taken out; 0 where a model says nothing.
    """

    before: Signals
    after: Signals

    @classmethod
    def between(cls, whole: Signals, quantized: Signals, untrained: Bool[np.ndarray, "models samples"]) -> "Changes":
        """Return the changes between trainings, over the samples that two or more of them were not trained on."""
        _require_one_shape(whole, quantized, untrained)
        require(
            len(whole) >= 2, f"changes between trainings need two trainings, got {len(whole)}", hint="perturb the one"
        )
        usable = untrained & (untrained.sum(axis=0) >= 2)
        return cls(_centred(whole, usable), _centred(quantized, usable))

    @classmethod
    def within(
        cls,
        whole: tuple[Signals, Signals],
        quantized: tuple[Signals, Signals],
        untrained: Bool[np.ndarray, "models samples"],
    ) -> "Changes":
        """Return the changes from each training to its perturbed copy: pairs of the signals of both."""
        for each in (*whole, *quantized):
            _require_one_shape(whole[0], each, untrained)
        before, after = (np.where(untrained, copy - own, 0.0) for own, copy in (whole, quantized))
        return cls(*(np.where(untrained, each - _mean(each, untrained), 0.0) for each in (before, after)))

    def normal_scores(self) -> "Changes":
        """Return the changes of each model as normal scores of their ranks (van der Waerden 1952).

        A few that are far from all others decide nothing then, and the correlation of a normal channel stays the same.
        """
        usable = (self.before != 0) | (self.after != 0)
        return Changes(*(np.where(usable, _scores(each, usable), 0.0) for each in (self.before, self.after)))

    def correlation(self) -> Linear:
        """Return rho, and by how much each entry moves it; 0 where quantizing leaves no change at all.

        Raises `UserError` for fewer than `FEWEST` samples that changed, and where nothing changes in full precision.
        """
        samples = int((self.before != 0).any(axis=0).sum())
        require(samples >= FEWEST, f"expected {FEWEST} samples that models were not trained on, got {samples}")
        before, after = float((self.before**2).sum()), float((self.after**2).sum())
        if after <= 0:
            return Linear(0.0, np.zeros_like(self.before))
        product = self.before * self.after / np.sqrt(before * after)
        value = float(product.sum())
        return Linear(
            min(max(value, -1.0), 1.0), product - value / 2 * (self.before**2 / before + self.after**2 / after)
        )


def correlation_estimate(
    rho: Linear, level: float = 0.95, groups: Int[np.ndarray, " samples"] | None = None
) -> Estimate:
    """Return rho with its interval, on Fisher's scale, clustered by sample and by training at once.

    `groups` [samples]: which samples are one draw. How much trainings differ is drawn towards the usual, since few show
    it badly; from one training or one pair the interval is about these.

    >>> draws = np.random.default_rng(0).normal(size=(2, 4, 500))
    >>> changes = Changes.between(draws[0], draws[0] + draws[1], np.ones((4, 500), dtype=bool))
    >>> rho = correlation_estimate(changes.correlation())
    >>> rho.low < 0.5**0.5 < rho.high
    True
    """
    over = _spread(gather_groups(rho.influence, groups))
    room = 1 - rho.value**2
    method = f"correlation of changes, Fisher's scale, {_clusters(over, groups is not None)}"
    if room <= 0 or over.variance <= 0:
        return Estimate(rho.value, rho.value, rho.value, level, method)
    reach = quantile(level, over.freedom) * float(np.sqrt(over.variance)) / room
    centre = float(np.arctanh(rho.value))
    low, high = (float(np.tanh(centre + step)) for step in (-reach, reach))
    return Estimate(rho.value, min(low, rho.value), max(high, rho.value), level, method)


def _spread(influence: Float[np.ndarray, "trainings samples"]) -> Spread:
    """Return the variance of the sum: of samples, and of trainings as far as these vary more than their entries."""
    trainings, samples = influence.shape
    cell = float((influence**2).sum())
    columns = float((influence.sum(axis=0) ** 2).sum()) * samples / max(samples - 1, 1)
    if trainings <= 2 or cell == 0:
        return Spread(columns, float(max(samples - 1, 1)), trainings, only_these=True)
    rows = float((influence.sum(axis=1) ** 2).sum()) * trainings / (trainings - 1)
    freedom = trainings - 1 + PRIOR
    shown = max((PRIOR * USUAL * cell + (trainings - 1) * rows) / freedom, cell)
    variance = columns + shown - cell
    unsteady = columns**2 / (samples - 1) + (shown**2 / freedom if shown > cell else 0.0)
    return Spread(variance, max(variance**2 / unsteady, 1.0) if unsteady > 0 else float(samples), trainings)


def advantage_after(advantage: float, rho: float) -> float:
    """Return an advantage after a normal channel: `2 Phi(rho z) - 1`, where it is `2 Phi(z) - 1` before.

    >>> round(advantage_after(0.4, 0.5), 3), advantage_after(0.4, 1.0)
    (0.207, 0.4)
    """
    require(0 <= advantage <= 1, f"advantage: expected a number between 0 and 1, got {advantage}")
    if rho >= 1 or advantage == 0:
        return advantage
    return float(2 * scipy.special.ndtr(max(rho, 0.0) * scipy.special.ndtri((1 + advantage) / 2)) - 1)


def _centred(signals: Signals, usable: Bool[np.ndarray, "models samples"]) -> Signals:
    """Return signals less the means of each model and of each sample over the usable entries."""
    left = np.where(usable, signals, 0.0).astype(float)
    for _ in range(1 if usable.all() else PASSES):
        for axis in (1, 0):
            left = np.where(usable, left - _mean(left, usable, axis), 0.0)
    return left


def _scores(changes: Signals, usable: Bool[np.ndarray, "models samples"]) -> Signals:
    """Return normal scores of each row among its usable entries; equal changes get equal scores."""
    scores = np.zeros_like(changes)
    for row, values, chosen in zip(scores, changes, usable, strict=True):
        row[chosen] = scipy.special.ndtri((scipy.stats.rankdata(values[chosen]) - 0.5) / max(int(chosen.sum()), 1))
        row[chosen] -= row[chosen].mean() if chosen.any() else 0.0
    return scores


def _mean(values: Signals, usable: Bool[np.ndarray, "models samples"], axis: int = 1) -> Float[np.ndarray, "..."]:
    count = usable.sum(axis=axis, keepdims=True)
    return np.where(usable, values, 0.0).sum(axis=axis, keepdims=True) / np.maximum(count, 1)


def _clusters(over: Spread, grouped: bool) -> str:
    unit = "group of samples" if grouped else "sample"
    return f"clustered by {unit}" + ("; about these trainings" if over.only_these else " and by training")


def _require_one_shape(whole: np.ndarray, quantized: np.ndarray, untrained: np.ndarray) -> None:
    shapes = {whole.shape, quantized.shape, untrained.shape}
    require(len(shapes) == 1, f"a channel is measured on the same models and samples, got {sorted(shapes)}")
