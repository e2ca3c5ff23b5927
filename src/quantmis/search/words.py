"""What a search says to people: in the terminal, and on its page."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from quantmis.report.words import clean, fixed, percent, utility_text
from quantmis.search.record import Confirmed, Layer, SearchRecord, Worth
from quantmis.search.result import SearchResult
from quantmis.stats import Estimate

PAGE = "search.html"
DECIMALS = 3
HEADS = ("version", "searched", "confirmed", "right", "utility", "bits", "limits")
"""Exposure as it was searched and as it was confirmed, how often an attacker is right, utility, bits, limits."""


def printed(result: SearchResult, folder: Path) -> None:
    """Print what was confirmed, the winner as a line to paste, and where the pages are."""
    console = Console()
    console.print(_table(result.record))
    for line in sentences(result.record):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    print(f"search: {(folder / PAGE).resolve()}\nreport: {(folder / 'report.html').resolve()}")  # noqa: T201


def _table(record: SearchRecord) -> Table:
    table = Table(title="Confirmed on trainings and samples that the search never saw")
    table.add_column("version", overflow="fold", min_width=16)
    for head in HEADS[1:-1]:
        table.add_column(head, justify="right")
    table.add_column(HEADS[-1])
    for each in listed(record):
        table.add_row(*cells(each, record, short=True), style="bold" if each.quantizer == record.winner else None)
    return table


def listed(record: SearchRecord) -> list[Confirmed]:
    """Return what was confirmed, those that keep the limits first, the least exposed first."""
    return sorted(record.confirmed, key=lambda each: (bool(each.missed), right(each)))


def right(entry: Confirmed) -> float:
    """Return how often an attacker is right, or is predicted to be."""
    return entry.attacker.value if isinstance(entry.attacker, Estimate) else predicted(entry.again)


def predicted(worth: Worth) -> float:
    """Return how often an attacker with 64 models is predicted to be right."""
    return (1 + worth.exposure.value) / 2


def cells(entry: Confirmed, record: SearchRecord, short: bool = False) -> tuple[str, ...]:
    """Return the row of a confirmed version; a `short` one without intervals, and without the limits."""
    attacker = entry.attacker
    write = _value if short else interval
    return (
        clean(entry.quantizer, 400),
        "not tried" if entry.searched is None else write(entry.searched.exposure),
        write(entry.again.exposure),
        percent(attacker.value, 1) if isinstance(attacker, Estimate) else "not attacked",
        utility_text(entry.again.utility.value, record.metric, DECIMALS),
        fixed(entry.again.bits, 2),
        "kept" if not entry.missed else "missed" if short else "missed: " + "; ".join(map(clean, entry.missed)),
    )


def _value(estimate: Estimate) -> str:
    return fixed(estimate.value, DECIMALS)


def interval(estimate: Estimate) -> str:
    """Write an estimate with its interval.

    >>> interval(Estimate(0.2, 0.15, 0.25))
    '0.200 (0.150 to 0.250)'
    """
    value, low, high = (fixed(each, DECIMALS) for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def sentences(record: SearchRecord) -> Iterator[str]:
    """Yield what a search found, a sentence or two each, the winner first."""
    if record.winner is not None:
        yield f"winner: quantizers = [{toml(record.winner)}]"
    yield from map(_sentence, record.notes)
    yield from _against_rival(record)
    yield from _curse(record)
    yield from _of_layers(record)
    if record.not_judged:
        names = ", ".join(record.not_judged)
        yield f"Limits that a search cannot judge, and the gate does, of what was confirmed: {names}."


def toml(line: str) -> str:
    """Return a text as a string of TOML.

    >>> print(toml('uniform(bits=4, per="channel")'))
    'uniform(bits=4, per="channel")'
    """
    return f"'{line}'" if "'" not in line else json.dumps(line)


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + ("" if note.endswith(".") else ".")


def _against_rival(record: SearchRecord) -> Iterator[str]:
    against = record.comparison
    if any(each.quantizer == record.winner and not each.of_front for each in record.confirmed):
        yield "The winner is a version that nobody had to search for: what the search proposed is no better."
    if against is None:
        return
    worse = "less" if against.advantage_less >= 0 else "more"
    apart = "told apart" if against.exposure.low > 0 or against.exposure.high < 0 else "not told apart"
    equal = against.utility.low <= 0 <= against.utility.high
    yield (
        f"Against the best version that was not searched for, {against.rival}: "
        f"{percent(abs(against.advantage_less))} {worse} advantage of an attacker ({apart} by twins), utility "
        f"{interval(against.utility)} apart, {'which may be none' if equal else 'which is a difference'}."
    )


def _curse(record: SearchRecord) -> Iterator[str]:
    """Say how much better candidates looked while they were searched for than they are."""
    both = [(each.searched, each.again) for each in record.confirmed if each.of_front and each.searched is not None]
    if both:
        rose = sum(after.exposure.value - before.exposure.value for before, after in both) / len(both)
        fell = sum(before.change.value - after.change.value for before, after in both) / len(both)
        yield (
            f"Winner's curse: on what the search never saw, the exposure of the {len(both)} confirmed candidates of "
            f"the front is {_moved(rose)} on average than the search said, and what they keep of the utility "
            f"{_moved(-fell)}."
        )


def _moved(change: float) -> str:
    """Write a change.

    >>> _moved(0.02), _moved(-0.007)
    ('0.020 higher', '0.007 lower')
    """
    return f"{fixed(abs(change), DECIMALS)} {'higher' if change >= 0 else 'lower'}"


def _of_layers(record: SearchRecord) -> Iterator[str]:
    if len(record.layers) > 1:
        most = telling(record)
        spared = record.full_precision.exposure.value - most.alone.exposure.value
        others = [each.alone.exposure.low for each in record.layers if each is not most]
        doubt = "; the intervals of other layers overlap" if min(others) <= most.alone.exposure.high else ""
        yield (
            f"The layer that gives most of the training data away is {clean(most.layer)}: with it alone at "
            f"{clean(record.probe)} the exposure is {_moved(-spared)}, and the utility "
            f"{_moved(most.alone.change.value)}{doubt}."
        )


def telling(record: SearchRecord) -> Layer:
    """Return the layer that, quantized alone, takes most of the exposure away."""
    return min(record.layers, key=lambda each: each.alone.exposure.value)
