"""What a language model gives away of each secret that was named: written by itself, nearly, and by its rank."""

from collections.abc import Mapping

from quantmis.measures.canary_exposure import NO_LOGITS
from quantmis.measures.measure import Measure, Number
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured
from quantmis.tables import SecretScores

NO_SECRETS = Unmeasured("no secrets were named: [secrets] file names them")


class SecretLeak(Record):
    """Hold what a version gives away of one secret, by the name that it was given.

    `is_written`: greedy decoding writes it after its prefix; `similarity`: the share of it that stands in what is
    written. `rank` among it and its `alternatives`, 1 the likeliest, and `exposure_bits` (Carlini et al. 2019): log2 of
    their number less log2 of the rank; without alternatives there are neither.
    """

    name: str
    is_written: bool
    similarity: float
    alternatives: int
    rank: float | None = None
    exposure_bits: float | None = None


def scores_of(version: ScoredVersion) -> SecretScores | Unmeasured | None:
    """Return what a version gives away of secrets, or why that is not known; None for all that is no text."""
    table = version.table
    if table.metric != LOG_LIKELIHOOD:
        return None
    if table.secrets is not None:
        return table.secrets
    return NO_SECRETS if version.full_precision.table.secrets is None else Unmeasured(NO_LOGITS)


def secrets(version: ScoredVersion) -> list[SecretLeak] | Unmeasured | None:
    """Return what a version gives away of each secret, in the order of the file."""
    scores = scores_of(version)
    if not isinstance(scores, SecretScores):
        return scores
    columns = (
        scores.names,
        scores.is_written,
        scores.similarity,
        scores.alternatives,
        scores.rank,
        scores.exposure_bits,
    )
    rows = zip(*(each.tolist() for each in columns), strict=True)
    return [
        SecretLeak(
            name=name,
            is_written=written,
            similarity=similarity,
            alternatives=others,
            rank=rank if others else None,
            exposure_bits=bits if others else None,
        )
        for name, written, similarity, others, rank, bits in rows
    ]


def _numbers(values: list[SecretLeak]) -> Mapping[str, Number]:
    return {
        f".{number}.{field}": float(getattr(each, field))
        for number, each in enumerate(values, 1)
        for field in ("is_written", "similarity", "exposure_bits")
        if getattr(each, field) is not None
    }


SECRETS = Measure[list[SecretLeak]](
    name="secrets",
    title="Secrets, one by one",
    sentence="Of each secret that was named: whether the model writes it after its prefix, how much of it, and the "
    "bits by which it stands above its alternatives.",
    kind=list[SecretLeak],
    compute=secrets,
    better="lower",
    order=163,
    glossary=False,
    absent=NO_SECRETS,
    numbers=_numbers,
)
