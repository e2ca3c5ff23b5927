"""Quantile regression (Bertran, Tang, Roth, Kearns, Morgenstern & Wu 2023): how unusual is the signal of this sample.

A regressor learns, from non-members, the median and an upper quantile of the signal given what is known of a sample.
The score is how far the signal lies above the median, in units of the distance between the two. With features of the
samples the attacker needs no models of its own; without, what the references say of a sample (mean and spread of the
signals of those not trained on it) stands in for features.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.moments import centred, moments
from quantmis.attacks.reference_sets import reference_sets
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.stats.heldout import halves

MEDIAN = 0.5
MOST_ENTRIES = 50_000
LEAST_SPREAD = 0.1


@ATTACKS.add
@dataclass(frozen=True, eq=False)
class QuantileRegression(Attack):
    """Score by the signal's height above its predicted median, in units of the distance to quantile `upper`.

    `features`: [samples, features], what the attacker knows of each sample, in the order of the table; None: taken
    from the references, 2 of which must not have been trained on each sample, besides the target and its twin. One
    regressor serves all models; it is trained on the non-members of one half of the samples and applied to the
    other, both ways. Raises `UserError` for an `upper` that is not above 1/2, or features that do not fit.

    >>> draw = np.random.default_rng(0)
    >>> member = np.arange(400)[None] % 2 == 0
    >>> features = draw.normal(size=(400, 1))
    >>> table = Evidence(-features.T + 0.1 * draw.normal(size=(1, 400)) - member, member)
    >>> scores = QuantileRegression(features=features).score(table)
    >>> bool(np.median(scores[member]) > np.quantile(scores[~member], 0.9))
    True
    """

    features: Float[np.ndarray, "samples features"] | None = field(default=None, repr=False)
    upper: float = 0.9

    name: ClassVar[str] = "quantile_regression"
    description: ClassVar[str] = (
        "Quantile regression: learns from non-members how small a loss is to be expected for a record like "
        "this one, and takes what is below it for a member."
    )
    uses_references: ClassVar[bool] = True
    __pydantic_config__: ClassVar[dict[str, bool]] = {"arbitrary_types_allowed": True}  # features are an array

    def __post_init__(self):
        require(MEDIAN < self.upper < 1, f"quantile_regression: upper must lie between 1/2 and 1, got {self.upper}")

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the standardised heights."""
        target, reference = _single(target), None if reference is None else _single(reference)
        features, signal = self._features_of(target, reference), target.signals.astype(float)
        half = halves(signal, np.zeros_like(target.member), groups=target.groups)
        middle, top = np.empty_like(signal), np.empty_like(signal)
        for side in (half, ~half):
            learn = ~target.member & ~side
            require(learn.any(), "quantile_regression needs non-members on both halves of the samples")
            apply = np.broadcast_to(side, signal.shape)
            middle[apply], top[apply] = (
                self._predict(features[learn], signal[learn], features[apply], quantile)
                for quantile in (MEDIAN, self.upper)
            )
        return (signal - middle) / np.maximum(top - middle, LEAST_SPREAD * (signal.std() or 1.0))

    def _features_of(
        self, target: Evidence, reference: Evidence | None
    ) -> Float[np.ndarray, "models samples features"]:
        if self.features is None:
            return _reference_features(target, reference)
        require(
            self.features.shape[0] == target.samples,
            f"features: expected one row for each of {target.samples} samples, got {self.features.shape[0]}",
        )
        return np.broadcast_to(self.features, (target.models, *self.features.shape))

    @staticmethod
    def _predict(
        features: Float[np.ndarray, "entries features"],
        signal: Float[np.ndarray, " entries"],
        rows: Float[np.ndarray, "rows features"],
        quantile: float,
    ) -> Float[np.ndarray, " rows"]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        few = np.linspace(0, len(signal) - 1, min(len(signal), MOST_ENTRIES)).astype(int)
        entries = np.lexsort((*features.T, signal))[few]  # evenly over all signals, whatever the order of samples
        boosting = HistGradientBoostingRegressor(loss="quantile", quantile=quantile, max_leaf_nodes=15)
        boosting.set_params(early_stopping=False, random_state=0)
        return boosting.fit(features[entries], signal[entries]).predict(rows)


def _reference_features(target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples features"]:
    against = reference_sets(target, reference)
    against.require(QuantileRegression.name, untrained=2)
    outside = moments(centred(target, against)[1], against, trained=False)
    level = against.models.signals.mean(0, dtype=float)
    spread = np.sqrt(outside.square / outside.freedom)
    return np.stack([(level + outside.mean)[against.of], spread[against.of]], axis=-1)


def _single(table: Evidence) -> Evidence:
    """Round signals to single precision: trees tell apart what differs by rounding, so that must not differ."""
    return Evidence(
        table.losses,
        table.member,
        signal=np.ascontiguousarray(table.signals, dtype=np.float32),
        groups=table.groups,
    )
