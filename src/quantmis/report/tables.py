"""The tables of the report, as plain rows of cells that the page only has to print.

Their columns are those of the measures that are declared to be shown there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quantmis.measures import Measure, measures_shown
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.auc import AUC
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.security import SECURITY
from quantmis.measures.tpr_at_fpr import TPR_AT_FPR
from quantmis.measures.utility import UTILITY
from quantmis.report import words
from quantmis.report.cells import (
    MISSING,
    Cell,
    Notes,
    Quantity,
    areas,
    cell,
    column_of,
    decimals,
    numbers,
    rates,
    rights,
    rounded,
)
from quantmis.report.headline import subject
from quantmis.report.reading import (
    Place,
    adaptive,
    displayed_utility,
    lead_attack,
    metric,
    ordered,
    places,
    rates_digits,
    useless,
)
from quantmis.report.reading import rates as rates_of
from quantmis.results import Agreement, AttackMetrics, Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

GUESS = ", no better than a guess"
Column = tuple[str, list[Cell]]


@dataclass(frozen=True)
class ReportRow:
    """Hold a row: its number in the ranking where it has one, its name, its `role`, its cells."""

    name: str
    cells: tuple[Cell, ...]
    number: int | None = None
    role: str = "other"


@dataclass(frozen=True)
class ReportTable:
    """Hold a table; the first of `head` stands over the names.

    `missing` has the heading of each column that was left out because it was measured for no version, and the note
    that says why.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    missing: tuple[tuple[str, int], ...] = ()


def role(place: Place) -> str:
    """Return what a version stands out as: `leader`, `baseline` or `other`."""
    if place.leads:
        return "leader"
    return "baseline" if place.record.name == words.BASELINE else "other"


def ranking(results: Results, notes: Notes) -> ReportTable:
    """Return the ranking, from the version that gives away least; without the columns that are empty."""
    listed = places(results)
    records = [place.record for place in listed]
    columns = [
        ("Rank", [Cell(place.rank) for place in listed]),
        *(measured(measure, records, notes, rates_digits(results)) for measure in measures_shown("ranking")),
        ("Cannot be told from no.", [Cell(words.ranges(place.tied) or words.NONE) for place in listed]),
    ]
    return without_empty(numbered(f"Versions of the model, {ordered(records)}", listed, columns))


def measured(
    measure: Measure[Any], records: Sequence[VersionResult], notes: Notes, digits: int | None = None
) -> Column:
    """Return the column of a measure of versions; `digits` are those of how often an attacker is right."""
    if measure is UTILITY:
        return utility_heading(records), utilities(records, notes)
    values = [record[measure] for record in records]
    if measure is INDICATOR:
        return measure.title, rounded(values, notes)
    if measure is ATTACK_ACCURACY:
        return measure.title, rights(values, notes, digits)
    return measure.title, column_of(measure.unit, values, notes)


def numbered(caption: str, listed: Sequence[Place], columns: Sequence[Column]) -> ReportTable:
    """Return a table of versions, each with its number and its role."""
    table = assemble(caption, "Version", [words.title(place.record.name) for place in listed], columns)
    rows = zip(table.rows, listed, strict=True)
    return replace(table, rows=tuple(replace(row, number=each.position, role=role(each)) for row, each in rows))


def assemble(caption: str, corner: str, names: Sequence[str], columns: Sequence[Column]) -> ReportTable:
    """Return the table of these columns."""
    cells = zip(*(column for _, column in columns), strict=True)
    rows = tuple(ReportRow(name, row) for name, row in zip(names, cells, strict=True))
    return ReportTable(caption, (corner, *(heading for heading, _ in columns)), rows)


def utility_heading(records: Sequence[VersionResult]) -> str:
    """Return the heading of the column of what the versions are worth."""
    name = metric(records)
    return words.capital(words.plainly(name)) + (", lower is better" if name == LOG_LIKELIHOOD else "")


def attacks(
    results: Results, notes: Notes, most: int | None = None, number: Mapping[str, int] | None = None
) -> list[tuple[str, ReportTable]]:
    """Return name and table of every attack, what it achieved against each version; the lead attack first."""
    names = dict.fromkeys(name for record in results.versions for name in record.attacks)
    first = sorted(names, key=lambda name: name != lead_attack(results))[:most]
    return [(words.clean(name), _attack(results, name, notes, places(results, number))) for name in first]


