"""What an audit returns: the document, read through short names, and the ways to keep and show it."""

from dataclasses import dataclass
from pathlib import Path

from quantmis import results
from quantmis.files import write_atomically
from quantmis.results import QuantizerResult, Ranking, Results

DOCUMENT = "results.json"
PAGE = "report.html"


@dataclass(frozen=True)
class AuditResult:
    """Hold one audit. `document` is the whole of `results.json` as typed records."""

    document: Results

    @property
    def ranking(self) -> Ranking:
        """The quantizers from the one that gives away least, ties shown as ties; prints as a table."""
        return self.document.ranking

    @property
    def quantizers(self) -> dict[str, QuantizerResult]:
        """Everything that was measured, by the name of the quantizer."""
        return {record.name: record for record in self.document.quantizers}

    @classmethod
    def from_json(cls, path: str | Path) -> "AuditResult":
        """Read `results.json`, or the folder that holds it."""
        path = Path(path)
        return cls(results.read(path / DOCUMENT if path.is_dir() else path))

    def to_json(self, path: str | Path) -> None:
        """Write the document."""
        results.write(self.document, Path(path))

    def to_html(self, path: str | Path) -> None:
        """Write the report, one page that needs no network."""
        from quantmis.report import html

        write_atomically(Path(path), html.render(self.document).encode())
