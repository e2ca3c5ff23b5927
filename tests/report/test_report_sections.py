"""What the page says of the very model, of who is exposed, and of the theory."""

import json
import re
from pathlib import Path

import documents
import pytest
from documents import document
from hostile_documents import HOSTILE
from pages import Page

from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.measures.exposure_by_class import EXPOSURE_BY_CLASS
from quantmis.measures.most_exposed_samples import SampleExposure
from quantmis.report import exposed, tables, words
from quantmis.report.html import render
from quantmis.results import AttackDescription, Results, TargetResult, read, write
from quantmis.stats import Estimate, Unmeasured


def text(results: Results) -> str:
    return Page(render(results)).text


def section(results: Results, name: str) -> str:
    return part(render(results), name)


def part(source: str, name: str) -> str:
    return re.split(rf'<section id="{name}"', source)[1].split("</section>")[0]


def test_the_very_model_has_its_own_table_beside_models_trained_like_it():
    table = exposed.versions(documents.given(document()), {})
    assert table is not None
    assert table.head[2:4] == ("An attacker is right, this very model", "…, models trained like it")
    assert len(table.rows) == 10


def test_a_version_has_the_same_number_wherever_it_stands():
    strengths = {name: 1.2 - strength for name, strength in documents.STRENGTHS.items()}
    results = documents.given(document(), strengths={**strengths, "made elsewhere": 0.4})
    table = exposed.versions(results, {})
    assert table is not None
    numbers = {row.name: row.number for row in table.rows}
    assert numbers[documents.SPARSE] == 1
    assert numbers["full precision"] == 10
    assert numbers["made elsewhere"] == 11
    assert [row.name for row in table.rows] != sorted(numbers, key=lambda name: numbers[name])


@pytest.mark.slow
def test_members_that_differ_from_non_members_are_said_first_and_in_their_section():
    results = documents.as_is(differs=True)
    page = text(results)
    assert page.index("a classifier that never saw the model tells them apart") < page.index("versions of this very")
    assert "<b>Yes.</b>" in section(results, "model")
    assert "Not measurably" in section(documents.as_is(), "model")


def test_an_audit_as_it_is_says_what_it_cannot_see_and_never_speaks_of_models_trained_like_it():
    page = text(documents.as_is())
    assert "Of 9 quantized versions of this very model" in page
    assert "What an audit of the model as it is cannot see" in page
    assert "not tried" in page
    assert "models trained in this way" not in page


@pytest.mark.slow
def test_an_audit_of_a_training_algorithm_says_that_the_weights_that_will_ship_were_not_attacked():
    assert "The weights that will ship were not themselves attacked." in text(document())
    assert "not themselves attacked" not in text(documents.given(document()))


def test_exposure_stands_by_class_and_by_sample():
    source = render(documents.exposed(document()))
    assert "patient 3" in part(source, "exposure")
    assert "AUC, full precision" in part(source, "exposure")
    assert "not resolvable with 3 non-members and 2 members" in part(source, "untested")
    assert "None can be named" not in part(source, "exposure")


@pytest.mark.slow
def test_the_model_that_ships_has_its_own_figures_attacks_and_classes():
    results = documents.given(documents.exposed(document()))
    assert isinstance(results.target, TargetResult)
    own = documents.exposed(results.model_copy(update={"versions": results.target.versions})).versions
    results = results.model_copy(update={"target": results.target.model_copy(update={"versions": own})})
    page = section(results, "model")
    assert page.count("<svg") == 7  # front and classes for two widths, beside the algorithm, two attacks
    assert "lira against this very model: adaptive attacker" in page
    assert "1 further attack:" in page
    assert "AUC, full precision" in page


def test_checks_with_an_answer_and_comparisons_without_stand_apart():
    noise = documents.controls()[0].model_copy(
        update={"name": "matched noise, lira", "version": "sign", "passed": None, "found": documents.around(-0.1)}
    )
    results = document().model_copy(update={"controls": [*documents.controls(), noise]})
    checks, read = exposed.controls(results, {})
    assert [row.cells[0].text for row in checks.rows] == ["passed", "not run"]
    assert [row.cells[-1].text for row in read.rows] == ["protects more than noise of the same size"]


def test_a_column_that_was_measured_for_no_version_is_left_out_and_told():
    results = document()
    (_, table), *_ = tables.attacks(results, {documents.FEW_OTHERS.reason: 2})
    assert table.missing == (("Members found at 0.1 % false alarms", 2),)
    assert "Members found at 0.1 % false alarms" not in table.head


def test_samples_that_chance_allows_are_said_to_be_such():
    results = documents.exposed(document())
    wide = SampleExposure(sample=1, id="a", exposure=Estimate(0.9, 0.2, 1.0))
    records = [record.with_measures(most_exposed_samples=[wide]) for record in results.versions]
    assert "None can be named" in section(results.model_copy(update={"versions": records}), "exposure")


