"""Claims about the documents: each form says what the audit says, opens where it should, and no name can harm it."""

import base64
import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from audited_models import DIGEST, as_is, given, source
from documents import around, document, exposed, many
from hostile_documents import HOSTILE, hostile
from markdown_it import MarkdownIt
from PIL import Image

from quantmis import results as schema
from quantmis.documents import FORMS, Form, dpia, markdown, pdf, render, summary
from quantmis.documents import csv as csv_form
from quantmis.documents.source import audited, file_digest
from quantmis.documents.writing import DocumentRequest, write_document
from quantmis.errors import UserError
from quantmis.measures import NOT_IN_DOCUMENT
from quantmis.measures.canary_exposure import CanaryExposure
from quantmis.measures.exposure_by_class import ClassExposure
from quantmis.measures.most_exposed_samples import SampleExposure
from quantmis.measures.tpr_at_fpr import TPR_AT_FPR
from quantmis.report.terminal import verdict_lines
from quantmis.results import (
    THIS_MODEL,
    TRAINING_ALGORITHM,
    AttackMetrics,
    AttackResult,
    Results,
)
from quantmis.stats import Estimate, Unmeasured

WORDS = ("safe", "secure", "compliant")


def rows(results: Results) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_form.render(source(results)).decode(), newline="")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schema.write(document(), tmp_path / "results.json")
    return tmp_path


# the forms as a whole


@pytest.mark.slow
def test_every_form_is_written_beside_the_results(folder: Path):
    for name, form in FORMS.items():
        write_document(DocumentRequest(folder, name))
        assert (folder / form.file).stat().st_size > 1000, name


@pytest.mark.slow
def test_no_form_but_the_page_needs_torch(folder: Path):
    program = (
        "import sys; from pathlib import Path; from quantmis.documents import FORMS, Source, render\n"
        f"source = Source.read(Path({str(folder)!r}))\n"
        "for name in FORMS: render(name, source)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["md", "json", "csv", "model-card", "cyclonedx", "dpia"])
def test_the_same_audit_gives_the_same_bytes(name: str):
    assert render(name, source()) == render(name, source())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["md", "json", "csv", "model-card", "cyclonedx", "dpia", "conformity"])
@pytest.mark.parametrize("make", [given, as_is, hostile, many], ids=lambda make: make.__name__)
def test_every_form_takes_every_kind_of_audit(name: str, make: Any):
    results = make()
    dated = results.environment.model_copy(update={"started": document().environment.started})
    assert len(render(name, source(results.model_copy(update={"environment": dated})))) > 1000


@pytest.mark.parametrize("name", ["md", "json", "csv", "model-card", "cyclonedx", "dpia", "conformity"])
def test_no_form_promises_anything(name: str):
    text = render(name, source(given())).decode().lower()
    assert not [
        word for word in WORDS if f" {word}" in text.replace("model.safetensors", "").replace("tests of safety", "")
    ]


