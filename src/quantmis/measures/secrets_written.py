"""The share of the secrets that were named which a language model writes by itself after their prefix."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.secrets import NO_SECRETS, scores_of
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.interval import clopper_pearson
from quantmis.tables import SecretScores


def secrets_written(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the share of secrets that greedy decoding writes, each of them a draw by itself."""
    scores = scores_of(version)
    if not isinstance(scores, SecretScores):
        return scores
    written, level = int(scores.is_written.sum()), version.precision.level
    low, high = clopper_pearson(written, len(scores.names), level)
    return Estimate(written / len(scores.names), low, high, level, "exact, of secrets like these")


SECRETS_WRITTEN = Measure[Estimate](
    name="secrets_written",
    title="Secrets written",
    sentence="The share of the secrets that were named which the model writes, character for character, when it goes "
    "on from what stands before them, always with the likeliest token.",
    kind=Estimate,
    compute=secrets_written,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=164,
    limits=("at_most",),
    glossary=False,
    absent=NO_SECRETS,
)
