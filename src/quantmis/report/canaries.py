"""How well versions of a language model remember random texts that were planted in their training sets."""

from quantmis.measures.canary_exposure import CANARY_EXPOSURE, CanaryExposure
from quantmis.report.cells import Cell, Notes, Quantity, cell, rates
from quantmis.report.reading import places
from quantmis.report.tables import Column, ReportTable, assemble, numbered
from quantmis.report.words import fixed
from quantmis.results import Results
from quantmis.stats import Unmeasured

MEASURES = (("exposure_bits", "Exposure, bits"), ("greedy", "Said by heart"), ("sampled", "Said in ten tries"))


def planted(results: Results, notes: Notes) -> ReportTable:
    """Return the table of the planted texts, a column for each number of repetitions; no rows where there are none."""
    listed = [place for place in places(results) if not isinstance(place.record[CANARY_EXPOSURE], Unmeasured)]
    if not listed:
        return assemble("", "Version", [], [])
    by_repeats = [_by_repeats(place.record[CANARY_EXPOSURE]) for place in listed]
    columns = [
        column
        for field, heading in MEASURES
        for often in by_repeats[0]
        for column in [_column([each[often] for each in by_repeats], field, f"{heading}, {_times(often)}", notes)]
    ]
    return numbered("Random texts planted in the training set, by how often each stood there", listed, columns)


def _by_repeats(canaries: list[CanaryExposure] | Unmeasured) -> dict[int, CanaryExposure]:
    return {} if isinstance(canaries, Unmeasured) else {each.repeats: each for each in canaries}


def _column(exposures: list[CanaryExposure], field: str, heading: str, notes: Notes) -> Column:
    values: list[Quantity] = [getattr(each, field) for each in exposures]
    return heading, _bits(values, notes) if field == "exposure_bits" else rates(values, notes)


def _bits(values: list[Quantity], notes: Notes) -> list[Cell]:
    return [cell(each, notes, lambda value: fixed(value, 1)) for each in values]


def _times(often: int) -> str:
    return "once" if often == 1 else f"{often} times"
