"""What a search returns: its record, and the audit of what it proposes."""

from dataclasses import dataclass
from pathlib import Path

from quantmis.audit.result import AuditResult
from quantmis.search.record import Confirmed, SearchRecord, read


@dataclass(frozen=True)
class SearchResult:
    """Hold one search. `record` is the whole of `search.json`, `audit` the audit of the confirmed versions."""

    record: SearchRecord
    audit: AuditResult

    @property
    def winner(self) -> str | None:
        """The version to ship, as one line that `quantizers` takes; None where none keeps the limits."""
        return self.record.winner

    @property
    def confirmed(self) -> dict[str, Confirmed]:
        """What was measured again, by the name of the version."""
        return {each.quantizer: each for each in self.record.confirmed}

    @classmethod
    def from_folder(cls, folder: str | Path) -> "SearchResult":
        """Read a search that has ended from its folder; `UserError` where it is missing or damaged."""
        return cls(read(Path(folder)), AuditResult.from_json(folder))
