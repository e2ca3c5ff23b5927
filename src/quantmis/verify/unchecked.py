"""What no table determines: the parts of a document that are not computed again, each with the reason.

They are left out of the comparison by these very paths, so that whatever is not named here is compared.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from quantmis.results import Results, TargetResult


class Unchecked(NamedTuple):
    """Name parts of a document by their paths, and say why they are not computed again."""

    paths: tuple[str, ...]
    why: str


RAN = {"QM004", "QM007"}
"""Findings about the run itself, of which the tables know nothing."""

ASKED = Unchecked(
    (
        "config.model",
        "config.loss",
        "config.recipe",
        "config.calibrate_on",
        "config.release",
        "config.auditor",
        "config.release_context",
        "certificate",
        "environment",
        "reproduce",
    ),
    "what was asked for and where it ran; the seal alone covers them",
)
DATA = Unchecked(
    (
        *("data.digest", "data.features", "data.notes", "data.copies", "data.columns_apart", "data.class_names"),
        "the ids of samples",
    ),
    "they are in the data",
)
OWNER = Unchecked(
    ("target.stated", "target.stated_members", "target.near_duplicates"),
    "what the owner of the model says, and the data show",
)
BLIND = Unchecked(
    ("target.blind.method", "target.blind.auc", "target.blind.balanced_accuracy"),
    "the classifier that never sees the model: it needs the data",
)
FORGET_BLIND = Unchecked(tuple(path.replace("target.blind", "target.forget_blind") for path in BLIND.paths), BLIND.why)
FILES = "target.digest, target.file, target.files: as the tables say; with --weights FILE they are held against a file"


def unchecked(document: Results) -> list[Unchecked]:
    """Return what is not computed again of a document."""
    target = document.target
    if not isinstance(target, TargetResult):
        return [ASKED, DATA]
    return [ASKED, DATA, OWNER, BLIND, *([] if target.forget_blind is None else [FORGET_BLIND])]


def lines(document: Results, with_weights: bool) -> Iterator[str]:
    """Yield a line for each part that is not checked."""
    yield from (f"{', '.join(each.paths)}: {each.why}" for each in unchecked(document))
    if isinstance(document.target, TargetResult) and not with_weights:
        yield FILES
    yield from (
        f"finding {code}: it is about the run" for code in sorted({each.code for each in document.warnings} & RAN)
    )


def leave_out(content: dict[str, Any], document: Results) -> None:
    """Drop the parts that are not checked from a document as plain JSON."""
    for path in (path for each in unchecked(document) for path in each.paths):
        _drop(content, path)
    content["warnings"] = [each for each in content["warnings"] if each["code"] not in RAN]
    for record in [*content["versions"], *content["target"].get("versions", [])]:
        exposed = record["measures"].get("most_exposed_samples")
        for each in exposed if isinstance(exposed, list) else []:
            each.pop("id")


def _drop(content: dict[str, Any], path: str) -> None:
    *steps, last = path.split(".")
    for step in steps:
        content = content.get(step) or {}
    content.pop(last, None)
