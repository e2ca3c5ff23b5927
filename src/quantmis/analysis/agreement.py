"""Whether measures order the versions alike.

MIS by theory orders only versions whose intervals are apart: with few held-out samples most of its values are bounds,
and bounds have no order. `theory.security_ranking` compares versions in pairs over the same samples and states more.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from quantmis.errors import UserError
from quantmis.measures.auc import AUC
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.security import SECURITY
from quantmis.results import Agreement, Measured, VersionResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.ranking import kendall, kendall_where_apart


def agreement(versions: Sequence[VersionResult], level: float) -> list[Agreement]:
    """Say whether the indicator, MIS by flux and each attack order the versions alike."""
    measures = {measure.name: [each[measure] for each in versions] for measure in (INDICATOR, SECURITY)}
    for name in versions[0].attacks:
        measures[name] = [_protection(each, name) for each in versions]
    return [
        Agreement(first=first, second=second, tau=_tau(first, second, measures, level))
        for first, second in combinations(measures, 2)
    ]


def _protection(result: VersionResult, attack: str) -> Measured:
    adaptive = result.attacks[attack].adaptive
    area = adaptive if isinstance(adaptive, Unmeasured) else adaptive[AUC]
    return Unmeasured("no AUC") if isinstance(area, Unmeasured) else Estimate(-area.value, -area.high, -area.low)


def _tau(first: str, second: str, measures: Mapping[str, Sequence[Measured]], level: float) -> Measured:
    ones, others = ([each for each in measures[name] if isinstance(each, Estimate)] for name in (first, second))
    if min(len(ones), len(others)) < len(measures[first]):
        return Unmeasured("one of the two was not measured for every quantizer")
    try:
        if SECURITY.name in (first, second):
            theory, values = (ones, others) if first == SECURITY.name else (others, ones)
            return kendall_where_apart(theory, _values(values), level)
        return kendall(_values(ones), _values(others), level)
    except UserError as error:
        return Unmeasured(str(error))


def _values(estimates: Sequence[Estimate]) -> Float[np.ndarray, " quantizers"]:
    return np.array([each.value for each in estimates])
