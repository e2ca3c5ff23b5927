"""Which kinds of attack an audit ran and which it did not: read off its document, so that no text has to remember it.

A kind was run where one of its measures has a number for one version or release set. What a text may say of tests
that were or were not made comes from here alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quantmis.measures import Measure
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.auc import AUC
from quantmis.measures.canary_exposure import CANARY_EXPOSURE
from quantmis.measures.extractable import EXTRACTABLE
from quantmis.measures.extraction import EXTRACTION
from quantmis.measures.forget_auc import FORGET_AUC
from quantmis.measures.forget_extracted import FORGET_EXTRACTED
from quantmis.measures.forget_extraction import FORGET_EXTRACTION
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_gain import RELEASE_GAIN
from quantmis.measures.secrets_exposure import SECRETS_EXPOSURE
from quantmis.measures.secrets_similarity import SECRETS_SIMILARITY
from quantmis.measures.secrets_written import SECRETS_WRITTEN
from quantmis.report.words import listing
from quantmis.results import AttackMetrics, MeasuredRecord, Results, TargetResult, VersionResult, subjects
from quantmis.stats import Unmeasured

OUTSIDE = ("reconstruction of records", "model inversion", "attribute inference", "property inference")
"""Kinds of attack that quantmis has none of."""


@dataclass(frozen=True, kw_only=True)
class AttackKind:
    """Declare a kind of attack: what it is called, what the attacker holds and does, and what shows that it was run.

    `measures` show it where one of them has a number. `command` is what would run it; `of_texts`: it can only be tried
    against a model of texts.
    """

    name: str
    holds: str
    method: str
    measures: tuple[Measure[Any], ...]
    command: str
    of_texts: bool = False


MEMBERSHIP = AttackKind(
    name="membership inference",
    holds="the model and one record; the adaptive attacker also data like the training data and the quantizer",
    method="decides from losses whether the record was trained on; strongest attack chosen on one half of the records "
    "and measured on the other",
    measures=(ATTACK_ACCURACY, AUC),
    command="quantmis audit FILE.toml",
)
TOGETHER = AttackKind(
    name="membership inference against several versions at once",
    holds="every version that is released, and one record",
    method="reads the losses of all versions of a release set jointly",
    measures=(RELEASE_ATTACK_ACCURACY, RELEASE_GAIN),
    command="[release] sets = [[...]] in the audit file",
)
FORGOTTEN = AttackKind(
    name="recognition of records that were to be forgotten",
    holds="the model, and a record that was to be forgotten",
    method="tells such records from records of the same classes that the model never saw",
    measures=(FORGET_AUC, FORGET_EXTRACTION, FORGET_EXTRACTED),
    command="[target] forget = FILE in the audit file",
)
EXTRACTION_OF_TEXTS = AttackKind(
    name="extraction of training texts from their first half",
    holds="the probabilities of the model, and the first half of a text",
    method="computes how likely sampling says the second half word for word within so many tries",
    measures=(EXTRACTION, EXTRACTABLE),
    command='kind = "causal-lm" and [target] in the audit file',
    of_texts=True,
)
PLANTED = AttackKind(
    name="recall of random texts that were planted in the training set",
    holds="the model, and texts like the planted ones",
    method="ranks planted texts among random texts that were never trained on, and lets the model say them",
    measures=(CANARY_EXPOSURE,),
    command="[audit] canaries = 8 in the audit file, with [training]",
    of_texts=True,
)
SECRETS = AttackKind(
    name="recall of secrets that were named",
    holds="the model, and what stands before a secret",
    method="lets the model go on with the likeliest tokens, and ranks the secret among its alternatives",
    measures=(SECRETS_WRITTEN, SECRETS_SIMILARITY, SECRETS_EXPOSURE),
    command="[secrets] file = FILE in the audit file",
    of_texts=True,
)
KINDS = (MEMBERSHIP, TOGETHER, FORGOTTEN, EXTRACTION_OF_TEXTS, PLANTED, SECRETS)
"""Every kind of attack that quantmis has, in the order in which people read of them."""


def was_run(kind: AttackKind, results: Results) -> bool:
    """Return whether an audit has a number of one of the measures of a kind."""
    return any(not isinstance(value, Unmeasured) for value in values_of(kind, results))


def values_of(kind: AttackKind, results: Results) -> Iterator[Any]:
    """Yield what every record holds of the measures of a kind: of a list its numbers, or why there are none."""
    for record in _records(results):
        held = [each for each in kind.measures if each.subject == record.subject and each.name in record.measures]
        for measure in held:
            yield from _numbers(record[measure])


def _numbers(value: Any) -> Iterator[Any]:
    """Yield a value, or of a list the fields of its items: the items of one without any number are no test."""
    if isinstance(value, list):
        yield from (
            field for item in value for field in vars(item).values() if not isinstance(field, int | float | str)
        )
    else:
        yield value


def _records(results: Results) -> Iterator[MeasuredRecord]:
    for subject in subjects(results):
        for record in subject.versions:
            yield record
            yield from _outcomes(record)
        yield from subject.releases


def _outcomes(record: VersionResult) -> Iterator[MeasuredRecord]:
    forms = (form for each in record.attacks.values() for form in (each.adaptive, each.transfer))
    yield from (form for form in forms if isinstance(form, AttackMetrics))


def is_of_texts(results: Results) -> bool:
    """Return whether an audit is of a language model."""
    return any(record.utility_metric == LOG_LIKELIHOOD for subject in subjects(results) for record in subject.versions)


def is_possible(kind: AttackKind, results: Results) -> bool:
    """Return whether a kind of attack has a meaning for what was audited."""
    if kind is FORGOTTEN:
        return isinstance(results.target, TargetResult)
    return is_of_texts(results) or not kind.of_texts


def executed(results: Results) -> list[AttackKind]:
    """Return the kinds of attack that an audit ran."""
    return [kind for kind in KINDS if was_run(kind, results)]


def omitted(results: Results) -> list[AttackKind]:
    """Return the kinds of attack that an audit could have run and did not."""
    return [kind for kind in KINDS if not was_run(kind, results) and is_possible(kind, results)]


def said_executed(results: Results) -> str:
    """Say in a sentence what was tested."""
    names = [kind.name for kind in executed(results)]
    return f"Tested: {listing(names)}." if names else "Tested: nothing; no attack of this audit has a number."


def said_omitted(results: Results) -> str:
    """Say in a sentence what this audit could have tested and did not; an empty text where it tested all."""
    names = [kind.name for kind in omitted(results)]
    return f"Not tested by this audit, though it can be: {listing(names)}." if names else ""


def said_outside() -> str:
    """Say in a sentence which kinds of attack quantmis has none of."""
    return f"Not tested, because quantmis has no such attack: {listing(OUTSIDE)}."


def said(results: Results) -> list[str]:
    """Say what was tested, what could have been, and what quantmis cannot test, a sentence each."""
    return [sentence for sentence in (said_executed(results), said_omitted(results), said_outside()) if sentence]
