"""The indicator r_Q of membership inference security (Aubinais et al., AISTATS 2026; our estimator of it)."""

from collections.abc import Callable

from quantmis.errors import UserError
from quantmis.measures.measure import LARGEST, Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.theory import indicator as rate

NO_TRAINING = "compares several trainings of a model, and this is one model"


def of_candidates(version: ScoredVersion, compute: Callable[[], Estimate]) -> Estimate | Unmeasured:
    """Compute what compares several trainings, or say why not: without it the attacks still stand."""
    if version.table.about == "target" or version.precision.replicates == 0:
        return Unmeasured(NO_TRAINING)
    try:
        return compute()
    except UserError as error:  # few held-out samples, or a single quantized model
        return Unmeasured(str(error))


def indicator(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the rate r_Q of the replicates of a version, at their end and at their checkpoints."""
    precision = version.precision
    return of_candidates(version, lambda: _rate(version, precision.seed, precision.level))


def _rate(version: ScoredVersion, seed: int, level: float) -> Estimate:
    candidates = version.table.candidates(version.precision.replicates)
    return rate(candidates.losses, candidates.replicate, seed=seed, level=level)


INDICATOR = Measure[Estimate](
    name="indicator",
    title="Indicator r_Q",
    sentence="A rate from the theory of quantized models that needs no attack: the larger, the less the quantized "
    "weights are predicted to depend on any one sample. It orders versions; it is no probability.",
    kind=Estimate,
    compute=indicator,
    unit="number",
    span=(0.0, LARGEST),
    better="higher",
    shown=frozenset({"theory"}),
    order=110,
    limits=("at_least",),
)
