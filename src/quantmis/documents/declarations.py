"""Frameworks and what an audit answers to them, as a CycloneDX bill of materials declares it.

A framework becomes a standard with its requirements; what was found becomes claims about the model, each with the
evidence in results.json; an attestation maps claims to requirements. Where a requirement is met or not met beyond
doubt it has a score of 1 or 0, and nowhere else. What lies outside of quantmis has a requirement, and no claim.
"""

from typing import Any

from quantmis.documents.source import Source
from quantmis.report.expectations import STATUSES, ExpectationRow, Status, rows, summary
from quantmis.report.framework import Framework
from quantmis.report.words import clean
from quantmis.results import Results

ASSESSOR, EVIDENCE = "assessor", "evidence:results.json"
SCORES: dict[Status, float] = {"met": 1.0, "not met": 0.0}
SHORT, LONG = 200, 2000


def standards(source: Source) -> list[dict[str, Any]]:
    """Return the frameworks as `definitions.standards`."""
    return [_standard(number, each) for number, each in enumerate(source.every_framework, 1)]


def declarations(source: Source, target: str) -> dict[str, Any]:
    """Return the `declarations` about the component whose reference is `target`."""
    answered = [
        (number, framework, rows(framework, source.results))
        for number, framework in enumerate(source.every_framework, 1)
    ]
    return {
        "assessors": [_assessor(source.results)],
        "attestations": [_attestation(*each, source.results) for each in answered],
        "claims": [_claim(number, row, target) for number, _, each in answered for row in _claimed(each)],
        "evidence": [_evidence(source)],
    }


def _claimed(answers: list[ExpectationRow]) -> list[ExpectationRow]:
    return [row for row in answers if row.status in ("met", "not met", "undecided")]


def _requirement(number: int, row_id: str) -> str:
    return f"requirement:{number}:{clean(row_id, SHORT)}"


def _claim_of(number: int, row: ExpectationRow) -> str:
    return f"claim:{number}:{clean(row.expectation.id, SHORT)}"


def _standard(number: int, framework: Framework) -> dict[str, Any]:
    read = "in the original" if framework.read_in_original else "not in the original"
    return {
        "bom-ref": f"standard:{number}",
        "name": clean(framework.name, SHORT),
        "version": clean(framework.edition, SHORT),
        "description": f"In our own words; read on {framework.read_on}, {read}: {clean(framework.read_by, SHORT)}",
        "requirements": [
            {
                "bom-ref": _requirement(number, each.id),
                "identifier": clean(each.id, SHORT),
                "title": clean(each.where, SHORT),
                "text": clean(each.expects, LONG),
            }
            for each in framework.expectation
        ],
        "externalReferences": [{"type": "documentation", "url": framework.url}],
    }


def _assessor(results: Results) -> dict[str, Any]:
    declared = results.config.auditor or {}
    name = declared.get("organisation") or declared.get("name")
    organization = {"organization": {"name": clean(name, SHORT)}} if name else {}
    return {"bom-ref": ASSESSOR, **organization}


def _attestation(number: int, framework: Framework, answers: list[ExpectationRow], results: Results) -> dict[str, Any]:
    return {
        "summary": summary(framework, results),
        "assessor": ASSESSOR,
        "map": [_mapped(number, row) for row in answers],
    }


def _mapped(number: int, row: ExpectationRow) -> dict[str, Any]:
    score = {"score": SCORES[row.status]} if row.status in SCORES else {}
    claims = {"claims": [_claim_of(number, row)]} if _claimed([row]) else {}
    rationale = f"{STATUSES[row.status]}: {clean(row.finding, LONG)}"
    conformance = {**score, "rationale": rationale}
    return {"requirement": _requirement(number, row.expectation.id), **claims, "conformance": conformance}


def _claim(number: int, row: ExpectationRow, target: str) -> dict[str, Any]:
    reference, predicate = _claim_of(number, row), clean(row.finding, LONG)
    reasoning = "computed from loss tables, with its interval; quantmis verify computes it again"
    return {
        "bom-ref": reference,
        "target": target,
        "predicate": predicate,
        "reasoning": reasoning,
        "evidence": [EVIDENCE],
    }


def _evidence(source: Source) -> dict[str, Any]:
    contents = [{"name": "results.json", "contents": {"url": "results.json"}}]
    return {"bom-ref": EVIDENCE, "description": f"every number of the audit, SHA-256 {source.digest}", "data": contents}