def _attack(results: Results, name: str, notes: Notes, listed: Sequence[Place]) -> ReportTable:
    outcomes = [adaptive(place.record, name) for place in listed]
    columns = [column for measure in measures_shown("attacks") for column in _of_attack(measure, outcomes, notes)]
    transfer = [_value(_transfer(place.record, name), AUC) for place in listed]
    about = f"{words.clean(name)} against {subject(results)}: adaptive attacker, unless the column says transfer"
    return without_empty(numbered(about, listed, [*columns, ("AUC, transfer", areas(transfer, notes))]))


def _of_attack(measure: Measure[Any], outcomes: Sequence[AttackMetrics | Unmeasured], notes: Notes) -> list[Column]:
    """Return the columns of a measure of attacks: one, or one for each false positive rate."""
    if measure is not TPR_AT_FPR:
        return [(measure.title, column_of(measure.unit, [_value(each, measure) for each in outcomes], notes))]
    false_positive_rates = dict.fromkeys(rate.fpr for each in outcomes for rate in rates_of(each))
    return [(_found_at(fpr), rates([_rate(each, fpr) for each in outcomes], notes)) for fpr in false_positive_rates]


def _value(outcome: AttackMetrics | Unmeasured, measure: Measure[Any]) -> Any:
    return outcome if isinstance(outcome, Unmeasured) else outcome[measure]


def without_empty(table: ReportTable) -> ReportTable:
    """Leave out the columns that were measured for no version, all for one reason."""
    columns = [{row.cells[index] for row in table.rows} for index in range(len(table.head) - 1)]
    empty = {
        index: cell.note
        for index, cells in enumerate(columns)
        if len(cells) == 1 and (cell := next(iter(cells))).text == MISSING and cell.note
    }
    indices = [index for index in range(len(columns)) if index not in empty]
    return replace(
        table,
        head=(table.head[0], *(table.head[1 + index] for index in indices)),
        rows=tuple(replace(row, cells=tuple(row.cells[index] for index in indices)) for row in table.rows),
        missing=tuple((table.head[1 + index], note) for index, note in empty.items()),
    )


def _found_at(fpr: float) -> str:
    return f"Members found at {words.probability(fpr)} false alarms"


def _transfer(record: VersionResult, attack: str) -> AttackMetrics | Unmeasured:
    result = record.attacks.get(attack)
    return Unmeasured("this attack was not run on this version") if result is None else result.transfer


def _rate(outcome: AttackMetrics | Unmeasured, fpr: float) -> Quantity:
    if isinstance(outcome, Unmeasured):
        return outcome
    return next((rate for rate in rates_of(outcome) if rate.fpr == fpr), Unmeasured("this rate was not asked for"))


def agreements(results: Results, notes: Notes) -> ReportTable:
    """Return how alike two measures order the versions, for every two of which the data say something."""
    pairs = [pair for pair in results.agreement if _tells(pair.tau)]
    columns = [
        ("Kendall's tau", numbers([pair.tau for pair in pairs], notes)),
        ("Meaning", [Cell(_alike(pair.tau)) for pair in pairs]),
    ]
    caption = "Do two measures order the versions alike? 1 is the same order, 0 no relation."
    return assemble(caption, "Measures", list(map(_pair, pairs)), columns)


def silent_agreements(results: Results) -> list[str]:
    """Return the pairs of measures of which the data do not say whether they order the versions alike."""
    return [_pair(pair) for pair in results.agreement if not _tells(pair.tau)]


def _tells(tau: Quantity) -> bool:
    return isinstance(tau, Estimate) and not tau.low <= 0 <= tau.high


def _pair(pair: Agreement) -> str:
    return words.capital(f"{_measure(pair.first)} and {_measure(pair.second)}")


def _measure(name: str) -> str:
    return {INDICATOR.name: "indicator r_Q", SECURITY.name: "security (MIS)"}.get(name) or words.plainly(name)


def _alike(tau: Quantity) -> str:
    contrary = isinstance(tau, Estimate) and tau.high < 0
    return "contrary to each other" if contrary else "alike, more often than chance would"


def utilities(records: Sequence[VersionResult], notes: Notes) -> list[Cell]:
    """Return the column of what the versions are worth."""
    values, name = [displayed_utility(record) for record in records], words.plainly(metric(records)).replace(" ", "_")
    digits = decimals(values)
    cells = [cell(each, notes, lambda value: words.utility_text(value, name, digits)) for each in values]
    knows_nothing = useless(records)
    marks = [GUESS if record.name in knows_nothing else "" for record in records]
    return [replace(each, text=each.text + mark) for each, mark in zip(cells, marks, strict=True)]
