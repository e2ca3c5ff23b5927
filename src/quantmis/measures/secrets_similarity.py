"""How much of the secrets that were named a language model writes by itself after their prefix, on average."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.secrets import NO_SECRETS, scores_of
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average
from quantmis.tables import SecretScores

ONE = Unmeasured("a single secret has no average: see it by itself")


def secrets_similarity(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the mean edit similarity of secrets to what greedy decoding writes."""
    scores = scores_of(version)
    return scores if not isinstance(scores, SecretScores) else mean_of(scores.similarity, version.precision.level, 1.0)


def mean_of(values: np.ndarray, level: float, most: float) -> Estimate | Unmeasured:
    """Return the mean over secrets, each of them a draw by itself; its interval lies between 0 and `most`."""
    if len(values) < 2:
        return ONE
    mean = average(values[None].astype(np.float64), np.ones((1, 1), dtype=bool), level)
    low, high = max(0.0, mean.low), min(most, mean.high)
    return Estimate(mean.value, min(low, mean.value), max(high, mean.value), level, mean.method)


SECRETS_SIMILARITY = Measure[Estimate](
    name="secrets_similarity",
    title="Secrets written, how nearly",
    sentence="The share of a secret's characters that stand right in what the model writes after its prefix, on "
    "average over the secrets that were named; some of it is what all such secrets have in common.",
    kind=Estimate,
    compute=secrets_similarity,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=165,
    limits=("at_most",),
    glossary=False,
    absent=NO_SECRETS,
)
