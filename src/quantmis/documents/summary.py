"""The report for programs: the verdict and the numbers that it was made from, as one JSON document.

`results.json` holds everything that was measured; this holds what the report says of it, under the names of the CSV
file.
"""

import json
from typing import Any

from quantmis.documents.measures import numbers, of_release, plain
from quantmis.documents.source import Source, audited
from quantmis.report.gaps import gaps
from quantmis.report.verdict import verdict
from quantmis.results import ResultSubject, VersionResult


def render(source: Source) -> bytes:
    """Return verdict, ranking, findings and gaps of an audit as JSON in UTF-8."""
    results = source.results
    document = {
        "model": results.config.model,
        "depth": results.config.depth,
        "results_sha256": source.digest,
        "integrity": source.broken or "results.json is as it was sealed",
        "verdict": [{"kind": sentence.kind, "text": sentence.text} for sentence in verdict(results)],
        "versions": [version for subject in audited(results) for version in _versions(subject)],
        "released_together": [set_ for subject in audited(results) for set_ in _releases(subject)],
        "findings": [finding.model_dump() for finding in results.warnings],
        "not_measured": [{"reason": gap.reason, "what": list(gap.places)} for gap in gaps(results)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _releases(subject: ResultSubject) -> list[dict[str, Any]]:
    return [
        {
            "about": subject.about,
            "versions": release.versions,
            "numbers": {name: plain(number) for name, number in of_release(release).items()},
        }
        for release in subject.releases
    ]


def _versions(subject: ResultSubject) -> list[dict[str, Any]]:
    return [
        {"about": subject.about, "rank": rank, "version": record.name, "tied_with": tied, "numbers": _numbers(record)}
        for rank, record, tied in subject.ordered
    ]


def _numbers(record: VersionResult) -> dict[str, dict[str, float | str]]:
    return {name: plain(number) for name, number in numbers(record).items()}
