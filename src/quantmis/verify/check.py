"""The three checks, and what they found."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quantmis import results
from quantmis.errors import UserError
from quantmis.results import Results, TargetResult
from quantmis.results.seal import SAID, sealing
from quantmis.verify.compare import count, differences
from quantmis.verify.page import rendered
from quantmis.verify.recompute import Saved, read_tables, recompute, unnamed

DOCUMENT = "results.json"
RAN = {"QM004", "QM007"}
"""Findings about the run itself, of which the tables know nothing."""

TAKEN = (
    "config, environment, reproduce: what was asked for and where it ran; the seal covers them",
    "the digest, the features and the notes of the data, and the ids of samples: they are in the data",
)
BLIND = "the classifier that never sees the model: it needs the data"


@dataclass(frozen=True)
class Checked:
    """Say what was found: `edited` has a line for everything that is not as it was written, `unchecked` the rest."""

    tables: int
    numbers: int
    edited: list[str]
    unchecked: list[str]


def verify(folder: Path) -> Checked:
    """Check the audit in `folder`; `UserError` where that is not possible."""
    path = folder / DOCUMENT
    document = results.read(path)
    content = path.read_bytes()
    page_edited, unchecked = rendered(folder, document, content)
    edited = list(filter(None, [SAID[sealing(document, content)]]))
    saved = read_tables(folder, document)
    tables = len([*saved.algorithm, *saved.this_model, *saved.noises])
    if saved.damaged:  # numbers computed from another table say nothing
        return Checked(tables, 0, [*edited, *saved.damaged, *page_edited], unchecked)
    numbers, differing, skipped = _numbers(document, saved)
    edited += [*differing, *_newer(document)] if differing else []
    return Checked(tables, numbers, [*edited, *page_edited], [*unchecked, *unnamed(folder, document), *TAKEN, *skipped])


def _numbers(document: Results, saved: Saved) -> tuple[int, list[str], list[str]]:
    written, skipped = document.model_dump(mode="json", exclude_none=True), _skipped(document)
    try:
        found = recompute(document, saved).model_dump(mode="json", exclude_none=True)
    except UserError as error:
        raise UserError(f"cannot compute the numbers again: {error}", hint=error.hint) from error
    for each in (written, found):
        _leave_out(each, document)
    return count(found), list(differences(written, found)), skipped


def _skipped(document: Results) -> list[str]:
    given = document.target
    blind = [BLIND] if isinstance(given, TargetResult) else []
    runs = sorted({finding.code for finding in document.warnings} & RAN)
    return [
        *blind,
        *(f"finding {code}: it is about the run" for code in runs),
        *map(_elsewhere, _without_references(document)),
    ]


def _elsewhere(name: str) -> str:
    return f"{name}: it was quantized elsewhere, and the document does not say which quantizer it was taken to be like"


def _without_references(document: Results) -> list[str]:
    """Return the versions whose references the document does not name."""
    versions = document.target.versions if isinstance(document.target, TargetResult) else []
    known = {record.name for record in document.versions}
    return [record.name for record in versions if record.name not in known]


def _leave_out(found: dict[str, Any], document: Results) -> None:
    """Drop what the tables do not determine."""
    for key in ("config", "environment", "reproduce"):
        found.pop(key)
    found["warnings"] = [each for each in found["warnings"] if each["code"] not in RAN]
    target: dict[str, Any] = found["target"]
    unnamed_references = set(_without_references(document))
    if unnamed_references:
        target.pop("ranking")
        target["versions"] = [each for each in target["versions"] if each["name"] not in unnamed_references]
    for record in [*found["versions"], *target.get("versions", [])]:
        exposed = record["measures"].get("most_exposed_samples")
        for each in exposed if isinstance(exposed, list) else []:
            each.pop("id")


def _newer(document: Results) -> list[str]:
    made = document.environment.versions.get("quantmis", "an unknown version")
    here = version("quantmis")
    if made == here:
        return []
    return [f"the document was written by quantmis {made}, this is {here}: that may be why numbers differ"]
