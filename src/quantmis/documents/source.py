"""What every document is made from: a checked results.json, the digest of its bytes, and what the user adds to them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from quantmis import results
from quantmis.files import opened
from quantmis.report.framework import Framework, built_in
from quantmis.report.framework import read as read_framework
from quantmis.results import Results, ResultSubject, subjects
from quantmis.results.seal import SAID, sealing


@dataclass(frozen=True)
class Source:
    """Hold an audit and the SHA-256 of its results.json; `weights` are files of the model that is shipped.

    `document` holds the bytes of results.json where it was read from a file. `frameworks`: files of expectations,
    beside those of the package.
    """

    results: Results
    digest: str
    weights: tuple[Path, ...] = ()
    document: bytes | None = None
    frameworks: tuple[Path, ...] = ()

    @classmethod
    def read(cls, folder: Path, weights: tuple[Path, ...] = (), frameworks: tuple[Path, ...] = ()) -> "Source":
        """Read DIR/results.json; `UserError` where it is missing, damaged or of a newer schema."""
        document, name = results.contents(folder / "results.json")
        read = results.parse(document, name)
        return cls(read, hashlib.sha256(document).hexdigest(), weights, document, frameworks)

    @property
    def every_framework(self) -> list[Framework]:
        """The frameworks of the package, and those of the files; `UserError` for a file that is none."""
        return [*built_in(), *map(read_framework, self.frameworks)]

    @property
    def broken(self) -> str:
        """What is wrong with the seal of the document that was read, an empty text where nothing is."""
        return "" if self.document is None else SAID[sealing(self.results, self.document)]


def audited(results: Results) -> list[ResultSubject]:
    """Return what was measured: the very model first, where one was given, then the training algorithm."""
    return [subject for subject in subjects(results) if subject.versions]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal; `UserError` where it cannot be read."""
    with opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
