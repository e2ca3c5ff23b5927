"""The checks, and what they found."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from quantmis import results
from quantmis.errors import UserError
from quantmis.results import Results, TargetResult
from quantmis.results.seal import SAID, sealing
from quantmis.shipped import shipped
from quantmis.tensor_files import strict_json
from quantmis.verify.compare import count, differences
from quantmis.verify.page import rendered
from quantmis.verify.recompute import Saved, read_tables, recompute, unnamed
from quantmis.verify.unchecked import leave_out, lines


@dataclass(frozen=True)
class Checked:
    """Say what was found: `edited` has a line for everything that is not as it was written, `unchecked` the rest."""

    tables: int
    numbers: int
    edited: list[str]
    unchecked: list[str]


def verify(folder: Path, weights: Path | None = None) -> Checked:
    """Check the audit in `folder`, and that `weights` are the file that was audited; `UserError` where it cannot be."""
    content, source = results.contents(folder)
    document = results.parse(content, source)
    page_edited, unchecked = rendered(folder, document, content)
    edited = [*filter(None, [SAID[sealing(document, content)]]), *_unknown(document, content)]
    edited += [] if weights is None else _weights(document, weights)
    saved = read_tables(folder, document)
    tables = len([*saved.algorithm, *saved.this_model, *saved.noises])
    if saved.damaged:  # numbers computed from another table say nothing
        return Checked(tables, 0, [*edited, *saved.damaged, *page_edited], unchecked)
    numbers, differing = _numbers(document, saved)
    edited += [*differing, *_newer(document)] if differing else []
    unchecked_parts = [*unchecked, *lines(document, weights is not None)]
    return Checked(tables, numbers, [*edited, *unnamed(folder, document), *page_edited], unchecked_parts)


def _unknown(document: Results, content: bytes) -> Iterator[str]:
    """Yield a line for everything in a document that its schema does not know and that reading it left out."""
    for line in differences(strict_json(content, "it"), document.model_dump(mode="json", exclude_none=True)):
        yield f"{line.partition(':')[0]}: no audit writes such a thing"


def _weights(document: Results, weights: Path) -> list[str]:
    target, candidate = document.target, shipped(weights)
    if not isinstance(target, TargetResult):
        return [f"{candidate.name}: no weights were audited"]
    same = candidate.file in (target.file, *target.files.values()) or candidate.tensors == target.digest
    return [] if same else [f"{candidate.name} is not a file that was audited: its SHA-256 is {candidate.file}"]


def _numbers(document: Results, saved: Saved) -> tuple[int, list[str]]:
    original = document.model_dump(mode="json", exclude_none=True)
    try:
        recomputation = recompute(document, saved).model_dump(mode="json", exclude_none=True)
    except UserError as error:
        raise UserError(f"cannot compute the numbers again: {error}", hint=error.hint) from error
    for each in (original, recomputation):
        leave_out(each, document)
    return count(recomputation), list(differences(original, recomputation))


def _newer(document: Results) -> list[str]:
    writer = document.environment.versions.get("quantmis", "an unknown version")
    here = version("quantmis")
    if writer == here:
        return []
    return [f"the document was written by quantmis {writer}, this is {here}: that may be why numbers differ"]
