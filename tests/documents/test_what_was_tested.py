"""Claims about what documents say was tested: what was run, of whatever kind the audit is, and nothing else."""

import json
from collections.abc import Callable

import pytest
from audited_models import source
from audits_of_every_kind import AUDITS, HALF, language

from quantmis.documents import render
from quantmis.report import tested
from quantmis.report.html import render as page
from quantmis.results import Results

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
