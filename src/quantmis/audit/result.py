"""What an audit returns: the document, read through short names, and the ways to keep and show it."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quantmis import results
from quantmis.errors import UserError
from quantmis.files import write_atomically
from quantmis.results import Ranking, Results, VersionResult

if TYPE_CHECKING:
    import pandas

DOCUMENT = "results.json"
PAGE = "report.html"
NOTEBOOK = 110


@dataclass(frozen=True)
class AuditResult:
    """Hold one audit. `document` is the whole of `results.json` as typed records."""

    document: Results

    @property
    def ranking(self) -> Ranking:
        """The quantizers from the one that gives away least, ties shown as ties; prints as a table."""
        return self.document.ranking

    @property
    def versions(self) -> dict[str, VersionResult]:
        """Everything that was measured, by the name of the version."""
        return {record.name: record for record in self.document.versions}

    def frame(self) -> "pandas.DataFrame":
        """Return a data frame: a row per version, each number beside the ends of its interval, or the reason for none.

        Raises `UserError` where pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UserError("a data frame needs pandas", hint="pip install pandas") from error
        from quantmis.documents import csv

        return pandas.DataFrame(csv.table(self.document)).replace("", None)

    def _repr_html_(self) -> str:
        """Show the ranking and the verdict in a notebook."""
        from rich.console import Console

        from quantmis.report import table, verdict_lines

        console = Console(record=True, file=io.StringIO(), width=NOTEBOOK)
        console.print(table(self.document))
        for line in verdict_lines(self.document):
            console.print(line, markup=False, highlight=False)
        return console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.3">{code}</pre>')

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
