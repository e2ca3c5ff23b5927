"""The limits of a search: those of a gate's policy that a candidate can be held to before anything is confirmed.

A search holds the value itself against a limit; the gate, which judges what was confirmed, the cautious end of its
interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quantmis.gate.policy import Policy, limited
from quantmis.gate.verdict import Direction
from quantmis.measures import Measure, ScoredVersion
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.stats import Estimate, Unmeasured

FORESEEN = (ATTACK_ACCURACY.name, ATTACK_ACCURACY_CHANGE.name, SECURITY_UPPER_BOUND.name)
"""Measures of attacks, which the exposure of a candidate stands for."""

JUDGED = (
    *("utility", "utility_change", "perplexity", "bits_per_weight", "gain_over_constant_guess"),
    *("distortion", "channel_correlation", "passing"),
)
"""Measures that a few trained pairs show themselves."""

OF_UTILITY = ("utility_at_least", "utility_change_at_least", "perplexity_at_most")
LOSS = 0.02
"""What utility a candidate may cost where nobody said, in units of the utility."""


@dataclass(frozen=True)
class Limit:
    """Hold a limit on a measure, by the key that it has in a policy."""

    key: str
    measure: Measure[Any]
    direction: Direction
    threshold: float

    def shortfall(self, version: ScoredVersion, exposure: float, before: float) -> float:
        """Return by how much a candidate misses the limit, 0 or less where it keeps it.

        `exposure` is that of the candidate, `before` that of full precision. What cannot be measured misses it by all.
        """
        value = self._value(version, exposure, before)
        if value is None:
            return abs(self.threshold) or 1.0
        return value - self.threshold if self.direction == "at most" else self.threshold - value

    def _value(self, version: ScoredVersion, exposure: float, before: float) -> float | None:
        if self.measure.name in FORESEEN:
            return {
                ATTACK_ACCURACY.name: (1 + exposure) / 2,
                ATTACK_ACCURACY_CHANGE.name: (exposure - before) / 2,
                SECURITY_UPPER_BOUND.name: 1 - exposure,
            }[self.measure.name]
        value = self.measure.compute(version)
        if isinstance(value, Unmeasured) or value is None:
            return 0.0 if version.is_full_precision and self.measure.name == "utility_change" else None
        return value.value if isinstance(value, Estimate) else float(value)

    def __str__(self) -> str:
        """Write the limit as people read it."""
        return f"{self.key.rsplit('_at_', 1)[0]} {self.direction} {self.threshold:g}"


def limits_of(policy: Policy | None, loss_at_most: float | None) -> tuple[tuple[Limit, ...], list[str]]:
    """Return the limits that a search holds candidates to, and the keys of those that it cannot judge."""
    every, given = limited(), _given(policy)
    known = [key for key in given if every[key][0].name in (*FORESEEN, *JUDGED)]
    limits = {key: Limit(key, *every[key], threshold=given[key]) for key in known}
    if loss_at_most is not None or not any(key in limits for key in OF_UTILITY):
        key, loss = "utility_change_at_least", LOSS if loss_at_most is None else loss_at_most
        tighter = max(-loss, limits[key].threshold) if key in limits else -loss
        limits[key] = Limit(key, *every[key], threshold=tighter)
    return tuple(limits.values()), [*(key for key in given if key not in known), *_others(policy)]


def _given(policy: Policy | None) -> Mapping[str, float]:
    limits = {} if policy is None else {key: getattr(policy.limits, key) for key in limited()}
    return {key: value for key, value in limits.items() if value is not None}


def _others(policy: Policy | None) -> list[str]:
    """Return the keys of a policy that are no limits on measures of a version."""
    if policy is None:
        return []
    sections = policy.model_dump(exclude_defaults=True, exclude={"version", "about"})
    rates = [f"tpr at {each.at_fpr:g}" for each in policy.limits.tpr]
    return [*rates, *(f"{name}.{key}" for name, keys in sections.items() if name != "limits" for key in keys)]
