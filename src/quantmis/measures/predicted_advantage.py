"""The advantage that an attacker with 64 shadow models per version would have, predicted by the channel."""

from dataclasses import replace

import numpy as np

from quantmis.attacks import PairedReplicates
from quantmis.errors import UserError
from quantmis.measures.channel_correlation import channel_correlation
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion, carried_out
from quantmis.stats import Estimate, Unmeasured
from quantmis.theory.channel import advantage_after

EXPONENT = 1.25
"""Of rho in the prediction; normal laws have 1, which is more often too high than too low. Fitted on development
problems (docs/explanation/which-number.md)."""

MISSES = {0: 0.10, 2: 0.055, 4: 0.04}
"""How far predictions from so many trainings are off, at the level 0.95 and beyond their errors of measurement, on
development problems. From one model alone the attacks that it allows bound what others get from below only."""


def predicted_advantage(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the advantage in full precision after the channel, with an interval, and what it was predicted from."""
    rho, known = channel_correlation(version), advantage_seen(version.full_precision)
    if isinstance(rho, Unmeasured):
        return rho
    if isinstance(known, Unmeasured):
        return known
    return _after(known, rho, _miss(_trainings(version)))


def _after(known: Estimate, rho: Estimate, miss: float) -> Estimate:
    value, *moved = (
        advantage_after(min(max(full, 0.0), 1.0), max(passed, 0.0) ** EXPONENT)
        for full, passed in (
            (known.value, rho.value),
            (known.low, rho.value),
            (known.value, rho.low),
            (known.high, rho.value),
            (known.value, rho.high),
        )
    )
    down, up = (float(np.hypot(*(np.array(ends) - value))) for ends in (moved[:2], moved[2:]))
    low, high = value - float(np.hypot(down, miss)), value + float(np.hypot(up, miss))
    return Estimate(value, max(low, 0.0), min(high, 1.0), known.level, f"full precision {known.method}, after rho")


def advantage_seen(whole: ScoredVersion) -> Estimate | Unmeasured:
    """Return the advantage of attacks on a version itself, from as much as is known of it, and say what that is.

    Between twins where no attack had reference models, by the strongest attack otherwise.
    """
    count, accuracy = _trainings(whole), whole.bound.accuracy
    if whole.table.about == "models" and not _has_shadows(whole):
        try:
            return replace(
                PairedReplicates().advantage(whole.table.audited, whole.precision.level),
                method=f"by twins, {count} trainings",
            )
        except UserError as error:
            return Unmeasured(str(error))
    if isinstance(accuracy, Unmeasured):
        return accuracy
    value, low, high = (2 * each - 1 for each in (accuracy.value, accuracy.low, accuracy.high))
    said = "attack with reference models" if _has_shadows(whole) else "attack on this model alone"
    return Estimate(value, low, high, accuracy.level, f"by the strongest {said}, {count} trainings")


def _has_shadows(version: ScoredVersion) -> bool:
    """Say whether an attack had reference models, as at the depth shadow."""
    return not version.refer.isdisjoint(carried_out(version.adaptive))


def _trainings(version: ScoredVersion) -> int:
    return version.table.evidence.models if version.table.about == "models" else 0


def _miss(trainings: int) -> float:
    return MISSES[max(count for count in MISSES if count <= trainings)]


PREDICTED_ADVANTAGE = Measure[Estimate](
    name="predicted_advantage",
    title="Predicted advantage",
    sentence="How much better than a coin an attacker with 64 models of their own is predicted to do: what full "
    "precision gives away, less what the quantizer does not let through. A prediction bounds nothing.",
    kind=Estimate,
    compute=predicted_advantage,
    unit="share difference",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"theory", "this model"}),
    order=112,
)
