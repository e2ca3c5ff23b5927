"""Which single samples are most exposed."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured, most_exposed

MOST_NAMED = 10


class SampleExposure(Record):
    """Hold how often a model trained on a sample scores it above a model that was not; 1/2 is nothing, 1 always.

    `sample` is its row in the data, counted from 0, `id` what the user calls it.
    """

    sample: int
    id: str
    exposure: Estimate


def most_exposed_samples(version: ScoredVersion) -> list[SampleExposure] | Unmeasured:
    """Return the samples that the attack behind exposure finds most often, the most exposed first."""
    scores = version.exposing_scores
    if isinstance(scores, Unmeasured):
        return scores
    worst = most_exposed(scores, version.table.audited.member, MOST_NAMED, version.precision.level)
    if isinstance(worst, Unmeasured):
        return worst
    rows = np.flatnonzero(version.table.is_audited)[[each.sample for each in worst]].tolist()
    names = rows if version.ids is None else [version.ids[row] for row in rows]
    return [
        SampleExposure(sample=row, id=str(name), exposure=each.exposure)
        for row, name, each in zip(rows, names, worst, strict=True)
    ]


MOST_EXPOSED_SAMPLES = Measure[list[SampleExposure]](
    name="most_exposed_samples",
    title="Most exposed samples",
    sentence="The records that stand out most among the members, and how often a model that was trained on one does "
    "more for it than a model that was not.",
    kind=list[SampleExposure],
    compute=most_exposed_samples,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=150,
    glossary=False,
)
