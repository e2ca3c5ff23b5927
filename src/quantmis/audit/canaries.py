"""How well language models remember the random texts that were planted in their training sets."""

import math
from dataclasses import replace

import numpy as np

from quantmis.tables.loss_table import Table
from quantmis.results import LIKELIHOOD, NO_TEXTS, CanaryExposure, Measured
from quantmis.stats import Unmeasured
from quantmis.stats.average import average_among
from quantmis.stats.exposure import exposure_bits

NO_CANARIES = "no random texts were planted: canaries = 8 plants eight at each of several repetition counts"
NO_LOGITS = "this version computes in a runtime that shows no probabilities to decode from"
CEILING = "at least this: none of the random texts that nobody trained on stood above a planted one"


def memory(table: Table, level: float) -> list[CanaryExposure] | Unmeasured:
    """Return how well models remember the random texts in their training sets, by how often these stood there."""
    if table.repeats is None:
        return Unmeasured(NO_CANARIES) if table.metric == LIKELIHOOD else NO_TEXTS
    return [_remembered(table, often, level) for often in np.unique(table.repeats[table.is_canary]).tolist() if often]


def _remembered(table: Table, often: int, level: float) -> CanaryExposure:
    assert table.repeats is not None  # noqa: S101 there are canaries
    planted = table.repeats[table.is_canary & (table.repeats > 0)] == often
    alternatives = table.evidence.columns(table.is_canary & (table.repeats == 0)).signals
    found = table.canaries.columns(planted)

    def said(way: str) -> Measured:
        if way not in table.extracted:
            return Unmeasured(NO_LOGITS)
        return average_among(table.extracted[way][:, planted].astype(np.float64), found.member, level)

    bits = average_among(exposure_bits(found.signals, alternatives), found.member, level)
    most = math.log2(alternatives.shape[1] + 1)
    return CanaryExposure(
        repeats=often,
        exposure_bits=replace(
            bits, low=max(0.0, bits.low), high=min(most, bits.high), reason=CEILING if bits.value >= most else None
        ),
        greedy=said("greedy"),
        sampled=said("sampled"),
    )
