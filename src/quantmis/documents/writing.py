"""What the command `quantmis report` does: read an audit, write it in one form, say where."""

import sys
from dataclasses import dataclass
from pathlib import Path

from quantmis.documents import Source, form, merge_into_card, render
from quantmis.errors import UserError, require
from quantmis.files import write_atomically

STANDARD_OUTPUT = Path("-")
ANSWERS = ("conformity", "conformity-pdf", "model-card", "cyclonedx")
"""The forms that answer the expectations of frameworks."""


@dataclass(frozen=True)
class DocumentRequest:
    """Hold what was asked for: the audit's folder, the form, where to, the card to merge into, files of weights.

    `frameworks`: files of expectations, for the forms that answer them.
    """

    folder: Path
    name: str
    out: Path | None = None
    into: Path | None = None
    weights: tuple[Path, ...] = ()
    frameworks: tuple[Path, ...] = ()

    def __post_init__(self):
        form(self.name)
        require(
            self.into is None or self.name == "model-card",
            "--into names a model card",
            hint="add --format model-card",
        )
        require(
            not self.weights or self.name == "cyclonedx",
            "--weights names files for a bill of materials",
            hint="add --format cyclonedx",
        )
        require(
            not self.frameworks or self.name in ANSWERS,
            "--framework names a file of expectations",
            hint=f"add --format {', '.join(ANSWERS[:-1])} or {ANSWERS[-1]}",
        )
        if self.into is not None and self.out is not None:
            raise UserError("--into and --out say two places", hint="leave one of them out")

    @property
    def path(self) -> Path:
        """Where the document is written."""
        return self.into or self.out or self.folder / form(self.name).file


def write_document(request: DocumentRequest) -> Source:
    """Write the document, whole or not at all, and return what it was made from."""
    source = Source.read(request.folder, request.weights, request.frameworks)
    content = render(request.name, source) if request.into is None else merge_into_card(request.into, source)
    if request.path == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
    else:
        write_atomically(request.path, content, private=form(request.name).private)
    return source
