"""What an audit lists tied versions by: how much of the signal of a model passes the quantizer, by two measurements.

One is rho, between trainings or perturbed copies. The other is the correlation of the ranks of losses before and after,
class by class, over samples that a model was not trained on: what distortion is one minus of, without what moves whole
classes. Each orders versions well where the other is deceived; their mean on Fisher's scale did best on development
problems, from one training and from several (docs/explanation/which-number.md).
"""

import numpy as np
import scipy
from jaxtyping import Float, Int

from quantmis.errors import UserError
from quantmis.measures.channel_correlation import changes, untrained
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured

NEAREST = 0.999
"""Correlations nearer to 1 count as this: beyond, Fisher's scale sees differences that no sample of losses carries."""


def passing(version: ScoredVersion) -> float | Unmeasured:
    """Return the mean, on Fisher's scale, of rho and of the correlation within classes, from 0 to 1."""
    try:
        moved = changes(version)
        if isinstance(moved, Unmeasured):
            return moved
        return combined(moved.correlation().value, _within_classes(version))
    except UserError as error:  # hardly any sample that models were not trained on
        return Unmeasured(str(error))


def combined(rho: float, within: float) -> float:
    """Return the mean of two correlations on Fisher's scale; a negative rho counts as 0, of the other the size counts.

    >>> round(combined(0.9, 0.5), 3), combined(0.4, -0.2) < 0.4
    (0.766, True)
    """
    return float(np.tanh(np.arctanh(np.clip([rho, abs(within)], 0.0, NEAREST)).mean()))


def _within_classes(version: ScoredVersion) -> float:
    """Return the mean over models of the correlation of the ranks of losses, class means taken out."""
    usable, label = untrained(version.table), version.table.evidence.label
    before, after = (each.table.evidence.losses for each in (version.full_precision, version))
    classes = np.zeros(usable.shape[1], dtype=int) if label is None else np.unique(label, return_inverse=True)[1]
    values = [
        rank_correlation(whole[own], quantized[own], classes[own])
        for whole, quantized, own in zip(before, after, usable, strict=False)
    ]
    return float(np.mean(values))


def rank_correlation(
    first: Float[np.ndarray, " samples"], second: Float[np.ndarray, " samples"], classes: Int[np.ndarray, " samples"]
) -> float:
    """Return the correlation of ranks once their mean in each class is taken out; 0 where nothing is left.

    >>> values = np.array([0.1, 0.2, 5.0, 6.0])
    >>> rank_correlation(values, np.array([3.0, 4.0, 0.1, 0.2]), np.array([0, 0, 1, 1]))
    1.0
    """
    a, b = (_apart(scipy.stats.rankdata(each), classes) for each in (first, second))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def _apart(ranks: Float[np.ndarray, " samples"], classes: Int[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    count = np.maximum(np.bincount(classes), 1)
    return ranks - (np.bincount(classes, weights=ranks) / count)[classes]


PASSING = Measure[float](
    name="passing",
    title="Passing signal",
    sentence="How much of what a model says of records that it was not trained on comes through quantizing, from 0 to "
    "1, by two measurements together. It knows nothing of members, and orders versions that nothing else tells apart.",
    kind=float,
    compute=passing,
    unit="number",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=62,
    limits=("at_most",),
)
