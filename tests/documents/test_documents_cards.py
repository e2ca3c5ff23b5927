"""Claims about what registries read: the Hugging Face model card and the CycloneDX bill of materials."""

import json
from pathlib import Path
from typing import Any

import pytest
from audited_models import DIGEST, as_is, given, source
from cyclonedx.model.bom import Bom
from documents import document, exposed
from hostile_documents import HOSTILE
from huggingface_hub import ModelCard

from quantmis import results as schema
from quantmis.documents import cyclonedx, merge_into_card, model_card, render
from quantmis.documents.source import Source, file_digest
from quantmis.documents.writing import DocumentRequest, write_document
from quantmis.errors import UserError
from quantmis.measures.auc import AUC
from quantmis.report.expectations import rows, summary
from quantmis.report.framework import built_in
from quantmis.results import AttackMetrics, Results, TargetResult
from quantmis.stats import Estimate

CARD = """---
license: apache-2.0   # kept as it is
tags:
- text-classification
model-index:
- name: mine
  results:
  - task: {type: text-classification}
    dataset: {name: imdb, type: imdb}
    metrics:
    - {type: accuracy, value: 0.91}
---

# My model

What I wrote.
"""


# the model card


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_bytes(CARD.encode())
    return path


def test_every_other_byte_of_a_card_is_kept(card: Path):
    merged = merge_into_card(card, source()).decode()
    assert merged.startswith(CARD)
    assert merged.removeprefix(CARD).startswith(f"\n{model_card.BEGIN}\n## Privacy audit\n")


def test_the_same_audit_merged_twice_gives_the_same_card(card: Path):
    once = merge_into_card(card, source())
    card.write_bytes(once)
    assert merge_into_card(card, source()) == once


def test_another_audit_replaces_the_section_where_it_stands(card: Path):
    card.write_bytes(merge_into_card(card, source()) + b"\n## After\n")
    merged = merge_into_card(card, Source(document(), "cd" * 32)).decode()
    assert merged.endswith(f"{model_card.END}\n\n## After\n")
    assert DIGEST not in merged
    assert merged.count(model_card.BEGIN) == 1


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_stay(card: Path, ending: str, start: str):
    written = start + CARD.replace("\n", ending)
    card.write_bytes(written.encode())
    merged = merge_into_card(card, source()).decode()
    assert merged.startswith(written)
    assert merged.count("\r\n") == (merged.count("\n") if ending == "\r\n" else 0)


def test_the_hub_reads_the_same_metadata_as_before(card: Path):
    before = ModelCard(CARD).data.to_dict()
    card.write_bytes(merge_into_card(card, source()))
    assert ModelCard.load(card).data.to_dict() == before
    assert before["license"] == "apache-2.0"


def test_a_new_card_is_a_card():
    found = ModelCard(render("model-card", source(given())).decode())
    assert found.data.tags == ["privacy-audit", "membership-inference"]
    assert "# DigitsMLP" in found.text


def test_a_card_without_metadata_gets_none():
    merged = model_card.merged("# My model", model_card.section(source()))
    assert ModelCard(merged).data.to_dict() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"# x\n{model_card.BEGIN}\n", "1 beginnings and 0 ends"),
        (f"{model_card.END}\n{model_card.BEGIN}\n", "1 beginnings and 1 ends"),
        (f"{model_card.BEGIN}\n{model_card.END}\n" * 2, "2 beginnings and 2 ends"),
        ("---\n- a list\n---\n", "no model card that Hugging Face reads"),
        ("---\na: [\n---\n", "no model card that Hugging Face reads"),
    ],
)
def test_a_card_that_cannot_be_merged_into_is_refused_and_left_alone(card: Path, text: str, message: str):
    card.write_text(text)
    schema.write(document(), card.parent / "results.json")
    with pytest.raises(UserError, match=message):
        write_document(DocumentRequest(card.parent, "model-card", into=card))
    assert card.read_text() == text


def test_what_is_no_text_or_is_not_there_is_refused(tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        merge_into_card(tmp_path / "weights.bin", source())
    with pytest.raises(UserError, match="cannot read"):
        merge_into_card(tmp_path / "absent.md", source())


def test_no_name_can_end_the_section_early():
    names = {"identity": 1.0, model_card.END: 0.5, model_card.BEGIN: 0.4, **dict.fromkeys(HOSTILE.values(), 0.3)}
    section = model_card.section(source(document(names)))
    assert (section.count(model_card.BEGIN), section.count(model_card.END)) == (1, 1)


# the bill of materials; `render` itself checks it against the schema of CycloneDX 1.7


def bill(results: Results, **options: Any) -> dict[str, Any]:
    return json.loads(cyclonedx.render(Source(results, DIGEST, **options)))


def test_the_bill_is_read_back_by_the_library():
    found = bill(given())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.7")
    del found["metadata"]["component"]["modelCard"]  # which the library's object model does not have
    read = Bom.from_json(found)  # pyright: ignore
    assert read.metadata.component.name == "DigitsMLP"


def test_a_bill_that_does_not_fit_the_schema_is_never_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cyclonedx, "model_card", lambda _: {"quantitativeAnalysis": "none"})
    with pytest.raises(AssertionError, match="does not fit its schema"):
        bill(document())