@pytest.mark.slow
def test_many_classes_are_cut_to_the_most_exposed():
    results = documents.exposed(document())
    (first, *rest) = results.versions
    exposures = first[EXPOSURE_BY_CLASS]
    assert not isinstance(exposures, Unmeasured)
    assert isinstance(exposures[0].auc, Estimate)
    classes = [
        exposures[0].model_copy(update={"label": label, "auc": documents.around(0.5 + label / 5000)})
        for label in range(1000)
    ]
    crowded = results.model_copy(update={"versions": [first.with_measures(exposure_by_class=classes), *rest]})
    table = exposed.classes(crowded, {})
    assert [row.name for row in table.rows] == [str(label) for label in range(960, 1000)]
    assert "the 40 most exposed of 1000 classes" in table.caption
    assert len(render(crowded).encode()) < 400_000


def test_exposure_that_was_not_measured_says_why():
    assert "Not measured: the version of quantmis that made this document did not measure it" in section(
        document(), "exposure"
    )


def test_mis_stands_beside_the_indicator_and_the_bound():
    assert exposed.theory(document(), {}).head == (
        "Version",
        "Indicator r_Q",
        "Predicted advantage",
        "MIS by theory",
        "MIS at most, by attack",
        "Strongest attack",
    )


def test_a_bound_alone_is_not_drawn_as_a_value():
    results = document()
    bound = Estimate(0.0, 0.0, 1.0, reason="below resolution")
    records = [record.with_measures(security=bound) for record in results.versions]
    page = text(results.model_copy(update={"versions": records}))
    assert "MIS was resolved for no version" in page


def test_the_glossary_explains_the_attacks_of_the_audit():
    results = document(attacks={"lira": 1.0, "attack_of_my_own": 0.5})
    lira = AttackDescription(description=ATTACKS.find("lira").description)
    glossary = section(results.model_copy(update={"attacks": {**results.attacks, "lira": lira}}), "glossary")
    assert "likelihood-ratio attack" in glossary
    assert "<dt>attack_of_my_own</dt><dd>Nobody described this attack; its author knows what it does." in glossary


def test_the_page_says_what_it_cannot_answer_and_where_the_answer_is():
    source = render(document())
    for answer in ("--format dpia", "--format cyclonedx --weights", "quantmis gate"):
        assert answer in part(source, "untested")
    assert "It finds edits; it is no signature" in part(source, "reproduce")
    for word in ("Holm", "Kendall", "Matched noise", "Digest"):
        assert word in part(source, "glossary")


@pytest.mark.slow
def test_hostile_names_of_the_model_and_of_samples_stay_harmless():
    results = documents.given(documents.exposed(document()))
    assert isinstance(results.target, TargetResult)
    everything = " ".join(HOSTILE.values())
    sample = [SampleExposure(sample=1, id=each, exposure=documents.around(0.9)) for each in HOSTILE.values()]
    records = [record.with_measures(most_exposed_samples=sample) for record in results.versions]
    target = results.target.model_copy(update={"name": everything, "digest": HOSTILE["script"]})
    source = render(results.model_copy(update={"versions": records, "target": target}))
    page = Page(source)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not set("\u202e\u2066\u200f\x00\x07\x1b") & set(source)
    assert "x" * 601 not in source


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda text: text[: len(text) // 2], "truncated or was edited"),
        (lambda text: text.replace('"value": 0.', '"value": NaN, "x": 0.', 1), "no valid result"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 9', 1), "schema version 9"),
        (lambda text: json.dumps({**json.loads(text), "verdict": "fine"}), "verdict"),
        (lambda text: text.replace('"low": 0.', '"low": 7.', 1), "must lie in its interval"),
    ],
    ids=["truncated", "NaN", "newer", "edited", "impossible interval"],
)
def test_a_harmed_document_is_refused_with_what_to_do(tmp_path: Path, harm, said: str):
    path = tmp_path / "results.json"
    write(document(), path)
    path.write_text(harm(path.read_text()))
    with pytest.raises(UserError) as refused:
        read(path)
    message = f"{refused.value} {refused.value.hint}"
    assert said in message
    assert refused.value.hint


@pytest.mark.slow
def test_words_of_the_very_model_promise_nothing():
    for results in (documents.as_is(), documents.given(document())):
        assert not re.search(r"\b(safe|secure|compliant)\b", text(results), re.IGNORECASE)
    assert words.title("identity") == "full precision"


def test_classes_are_called_by_their_names_where_these_are_known():
    results = documents.exposed(document())
    numbers = [row.name for row in exposed.classes(results, {}).rows]
    assert numbers == [str(label) for label in exposed.shown_classes(results)]
    named = results.model_copy(update={"data": results.data.model_copy(update={"class_names": ("cat", "<b>dog</b>")})})
    names = [row.name for row in exposed.classes(named, {}).rows]
    assert names[:2] == ["cat", words.clean("<b>dog</b>", 40)]
    assert names[2:] == numbers[2:]
