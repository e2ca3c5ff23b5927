"""How far secrets stand above their alternatives in a language model (exposure, Carlini et al. 2019)."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.secrets import NO_SECRETS, scores_of
from quantmis.measures.secrets_similarity import mean_of
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables import SecretScores

NO_ALTERNATIVES = Unmeasured("the secrets that were named have no alternatives to be ranked among")
LARGEST = 64.0


def secrets_exposure(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the mean exposure in bits of the secrets that have alternatives."""
    scores = scores_of(version)
    if not isinstance(scores, SecretScores):
        return scores
    ranked = scores.exposure_bits[scores.alternatives > 0]
    return mean_of(ranked, version.precision.level, LARGEST) if len(ranked) else NO_ALTERNATIVES


SECRETS_EXPOSURE = Measure[Estimate](
    name="secrets_exposure",
    title="Exposure of secrets, bits",
    sentence="The bits by which the model finds a secret likelier than its alternatives, on average over the secrets "
    "that were named: log2 of their number less log2 of its rank. One that was never seen has about 1.4.",
    kind=Estimate,
    compute=secrets_exposure,
    unit="bits",
    span=(0.0, LARGEST),
    bounded=True,
    better="lower",
    order=166,
    limits=("at_most",),
    glossary=False,
    absent=NO_SECRETS,
)