def test_the_model_has_the_hash_of_its_tensors_and_files_have_theirs(tmp_path: Path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    found = bill(given(), weights=(weights,))
    assert found["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "cd" * 32}]
    files = {each["name"]: each["hashes"][0]["content"] for each in found["components"] if each["type"] == "file"}
    assert files == {"model.safetensors": file_digest(weights)}
    assert "hashes" not in bill(document())["metadata"]["component"]


def test_two_files_of_one_name_are_refused(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="the same name"):
        bill(document(), weights=(tmp_path / "a" / "model.bin", tmp_path / "b" / "model.bin"))


@pytest.mark.parametrize("make", [document, given, as_is])
def test_every_number_stands_in_the_bill_with_its_interval(make: Any):
    results = make()
    metrics = bill(results)["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    [one] = [
        each
        for each in metrics
        if each["type"] == "lira.adaptive.auc" and each["slice"].endswith("training algorithm; version sign")
    ] or [each for each in metrics if each["type"] == "lira.adaptive.auc" and "version sign" in each["slice"]]
    outcome = results.version("sign").attacks["lira"].adaptive
    assert isinstance(outcome, AttackMetrics)
    auc = outcome[AUC]
    assert isinstance(auc, Estimate)
    interval = one["confidenceInterval"]
    assert [float(one["value"]), float(interval["lowerBound"]), float(interval["upperBound"])] == [
        auc.value,
        auc.low,
        auc.high,
    ]


def test_the_bill_names_the_task_the_loss_and_every_quantized_version():
    found = bill(given())
    model = found["metadata"]["component"]
    assert model["modelCard"]["modelParameters"]["task"] == "classification"
    assert {"name": "quantmis:loss", "value": "cross_entropy"} in model["properties"]
    versions = [each for each in found["components"] if each["bom-ref"].startswith("version:")]
    assert {each["name"] for each in versions} == {"sign", "full precision"}
    assert any(each["name"] == "quantmis:hash" and "--weights" in each["value"] for each in versions[0]["properties"])


def test_a_version_that_was_read_from_a_file_has_its_hash():
    results = given()
    assert isinstance(results.target, TargetResult)
    target = results.target.model_copy(update={"files": {"sign": "ef" * 32}})
    found = bill(results.model_copy(update={"target": target}))["components"]
    hashes = {each["name"]: each.get("hashes") for each in found if each["bom-ref"].startswith("version:")}
    assert hashes == {"sign": [{"alg": "SHA-256", "content": "ef" * 32}], "full precision": None}


def test_the_considerations_are_about_the_model_that_ships():
    (risk,) = bill(given())["metadata"]["component"]["modelCard"]["considerations"]["ethicalConsiderations"]
    assert "members and non-members that were given differ" in risk["name"]
    assert "this very model" in risk["name"]


@pytest.mark.parametrize("make", [document, given, as_is])
def test_the_bill_declares_what_each_framework_expects_and_what_answers_it(make: Any):
    results = make()
    found = bill(results)
    declared, standards = found["declarations"], found["definitions"]["standards"]
    assert [each["name"] for each in standards] == [each.name for each in built_in()]
    requirements = {each["bom-ref"] for standard in standards for each in standard["requirements"]}
    claims = {each["bom-ref"]: each for each in declared["claims"]}
    assert all(each["target"] == "model" for each in claims.values())
    [evidence] = declared["evidence"]
    assert DIGEST in evidence["description"]
    for framework, attestation in zip(built_in(), declared["attestations"], strict=True):
        for row, each in zip(rows(framework, results), attestation["map"], strict=True):
            assert each["requirement"] in requirements
            assert set(each.get("claims", [])) <= set(claims)
            assert each["conformance"].get("score") == {"met": 1.0, "not met": 0.0}.get(row.status)
            assert ("claims" in each) == (row.status in ("met", "not met", "undecided"))


def test_the_bill_names_who_audits_where_that_was_declared():
    results = document()
    declared = results.config.model_copy(update={"auditor": {"name": "Ada", "organisation": "Engines"}})
    found = bill(results.model_copy(update={"config": declared}))["declarations"]["assessors"]
    assert found == [{"bom-ref": "assessor", "organization": {"name": "Engines"}}]
    assert bill(results)["declarations"]["assessors"] == [{"bom-ref": "assessor"}]


def test_the_card_has_the_same_rows_and_names_no_record():
    results = exposed(document())
    card = render("model-card", Source(results, DIGEST)).decode()
    for framework in built_in():
        assert summary(framework, results) in card
        assert card.count("\n| ") >= len(framework.expectation)
    assert "patient" not in card
    assert "its most exposed record" in card


def test_what_an_edited_time_says_is_refused():
    results = document()
    edited = results.environment.model_copy(update={"started": "yesterday"})
    with pytest.raises(UserError, match="is no time"):
        bill(results.model_copy(update={"environment": edited}))


def test_the_evidence_is_named_by_its_digest():
    [evidence] = bill(document())["metadata"]["component"]["externalReferences"]
    assert (evidence["type"], evidence["hashes"][0]["content"]) == ("evidence", DIGEST)