def test_an_unknown_form_names_those_that_exist(folder: Path):
    with pytest.raises(UserError, match="no format 'markdown'") as raised:
        DocumentRequest(folder, "markdown")
    assert "cyclonedx" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "md", "into": Path("README.md")}, "--into names a model card"),
        ({"name": "md", "weights": (Path("a.bin"),)}, "--weights names files"),
        ({"name": "model-card", "into": Path("README.md"), "out": Path("x.md")}, "two places"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        DocumentRequest(Path(), **options)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    monkeypatch.delitem(sys.modules, "quantmis.documents.pdf")
    with pytest.raises(UserError, match=r"report.pdf needs WeasyPrint") as raised:
        render("pdf", source())
    assert "pip install 'quantmis[pdf]'" in str(raised.value.hint)


def test_a_mistake_of_ours_is_no_missing_package():
    with pytest.raises(ModuleNotFoundError):
        Form("report.md", "no_such_module").load()


# what is told: this model, or the training algorithm


def test_an_audit_of_a_model_and_its_training_tells_both():
    assert [subject.about for subject in audited(given())] == [THIS_MODEL, TRAINING_ALGORITHM]
    assert [subject.about for subject in audited(as_is())] == [THIS_MODEL]
    assert [subject.about for subject in audited(document())] == [TRAINING_ALGORITHM]


def test_versions_without_a_rank_come_last():
    results = document({"identity": 1.0, "sign": 0.2})
    unranked = results.model_copy(update={"ranking": results.ranking.model_copy(update={"rows": []})})
    [subject] = audited(unranked)
    assert [(rank, record.name) for rank, record, _ in subject.ordered] == [(None, "identity"), (None, "sign")]


# Markdown


def test_the_pull_request_reads_the_verdict_word_for_word():
    text = MarkdownIt("commonmark").enable("table").render(render("md", source()).decode())
    for sentence in verdict_lines(document()):
        assert sentence.replace('"', "&quot;") in text


def test_the_pull_request_has_a_row_for_every_version():
    tokens = MarkdownIt("commonmark").enable("table").parse(render("md", source()).decode())
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(document().versions)


def test_no_name_becomes_markup_in_markdown():
    names = [
        *HOSTILE.values(),
        "![x](http://evil)",
        "[x](javascript:1)",
        "@everyone",
        "a|b",
        "`x",
        "<b>",
        "# x",
        "www.evil.com",
    ]
    strengths = {name: 0.1 + index / 10 for index, name in enumerate(["identity", *names])}
    text = render("md", source(document(strengths))).decode()
    page = MarkdownIt("gfm-like", {"linkify": False, "html": False}).render(text)
    assert "<a " not in page
    assert "<img" not in page
    assert "@everyone" not in text
    assert "://" not in text
    assert "www." not in text
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    html = {token.content for token in _flat(tokens) if token.type in {"html_inline", "html_block"}}
    (block,) = (each for each in html if "<summary>" in each)
    assert re.fullmatch(r"<details>\n<summary>What was not measured, and why: \d+</summary>\n?", block)
    assert {part for each in html - {block} for part in each.split()} <= {
        "<!--",
        "-->",
        "</details>",
        "<sub>",
        "</sub>",
    }


def _flat(tokens: Any) -> list[Any]:
    return [each for token in tokens for each in (token, *_flat(token.children or []))]


def test_a_quantity_that_was_not_measured_says_so_in_markdown():
    text = markdown.share(Unmeasured("only 3 non-members"))
    assert text == "not measured: only 3 non-members"


# CSV and JSON


def test_the_spreadsheet_holds_every_number_of_the_audit_exactly():
    results = measured_in_full()
    found = rows(results)
    assert [row["about"] for row in found] == [THIS_MODEL] * 2 + [TRAINING_ALGORITHM] * 10
    written = json.loads(schema.to_bytes(results))
    for row in found:
        versions = written["target"]["versions"] if row["about"] == THIS_MODEL else written["versions"]
        (version,) = (each for each in versions if each["name"] == row["version"])
        assert (row.pop("models"), int(row.pop("rank"))) == (str(version["models"]), rank_of(row, written))
        filled = {name: cell for name, cell in row.items() if cell and name not in {"about", "version", "tied_with"}}
        assert {name: cell if name.endswith("_reason") else float(cell) for name, cell in filled.items()} == (
            cells_of(version)
        )


def measured_in_full() -> Results:
    """Build an audit of a model and its training in which numbers of every kind were measured, or were not."""
    results = exposed(given())
    texts = CanaryExposure(repeats=4, exposure_bits=around(5.0), greedy=around(0.4), sampled=Unmeasured("no logits"))
    planted = results.versions[0].with_measures(canary_exposure=[texts], distortion=Unmeasured("too few"))
    return results.model_copy(update={"versions": [planted, *results.versions[1:]]})


def rank_of(row: dict[str, str], written: dict[str, Any]) -> int:
    ranking = written["target"]["ranking"] if row["about"] == THIS_MODEL else written["ranking"]
    (rank,) = (each["rank"] for each in ranking["rows"] if each["name"] == row["version"])
    return rank


def cells_of(version: dict[str, Any]) -> dict[str, float | str]:
    """Return the cells that a version of results.json must fill, read off the document itself."""
    named = dict(version["measures"])
    named |= {f"exposure_by_class.{each['label']}.auc": each["auc"] for each in listed(named, "exposure_by_class")}
    for each in listed(named, "canary_exposure"):
        named |= {f"canary_exposure.4.{field}": each[field] for field in ("exposure_bits", "greedy", "sampled")}
    listed(named, "most_exposed_samples")  # single people stand in no table of versions
    for attack, forms in version["attacks"].items():
        for form, outcome in forms.items():
            metrics = dict(outcome.get("measures") or {"auc": outcome})
            metrics |= {f"tpr_at_fpr_{rate['fpr']:g}": rate for rate in listed(metrics, "tpr_at_fpr")}
            named |= {f"{attack}.{form}.{name}": value for name, value in metrics.items()}
    return {cell: content for name, value in named.items() for cell, content in parts_of(name, value).items()}


def listed(measures: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return measures.pop(name) if isinstance(measures.get(name), list) else []


def parts_of(name: str, value: Any) -> dict[str, float | str]:
    if not isinstance(value, dict):
        return {name: float(value)}
    parts = {"value": name, "low": f"{name}_low", "high": f"{name}_high", "reason": f"{name}_reason"}
    return {parts[part]: content for part, content in value.items() if part in parts and content != ""}


def test_no_name_becomes_a_formula():
    names = ["=1+1", "+cmd", "-1", "@SUM(A1)", "\t=1", " =1"]
    found = rows(document({"identity": 1.0, **dict.fromkeys(names, 0.3)}))
    versions = {row["version"].lstrip() for row in found}
    assert versions == {"identity", *(f"'{' '.join(name.split())}" for name in names[:4]), "' =1"}


def test_report_json_holds_the_verdict_and_its_numbers():
    found = json.loads(summary.render(source(given())))
    assert [each["text"] for each in found["verdict"]] == verdict_lines(given())
    assert found["results_sha256"] == DIGEST
    by_name = {(each["about"], each["version"]): each for each in found["versions"]}
    sign = by_name[THIS_MODEL, "sign"]["numbers"]["attack_accuracy"]
    assert set(sign) == {"value", "low", "high", "level"}
    (version,) = (each for each in json.loads(schema.to_bytes(given()))["target"]["versions"] if each["name"] == "sign")
    assert sign == {part: version["measures"]["attack_accuracy"][part] for part in sign}
    assert found["not_measured"][0].keys() == {"reason", "what"}


# PDF


@pytest.fixture(scope="module")
def pages() -> list[str]:
    opened = pypdfium2.PdfDocument(pdf.render(source()))
    return [opened[index].get_textpage().get_text_bounded() for index in range(len(opened))]


@pytest.mark.slow
def test_the_pdf_says_what_the_page_says(pages: list[str]):
    text = " ".join(" ".join(pages).replace("\xa0", " ").split())
    for heading in ("Verdict", "Ranking", "Checks of the audit", "Glossary"):
        assert heading in text
    assert "gives away least" in text
    assert "ternary(sparsity=0.9)" in text
    assert "Skip to the verdict" not in text


@pytest.mark.slow
def test_the_curves_of_attacks_are_large_enough_to_read_in_the_pdf():
    opened = pypdfium2.PdfDocument(pdf.render(source()))
    widths: list[float] = []
    for page in opened:
        text = page.get_textpage()
        found = text.search("members found")
        while (place := found.get_next()) is not None:
            left, bottom, right, top = text.get_charbox(place[0])
            widths.append(max(right - left, top - bottom))
    assert widths
    assert min(widths) > 4  # points: the letters along the axes of a panel


def test_figures_in_the_pdf_have_their_colours():
    html = (
        '<head><style>:root { --ink: #123456; }\n.s0{stroke:var(--ink)}\n</style></head><svg viewBox="0 0 1 1"></svg>'
    )
    assert ".s0{stroke:#123456}</style></svg>" in pdf.styled(html)


def test_laying_out_a_pdf_reads_no_file_and_no_address(tmp_path: Path):
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    (tmp_path / "secret.png").write_bytes(picture.getvalue())
    inside = f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"
    addresses = {inside: 1, (tmp_path / "secret.png").as_uri(): 0}
    assert {address: _pictures(pdf.layout(f'<head></head><img src="{address}">')) for address in addresses} == addresses


def _pictures(content: bytes) -> int:
    page = pypdfium2.PdfDocument(content)[0]
    return sum(1 for _ in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))


# the annex


def test_the_annex_answers_every_question_and_says_what_is_left_open():
    text = render("dpia", source(given())).decode()
    for number, question in enumerate(dpia.QUESTIONS, 1):
        assert f"### {number}. {question.text}" in text
    assert text.count("*Left open:*") == len(dpia.QUESTIONS)
    assert text.count(dpia.BLANK) == len(dpia.FOR_THE_CONTROLLER) + 2


def test_the_annex_names_the_most_exposed_classes_and_records():
    [first, *rest] = document({"identity": 1.0}).versions
    exposed = first.with_measures(
        exposure_by_class=[
            ClassExposure(label=3, attack="lira", auc=around(0.6)),
            ClassExposure(label=7, attack="lira", auc=around(0.9)),
        ],
        most_exposed_samples=[SampleExposure(sample=41, id="patient 41", exposure=around(0.95))],
    )
    results = document({"identity": 1.0}).model_copy(update={"versions": [exposed, *rest]})
    text = render("dpia", source(results)).decode()
    assert text.index("class 7") < text.index("class 3")
    assert "patient 41" in text


def annexed(*, models: int = 64, attacks: dict[str, AttackResult] | None = None, **measures: Any) -> Results:
    [record] = document({"identity": 1.0}).versions
    changed = record.model_copy(update={"models": models, "attacks": attacks or record.attacks})
    return document({"identity": 1.0}).model_copy(update={"versions": [changed.with_measures(**measures)]})


def test_the_annex_calls_no_record_exposed_that_chance_allows():
    wide = SampleExposure(sample=4, id="457", exposure=Estimate(0.89, 0.12, 1.0))
    said = dpia.single_records(annexed(most_exposed_samples=[wide], models=16))
    assert "no record is shown to stand out beyond what chance allows, with 16 models" in said
    assert "457" not in said


def test_the_annex_orders_no_classes_that_the_intervals_do_not_tell_apart():
    close = [
        ClassExposure(label=0, attack="lira", auc=around(0.49)),
        ClassExposure(label=1, attack="lira", auc=around(0.48)),
    ]
    assert "the intervals do not tell the classes apart" in dpia.groups_of_people(annexed(exposure_by_class=close))
    apart = [
        ClassExposure(label=0, attack="lira", auc=around(0.49)),
        ClassExposure(label=1, attack="lira", auc=around(0.9)),
    ]
    assert "from the most exposed class to the least: class 1" in dpia.groups_of_people(
        annexed(exposure_by_class=apart)
    )


def test_the_annex_calls_no_false_alarm_rare_that_is_not():
    assert "with false alarms on 1 % of the others" in dpia.few_false_alarms(document())
    frequent = document().versions[0].attacks["lira"].adaptive
    assert isinstance(frequent, AttackMetrics)
    rates = frequent[TPR_AT_FPR]
    assert not isinstance(rates, Unmeasured)
    only = frequent.with_measures(tpr_at_fpr=[rate for rate in rates if rate.fpr == 0.1])
    said = dpia.few_false_alarms(annexed(attacks={"lira": AttackResult(adaptive=only, transfer=only)}))
    assert "not measured for so rare false alarms; the rarest that the records resolve: " in said


def test_the_annex_writes_changes_with_their_units():
    said = dpia.gained(document())
    assert "- full precision of this training algorithm: what the others are held against" in said
    assert "percentage points, between" in said
    assert "points of accuracy, between" in said


def test_the_annex_says_where_the_data_alone_tell_members_from_others():
    assert "Yes: histogram gradient boosting" in dpia.blind(given())
    assert dpia.blind(document()).startswith("Not measured:")


def test_versions_of_which_the_same_is_to_be_said_share_a_line():
    absent = [
        each.with_measures(attack_accuracy_change=NOT_IN_DOCUMENT, utility_change=NOT_IN_DOCUMENT)
        for each in document().versions
    ]
    lines = dpia.gained(document().model_copy(update={"versions": absent})).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("- all 10 versions of this training algorithm: ")


def test_a_file_that_is_not_there_has_no_digest(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        file_digest(tmp_path / "absent")
    assert replace(source(), weights=(tmp_path,)).weights == (tmp_path,)


@pytest.mark.parametrize(
    ("content", "cell"),
    [
        ("=1+1", "'=1+1"),
        (" \t@SUM(A1)", "' @SUM(A1)"),
        ("\r-2+3", "' -2+3"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a;=1+1", "a;'=1+1"),
        ('a; "+cmd"', 'a;\' "+cmd"'),
        ("a|-1", "a|'-1"),
        ("uniform(bits=4)", "uniform(bits=4)"),
        ("a-b", "a-b"),
    ],
)
def test_no_text_becomes_a_formula_in_any_spreadsheet(content: str, cell: str):
    assert csv_form.text(content) == cell
