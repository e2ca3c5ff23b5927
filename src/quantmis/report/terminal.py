"""The ranking and the verdict in the terminal: what a run prints when it is done.

Every column that matters stands at 80 characters; wider terminals show more, narrower ones keep the version, its rank
and how often an attacker is right. Colour only repeats what the words say.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from quantmis.measures import Measure
from quantmis.measures.auc import AUC
from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.measures.distortion import DISTORTION
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.sparsity import SPARSITY
from quantmis.report import tables, words
from quantmis.report.cells import Cell
from quantmis.report.reading import Place, adaptive, lead_attack, metric, ordered, places, rates_digits
from quantmis.report.verdict import verdict
from quantmis.results import AttackMetrics, Results, VersionResult

STYLES = {"leader": "bold green", "baseline": "bold", "other": ""}
SHORTEST, LONGEST = 10, 30


@dataclass(frozen=True)
class Column:
    """Hold a column: its heading, its cells, and the width of the terminal from which on it is shown."""

    heading: str
    cells: list[str]
    width: int = 0


def table(results: Results, width: int | None = None) -> Table:
    """Return the ranking for a terminal of `width` characters (by default this one), ties shown as ties."""
    listed = places(results)
    wide = shutil.get_terminal_size().columns if width is None else width
    grid = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    grid.add_column("rank", justify="right", no_wrap=True)
    grid.add_column("version", overflow="fold", min_width=SHORTEST, max_width=LONGEST if wide < 120 else None)
    columns = [column for column in _columns(results, listed) if column.width <= wide]
    for column in columns:
        grid.add_column(column.heading, overflow="fold")
    grid.caption, grid.caption_justify = ordered(results.versions), "left"
    for index, place in enumerate(listed):
        cells = (place.rank, words.title(place.record.name), *(column.cells[index] for column in columns))
        grid.add_row(*map(Text, cells), style=STYLES[tables.role(place)])
    return grid


def _columns(results: Results, listed: Sequence[Place]) -> list[Column]:
    records = [place.record for place in listed]
    return [
        Column(
            "attacker is right",
            _spelled(tables.rights([place.attacker for place in listed], {}, rates_digits(results))),
        ),
        Column(words.plainly(metric(records)), _spelled(tables.utilities(records, {})), width=70),
        _counted("bits", BITS_PER_WEIGHT, records, 90),
        _counted("zeros", SPARSITY, records, 96),
        _counted("distortion", DISTORTION, records, 110),
        *_attack(results, listed),
        Column("indicator r_Q", _spelled(tables.rounded([record[INDICATOR] for record in records], {})), width=140),
    ]


def _counted(heading: str, measure: Measure[float], records: Sequence[VersionResult], width: int) -> Column:
    return Column(heading, _spelled(tables.measured(measure, records, {})[1]), width)


def _attack(results: Results, listed: Sequence[Place]) -> list[Column]:
    name = lead_attack(results)
    if name is None:
        return []
    outcomes = [adaptive(place.record, name) for place in listed]
    cells = tables.areas([each[AUC] if isinstance(each, AttackMetrics) else each for each in outcomes], {})
    return [Column(f"AUC of {words.clean(name, 20)}", _spelled(cells), width=118)]


def _spelled(cells: Sequence[Cell]) -> list[str]:
    return [f"{cell.text} ({cell.interval})" if cell.interval else cell.text for cell in cells]


def verdict_lines(results: Results) -> list[str]:
    """Return the verdict, a sentence a line, the most important first."""
    return [sentence.text for sentence in verdict(results)]
