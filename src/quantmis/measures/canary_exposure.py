"""How well language models remember the random texts that were planted in their training sets (Carlini et al. 2019)."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from quantmis.measures.measure import Measure, Number
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among
from quantmis.stats.exposure import exposure_bits
from quantmis.tables import LossTable

NO_CANARIES = "no random texts were planted: canaries = 8 plants eight at each of several repetition counts"
NO_LOGITS = "this version computes in a runtime that shows no probabilities to decode from"
CEILING = "at least this: none of the random texts that nobody trained on stood above a planted one"


class CanaryExposure(Record):
    """Hold how well models remember random texts that stood `repeats` times in their training set.

    `exposure_bits` (Carlini et al. 2019): log2 of the number of random texts like them, less log2 of their rank
    among these; a text that was not trained on has 1.4 on average. `greedy` and `sampled`: the share of them that
    models say by heart when given their first half.
    """

    repeats: int
    exposure_bits: Estimate | Unmeasured
    greedy: Estimate | Unmeasured
    sampled: Estimate | Unmeasured


def canary_exposure(version: ScoredVersion) -> list[CanaryExposure] | Unmeasured | None:
    """Return how well models remember the random texts in their training sets, by how often these stood there."""
    table = version.table
    if table.repeats is None:
        return Unmeasured(NO_CANARIES) if table.metric == LOG_LIKELIHOOD else None
    counts = np.unique(table.repeats[table.is_canary]).tolist()
    return [_remembered(table, table.repeats, count, version.precision.level) for count in counts if count]


def _remembered(table: LossTable, repeats: np.ndarray, count: int, level: float) -> CanaryExposure:
    planted = repeats[table.is_canary & (repeats > 0)] == count
    alternatives = table.evidence.columns(table.is_canary & (repeats == 0)).signals
    canaries = table.canaries.columns(planted)

    def share(decoding: str) -> Estimate | Unmeasured:
        if decoding not in table.extracted:
            return Unmeasured(NO_LOGITS)
        return average_among(table.extracted[decoding][:, planted].astype(np.float64), canaries.member, level)

    bits = average_among(exposure_bits(canaries.signals, alternatives), canaries.member, level)
    most = math.log2(alternatives.shape[1] + 1)
    reason = CEILING if bits.value >= most else None
    bits = replace(bits, low=max(0.0, bits.low), high=min(most, bits.high), reason=reason)
    return CanaryExposure(repeats=count, exposure_bits=bits, greedy=share("greedy"), sampled=share("sampled"))


def _numbers(canaries: list[CanaryExposure]) -> Mapping[str, Number]:
    fields = ("exposure_bits", "greedy", "sampled")
    return {f".{each.repeats}.{field}": getattr(each, field) for each in canaries for field in fields}


CANARY_EXPOSURE = Measure[list[CanaryExposure]](
    name="canary_exposure",
    title="Planted random texts",
    sentence="How well a language model remembers random texts that were planted in its training set: the bits by "
    "which they stand above others like them, and the share that it says by heart when given their first half.",
    kind=list[CanaryExposure],
    compute=canary_exposure,
    unit="bits",
    span=(0.0, 64.0),
    better="lower",
    order=160,
    glossary=False,
    numbers=_numbers,
)
