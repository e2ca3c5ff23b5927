"""Claims about the answers to expectations: each by its place, no more than was measured, and no conclusion."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from audited_models import as_is, given, source
from audits_of_every_kind import AUDITS, HALF, language
from documents import around, document, exposed, released, with_releases
from documents import given as given_model
from hostile_documents import HOSTILE, hostile
from pages import Page

from quantmis import results as schema
from quantmis.documents import Source, conformity, render
from quantmis.documents.writing import DocumentRequest, write_document
from quantmis.errors import UserError
from quantmis.report import tested
from quantmis.report.expectations import measure_called, rows, summary, worst
from quantmis.report.facts import FACTS
from quantmis.report.framework import Framework, built_in, known_measures, parse
from quantmis.results import Results
from quantmis.stats import Estimate, Unmeasured

OWN = """
name = "House rules"
title = "The rules of the house"
edition = "1"
url = "https://example.org/rules"
read_on = 2026-11-29
read_by = "its author"
read_in_original = true
[[expectation]]
id = "1"
where = "page 1"
expects = "No attacker is right more often than 55 % of the time."
evidence = ["attack_accuracy"]
at_most = 0.55
"""


def own(**changes: str) -> Framework:
    text = OWN
    for old, new in changes.items():
        text = re.sub(rf"^{old} = .*$", new, text, flags=re.MULTILINE)
    return parse(text.encode(), "house.toml")


def statuses(framework: str, results: Results) -> dict[str, str]:
    [found] = [each for each in built_in() if each.name.startswith(framework)]
    return {row.expectation.id: row.status for row in rows(found, results)}


def right(low: float, high: float) -> Results:
    whole = document({"identity": 1.0})
    accuracy = Estimate((low + high) / 2, low, high)
    return whole.model_copy(update={"versions": [whole.versions[0].with_measures(attack_accuracy=accuracy)]})


# the files


def test_every_framework_says_when_and_by_what_it_was_read_and_whether_in_the_original():
    assert [each.name for each in built_in()] == ["EDPB Opinion 28/2024", "NIST AI 100-2 E2025", "OWASP AISVS 1.0"]
    for framework in built_in():
        assert framework.read_on >= date(2026, 11, 1)
        assert framework.read_by
        assert framework.url.startswith("https://")
    assert not built_in()[0].read_in_original


def test_every_expectation_names_what_there_is():
    names = {*known_measures(), *FACTS}
    for framework in built_in():
        ids = [each.id for each in framework.expectation]
        assert len(set(ids)) == len(ids)
        assert all(set(each.evidence) <= names for each in framework.expectation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evidence": 'evidence = ["attack_acuracy"]'}, "no measure or fact"),
        ({"evidence": 'evidence = ["attack_accuracy"]\noutside = "elsewhere"'}, "give evidence, or say"),
        ({"at_most": "at_most = 0.5\nat_least = 0.1"}, "give at_most or at_least"),
        ({"at_most": "limit = 0.5"}, "limit"),
        ({"evidence": 'evidence = ["auditor"]'}, "a limit holds the first measure"),
        ({"read_on": 'read_on = "lately"'}, "read_on"),
        ({"name": "name = "}, "is no TOML"),
    ],
)
def test_a_framework_file_that_means_nothing_is_refused(changes: dict[str, str], message: str):
    with pytest.raises(UserError, match=message):
        own(**changes)


# how a row stands


@pytest.mark.parametrize(
    ("low", "high", "status"), [(0.5, 0.54, "met"), (0.56, 0.6, "not met"), (0.53, 0.57, "undecided")]
)
def test_a_limit_is_held_against_the_whole_interval(low: float, high: float, status: str):
    [row] = rows(own(), right(low, high))
    assert row.status == status
    assert f"({100 * low:.0f} to {100 * high:.0f})" in row.finding
    [least] = rows(own(at_most="at_least = 0.55"), right(low, high))
    assert least.status == {"met": "not met", "not met": "met"}.get(status, status)


def test_what_was_not_run_says_what_would():
    found = {row.expectation.id: row for row in rows(built_in()[0], language())}
    secrets = found["55, exfiltration"]
    assert secrets.status == "not run"
    assert "[secrets] file = FILE" in secrets.finding
    assert found["55, regurgitation"].status == "met"
    assert statuses("EDPB", document())["55, regurgitation"] == "outside"
    assert statuses("EDPB", language(secrets_written=HALF))["55, exfiltration"] == "met"
    assert statuses("NIST", document())["2.4.5, unlearning"] == "not run"


def test_the_blind_baseline_stands_as_it_was_found():
    name = "11.2.5 notes, blind baseline"
    assert statuses("OWASP", document())[name] == "not run"
    assert statuses("OWASP", given())[name] == "not met"
    assert statuses("OWASP", given_model(document()))[name] == "met"


def test_a_release_set_that_was_attacked_answers_for_it():
    name = "11.2.5 notes, release set"
    assert statuses("OWASP", document())[name] == "not run"
    assert statuses("OWASP", with_releases(document(), released()))[name] == "met"


def test_the_worst_version_answers():
    results = document()
    value = worst(measure_called("attack_accuracy"), results)
    assert value is not None
    assert value.about == "full precision"
    assert value.estimate.high == max(each["attack_accuracy"].high for each in results.versions)


def test_an_attack_that_no_attacker_could_carry_out_answers_nothing():
    results = document({"identity": 1.0}, attacks={"paired_replicates": 1.0})
    assert worst(measure_called("auc"), results) is None


def test_what_was_declared_is_told_as_declared():
    declared = {"auditor": {"name": "Ada", "repeat_after_days": "90"}, "release_context": {"recipients": "anybody"}}
    results = document()
    results = results.model_copy(update={"config": results.config.model_copy(update=declared)})
    text = Page(conformity.page(source(results))).text
    assert "Ada and 90 (declared)" in text
    assert "recipients: anybody (declared)" in text
    assert "repeated every 90 days (declared)" in text
    assert statuses("EDPB", results)["58, recipients"] == "met"
    assert statuses("EDPB", document())["58, recipients"] == "not run"


def test_the_ratio_counts_the_records_of_one_model_by_the_weights():
    assert FACTS["data_to_weights"](document()) == (
        "599 records to 9,472 quantized weights: 0.063 records a weight, others not counted"
    )


# the page


@pytest.mark.parametrize("kind", AUDITS)
def test_the_page_takes_every_kind_of_audit_and_lists_attacks_as_they_were_run(kind: str):
    make, executed, omitted = AUDITS[kind]
    results = make()
    text = Page(conformity.page(source(results))).text
    assert all(summary(framework, results) in text for framework in built_in())
    assert text.count("not run; to run it:") == len(omitted)
    assert all(name in text for name in executed | omitted)
    assert all(name in text for name in tested.OUTSIDE)


def test_the_worst_off_stand_before_averages_and_no_conclusion_is_drawn():
    text = Page(conformity.page(source(exposed(document())))).text
    assert text.index("Single records") < text.index("Subpopulations") < text.index("Attacks that were run")
    assert "patient 0" in text
    assert re.findall(r"[^.]*anonymous[^.]*\.", text) == [
        re.search(r"[^.]*Nothing here says that the model is anonymous[^.]*\.", text)[0]  # pyright: ignore
    ]


def test_what_could_not_be_read_in_the_original_is_marked():
    text = Page(conformity.page(source(document()))).text
    assert "It could not be read in the original." in text
    assert text.count("not read in the original") >= len(built_in()[0].expectation)


def test_no_name_runs_in_the_page():
    page = conformity.page(source(hostile()))
    assert not [text for text in HOSTILE.values() if text.startswith("<") and text in page]
    assert "<script" not in page


def test_a_file_of_ones_own_stands_beside_the_others(tmp_path: Path):
    schema.write(document(), tmp_path / "results.json")
    house = tmp_path / "house.toml"
    house.write_text(OWN)
    write_document(DocumentRequest(tmp_path, "conformity", frameworks=(house,)))
    assert "House rules: of 1 expectations 1 not met." in Page((tmp_path / "conformity.html").read_text()).text
    with pytest.raises(UserError, match="--framework names a file"):
        DocumentRequest(tmp_path, "csv", frameworks=(house,))


@pytest.mark.slow
def test_the_pdf_has_tagged_headings():
    document_of = pypdfium2.PdfDocument(render("conformity-pdf", source(as_is())))
    assert document_of.is_tagged()
    titles = [each.get_title() for each in document_of.get_toc()]
    assert {"In short", "Who is worst off", "EDPB Opinion 28/2024"} <= set(titles)


# what an audit file declares


def test_an_audit_file_declares_who_audits_and_who_gets_the_weights(tmp_path: Path):
    from quantmis.audit.config.sections import parsed

    text = (
        '[data]\nfunction = "m:load"\n[model]\nfunction = "m:Net"\n[auditor]\nname = "Ada"\nrepeat_after_days = 90\n'
        '[release]\nrecipients = "anybody"\nterms = "Apache-2.0"\n'
    )
    file = parsed(text.encode(), tmp_path / "audit.toml")
    assert file.auditor is not None
    assert file.auditor.declared() == {"name": "Ada", "repeat_after_days": "90"}
    assert file.release.declared() == {"recipients": "anybody", "terms": "Apache-2.0"}
    for old, new in (('"Ada"', '" "'), ("= 90", "= 0"), ("terms", "term")):
        with pytest.raises(UserError):
            parsed(text.replace(old, new).encode(), tmp_path / "audit.toml")


def test_an_unmeasured_limit_is_not_run_and_gives_its_reason():
    whole = document({"identity": 1.0})
    none = whole.versions[0].with_measures(attack_accuracy=Unmeasured("too few records"))
    [row] = rows(own(), whole.model_copy(update={"versions": [none]}))
    assert (row.status, "too few records" in row.finding) == ("not run", True)


def test_numbers_of_lists_answer_by_their_worst_item():
    results: Any = exposed(document({"identity": 1.0}))
    value = worst(measure_called("exposure_by_class"), results)
    assert value is not None
    assert "class 8" in value.about
    first = worst(measure_called("most_exposed_samples"), results)
    assert first is not None
    assert first.estimate == around(0.9)
    assert Source(results, "ab" * 32).every_framework == list(built_in())


def test_the_files_of_the_guide_are_files_as_they_are_read(tmp_path: Path):
    from quantmis.audit.config.sections import parsed

    guide = (Path(__file__).parents[2] / "docs/guides/answer-expectations.md").read_text(encoding="utf-8")
    audit_file, house = re.findall(r"^```toml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert [each.id for each in parse(house.encode(), "house.toml").expectation] == ["4.2", "4.3", "4.4"]
    whole = '[data]\nfunction = "m:load"\n[model]\nfunction = "m:Net"\n' + audit_file
    file = parsed(whole.encode(), tmp_path / "audit.toml")
    assert file.auditor is not None
    assert set(file.auditor.declared()) == {"name", "organisation", "relation", "repeat_after_days"}
