"""Claims about what documents say was tested: what was run, of whatever kind the audit is, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from audited_models import as_is, given, source
from documents import around, document, released, with_releases

from quantmis.documents import render
from quantmis.measures.canary_exposure import NO_CANARIES, CanaryExposure
from quantmis.measures.extraction import NO_ENDINGS, Extraction
from quantmis.report import render as page
from quantmis.report import tested
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

FORMS: dict[str, Callable[[Results], str]] = {
    "page": page,
    "annex": lambda results: render("dpia", source(results)).decode(),
    "bill": lambda results: " ".join(_limitations(results)),
}
UNTRUE = (
    "None of them was tested",
    "Not tested by this audit.",
    "Membership inference only",
    "membership inference only",
)


def _limitations(results: Results) -> list[str]:
    bill = json.loads(render("cyclonedx", source(results)))
    return bill["metadata"]["component"]["modelCard"]["considerations"]["technicalLimitations"]


@pytest.mark.parametrize("kind", AUDITS)
def test_what_was_run_is_read_off_the_document(kind: str):
    make, executed, omitted = AUDITS[kind]
    results = make()
    assert {each.name for each in tested.executed(results)} == executed
    assert {each.name for each in tested.omitted(results)} == omitted


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", AUDITS)
def test_no_document_denies_what_was_run_nor_claims_what_was_not(kind: str, form: str):
    make, executed, omitted = AUDITS[kind]
    results = make()
    text = FORMS[form](results)
    assert not [sentence for sentence in UNTRUE if sentence in text]
    said = {"Tested: ": executed, "though it can be: ": omitted}
    for beginning, names in said.items():
        sentences = [part.split(".")[0] for part in text.split(beginning)[1:]]
        assert len(sentences) >= bool(names), f"{form} says nothing of {names}"
        for sentence in sentences:
            parts = set(sentence.replace(" and ", ", ").split(", "))
            assert parts == names or (not names and "nothing" in sentence), sentence
    assert all(kind in text for kind in tested.OUTSIDE)


def test_the_annex_has_the_numbers_of_what_comes_out():
    text = render("dpia", source(language(secrets_written=HALF))).decode()
    assert "Members that 100 samples give away: " in text
    [line] = [each for each in text.splitlines() if each.startswith("- Secrets written: ")]
    assert "full precision of this training algorithm 50 % (40 to 60 %)" in line
    assert "Secrets written" not in render("dpia", source(language())).decode()


def test_every_measure_that_shows_a_kind_of_attack_is_declared():
    assert all(kind.measures for kind in tested.KINDS)
    assert len({kind.name for kind in tested.KINDS}) == len(tested.KINDS)
