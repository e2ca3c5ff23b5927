"""Audits of every kind, each with the attacks that it ran and those that it could have run."""

from collections.abc import Callable
from typing import Any

from audited_models import as_is, given
from documents import around, document, released, with_releases

from quantmis.measures.canary_exposure import NO_CANARIES, CanaryExposure
from quantmis.measures.extraction import NO_ENDINGS, Extraction
from quantmis.results import Results, TargetResult
from quantmis.stats import Estimate, Unmeasured

MEMBERSHIP, TOGETHER = "membership inference", "membership inference against several versions at once"
FORGOTTEN = "recognition of records that were to be forgotten"
TEXTS = "extraction of training texts from their first half"
PLANTED, SECRETS = "recall of random texts that were planted in the training set", "recall of secrets that were named"
HALF = Estimate(0.5, 0.4, 0.6)


def with_measures(results: Results, **measures: Any) -> Results:
    return results.model_copy(update={"versions": [each.with_measures(**measures) for each in results.versions]})


def language(**measures: Any) -> Results:
    share = [Extraction(tries=1, chance=0.5, members=HALF, non_members=HALF)]
    return with_measures(document(metric="log_likelihood"), extraction=share, extractable=HALF, **measures)


def planted() -> Results:
    return language(canary_exposure=[CanaryExposure(repeats=4, exposure_bits=HALF, greedy=HALF, sampled=HALF)])


def planted_without_a_number() -> Results:
    none = Unmeasured("no model was trained on it")
    return language(canary_exposure=[CanaryExposure(repeats=4, exposure_bits=none, greedy=none, sampled=none)])


def loss_tables() -> Results:
    measures = {"extraction": NO_ENDINGS, "extractable": NO_ENDINGS, "canary_exposure": Unmeasured(NO_CANARIES)}
    return with_measures(document(metric="log_likelihood"), **measures)


def forgetting() -> Results:
    results = with_measures(as_is(), forget_auc=around(0.6))
    assert isinstance(results.target, TargetResult)
    return results.model_copy(update={"target": results.target.model_copy(update={"forget": 150})})


def nothing() -> Results:
    results = with_measures(document(), attack_accuracy=Unmeasured("too few"))
    return results.model_copy(
        update={"versions": [each.model_copy(update={"attacks": {}}) for each in results.versions]}
    )


AUDITS: dict[str, tuple[Callable[[], Results], set[str], set[str]]] = {
    "classifier": (document, {MEMBERSHIP}, {TOGETHER}),
    "regression": (lambda: document(metric="r2"), {MEMBERSHIP}, {TOGETHER}),
    "given": (given, {MEMBERSHIP}, {TOGETHER, FORGOTTEN}),
    "as-is": (as_is, {MEMBERSHIP}, {TOGETHER, FORGOTTEN}),
    "release set": (lambda: with_releases(document(), released()), {MEMBERSHIP, TOGETHER}, set()),
    "forgetting": (forgetting, {MEMBERSHIP, FORGOTTEN}, {TOGETHER}),
    "language model": (language, {MEMBERSHIP, TEXTS}, {TOGETHER, PLANTED, SECRETS}),
    "canaries": (planted, {MEMBERSHIP, TEXTS, PLANTED}, {TOGETHER, SECRETS}),
    "canaries without a number": (planted_without_a_number, {MEMBERSHIP, TEXTS}, {TOGETHER, PLANTED, SECRETS}),
    "secrets": (lambda: language(secrets_written=HALF), {MEMBERSHIP, TEXTS, SECRETS}, {TOGETHER, PLANTED}),
    "loss tables": (loss_tables, {MEMBERSHIP}, {TOGETHER, TEXTS, PLANTED, SECRETS}),
    "nothing": (nothing, set(), {MEMBERSHIP, TOGETHER}),
}
"""Audits of every kind, what each of them ran, and what it could have run and did not."""
