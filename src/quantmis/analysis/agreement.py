"""Whether measures order the versions alike."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from quantmis.errors import UserError
from quantmis.measures.auc import AUC
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.security import SECURITY
from quantmis.results import Agreement, Measured, VersionResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.ranking import kendall


def agreement(versions: Sequence[VersionResult], level: float) -> list[Agreement]:
    """Say whether the indicator, MIS by flux and each attack order the versions alike."""
    measures = {measure.name: [each[measure] for each in versions] for measure in (INDICATOR, SECURITY)}
    for name in versions[0].attacks:
        measures[name] = [_protection(each, name) for each in versions]
    return [
        Agreement(first=first, second=second, tau=_tau(measures[first], measures[second], level))
        for first, second in combinations(measures, 2)
    ]


def _protection(result: VersionResult, attack: str) -> Measured:
    adaptive = result.attacks[attack].adaptive
    area = adaptive if isinstance(adaptive, Unmeasured) else adaptive[AUC]
    return Unmeasured("no AUC") if isinstance(area, Unmeasured) else Estimate(-area.value, -area.high, -area.low)


def _tau(first: Sequence[Measured], second: Sequence[Measured], level: float) -> Measured:
    pairs = [
        (a.value, b.value)
        for a, b in zip(first, second, strict=True)
        if isinstance(a, Estimate) and isinstance(b, Estimate)
    ]
    if len(pairs) < len(first):
        return Unmeasured("one of the two was not measured for every quantizer")
    try:
        return kendall(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), level)
    except UserError as error:
        return Unmeasured(str(error))
