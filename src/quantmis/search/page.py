"""The page of a search: one self-contained file under the same Content-Security-Policy as the report."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from quantmis.files import write_atomically
from quantmis.report.html import asset, environment, filled
from quantmis.report.svg import Styles
from quantmis.report.words import fixed, utility_text
from quantmis.search import figures
from quantmis.search.record import Candidate, Layer, SearchRecord
from quantmis.search.words import DECIMALS, PAGE, cells, interval, listed, sentences, toml

MOST_CANDIDATES = 400
"""Candidates that the page lists, the front first; the document has all."""


def write_page(record: SearchRecord, out: Path) -> None:
    """Write the page of a search into a folder."""
    write_atomically(out / PAGE, render(record).encode())


def render(record: SearchRecord) -> str:
    """Return the page as the text of one HTML file."""
    styles = Styles()
    drawn = {"front": figures.front(record, styles), "layers_drawn": figures.layers(record, styles)}
    tried = _tried(record)
    return filled(
        _template(),
        styles.sheet(),
        asset("report.js"),
        record=record,
        sentences=list(sentences(record))[record.winner is not None :],
        line=None if record.winner is None else f"quantizers = [{toml(record.winner)}]",
        confirmed=[(number, each, cells(each, record)) for number, each in enumerate(listed(record), 1)],
        tried=[_cells(each, record) for each in tried],
        layers=[_layer_cells(each, record) for each in record.layers],
        full=_cells(Candidate(number=-1, quantizer="identity", worth=record.full_precision), record),
        **drawn,
    )


def _tried(record: SearchRecord) -> list[Candidate]:
    """Return different candidates, those of the front first, then those within the limits, the least exposed first."""
    once = {each.quantizer: each for each in reversed(record.candidates)}
    ranked = sorted(
        once.values(),
        key=lambda each: (each.quantizer not in record.front, len(each.worth.missed), each.worth.exposure.value),
    )
    return ranked[:MOST_CANDIDATES]


def _cells(candidate: Candidate, record: SearchRecord) -> dict[str, Any]:
    worth = candidate.worth
    return {
        "name": candidate.quantizer,
        "number": candidate.number + 1,
        "exposure": interval(worth.exposure),
        "utility": utility_text(worth.utility.value, record.metric, DECIMALS),
        "bits": fixed(worth.bits, 2),
        "missed": "; ".join(f"{key} by {short:.3g}" for key, short in worth.missed.items()) or "kept",
        "of_front": candidate.quantizer in record.front,
    }


def _layer_cells(layer: Layer, record: SearchRecord) -> list[str]:
    numbers = [f"{layer.weights:,}"]
    for worth in (layer.alone, layer.others):
        numbers += [interval(worth.exposure), interval(worth.change)]
    return [layer.layer, *numbers]


@cache
def _template() -> jinja2.Template:
    own, report = jinja2.PackageLoader("quantmis.search"), environment().loader
    assert report is not None  # noqa: S101 for the type checker: the environment is made with one
    return environment().overlay(loader=jinja2.ChoiceLoader([own, report])).get_template("search.html")
