"""Which texts samples of a language model's versions give away, members beside non-members."""

from quantmis.measures.extraction import EXTRACTION, Extraction
from quantmis.report.cells import Notes, Quantity, rates
from quantmis.report.reading import places
from quantmis.report.tables import Column, ReportTable, assemble, numbered
from quantmis.results import Results
from quantmis.stats import Unmeasured

CHANCE = 0.5
WHO = (("members", "Members"), ("non_members", "Non-members"))


def extracted(results: Results, notes: Notes) -> ReportTable:
    """Return the table of the shares that are more likely than not sampled; no rows where none is measured."""
    listed = [place for place in places(results) if not isinstance(place.record[EXTRACTION], Unmeasured)]
    if not listed:
        return assemble("", "Version", [], [])
    by_tries = [_by_tries(place.record[EXTRACTION]) for place in listed]
    columns = list[Column]()
    for tries in by_tries[0]:
        for field, who in WHO:
            values: list[Quantity] = [getattr(each[tries], field) for each in by_tries]
            columns.append((f"{who}, {'one try' if tries == 1 else f'{tries:,} tries'}", rates(values, notes)))
    return numbered("Texts whose second half is more likely than not sampled, given the first half", listed, columns)


def _by_tries(records: list[Extraction] | Unmeasured) -> dict[int, Extraction]:
    even = [] if isinstance(records, Unmeasured) else [each for each in records if each.chance == CHANCE]
    return {each.tries: each for each in even}
