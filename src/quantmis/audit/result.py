"""What an audit returns: the document, read through short names, and the ways to keep and show it."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from quantmis import results
from quantmis.errors import UserError
from quantmis.files import write_atomically
from quantmis.results import Ranking, Results, VersionResult

if TYPE_CHECKING:
    import pandas

    from quantmis.gate import Judgement, Policy
    from quantmis.report.plots import Plots

DOCUMENT = "results.json"
PAGE = "report.html"
NOTEBOOK = 110
MOST_NAMED = 5


@dataclass(frozen=True, repr=False)
class AuditResult:
    """Hold one audit. `document` is the whole of `results.json` as typed records."""

    document: Results

    def __repr__(self) -> str:
        """Say what was audited, how deep, and what it found, in a few lines."""
        from quantmis.report.verdict import headline, lead

        config = self.document.config
        names = ", ".join(row.name for row in self.ranking.rows[:MOST_NAMED])
        more = f" and {len(self.ranking.rows) - MOST_NAMED} more" if len(self.ranking.rows) > MOST_NAMED else ""
        first = f"<AuditResult: {config.depth} audit of {config.model}, {len(self.document.versions)} versions>"
        return f"{first}\n{headline(lead(self.document))}\nranking: {names}{more}"

    @property
    def ranking(self) -> Ranking:
        """The quantizers from the one that gives away least, ties shown as ties; prints as a table."""
        return self.document.ranking

    @property
    def versions(self) -> dict[str, VersionResult]:
        """Everything that was measured, by the name of the version."""
        return {record.name: record for record in self.document.versions}

    @property
    def plot(self) -> "Plots":
        """The figures: `.front()`, `.ranking()` and `.roc()` draw on matplotlib axes and return them."""
        from quantmis.report.plots import Plots

        return Plots(self.document)

    def gate(self, policy: "Policy | str | Path", weights: str | Path | None = None) -> "Judgement":
        """Hold the audit against the limits of a policy, a file or a `quantmis.gate.Policy`, as `quantmis gate` does.

        `weights`: the file that ships, which must be the one that was audited. `.within` says whether every limit is
        kept, `.exceeded` which are not. Raises `UserError` for a policy that names no version of this audit.
        """
        from quantmis.gate import Policy, judge, read
        from quantmis.shipped import shipped

        rules, name = (policy, "the policy") if isinstance(policy, Policy) else (read(Path(policy)), str(policy))
        ships = None if weights is None else shipped(Path(weights))
        return judge(self.document, rules, datetime.now(UTC), "this audit", name, ships)

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

        from quantmis.report.terminal import table, verdict_lines

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
