"""Does a search find a version that gives away less than the usual ones, at the same utility? On five problems.

A search of 300 candidates on four trainings of one half of the samples; what it proposes is audited on the other half
with 64 shadow models, beside the ten default versions. What counts is the confirmed winner against the best of these
within the same limit on utility: how much less advantage the strongest attacker has, and whether the difference of
utility may be none. Every search is kept in FOLDER, by name, and goes on where it was:

    python benchmarks/search.py FOLDER                     the table of what is there, into RESULTS.md
    python benchmarks/search.py FOLDER digits adult        these problems first

Real data are read below the folder that QUANTMIS_DATA names.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from _results import markdown, peak, write_section
from problems import admet, adult, cnn, digits, mlp, mnist

import quantmis as qm
from quantmis.data.texts import Texts, read_texts
from quantmis.search.confirming import advantage_of
from quantmis.search.record import read
from quantmis.search.result import SearchResult

TIMES = "seconds.json"
SAID = (
    "`python benchmarks/search.py FOLDER`. Winners of searches on four trainings of half of the samples, confirmed on "
    "the other half with 64 shadow models, against the best of the ten default versions that keep the same limit (at "
    "most 0.02 of utility lost). Advantage: of the strongest attack. Told apart: by the paired AUC between twins."
)
HEADS = (
    *("problem", "winner", "advantage", "bits", "best unsearched", "advantage", "bits", "less advantage"),
    *("told apart", "utility, winner less other", "exposure, confirmed less searched"),
)


def _problem(load: Callable[[], qm.Samples], model: Callable[[], Any], epochs: int, **more: Any) -> Mapping[str, Any]:
    recipe = qm.Recipe(epochs=epochs, batch_size=more.pop("batch", 32), learning_rate=more.pop("rate", 1e-3))
    task = qm.Task(model, loss=more.pop("loss", "cross_entropy"), recipe=recipe)
    audit = {"shadows": 64, "engine": more.pop("engine", "stacked")}
    return {"task": task, "samples": load, "audit": audit, "candidates": 300} | more


def _language(folder: Path) -> Mapping[str, Any]:
    """Return a Llama of two layers, trained from random weights on lines of Shakespeare, four times for the audit."""
    from language import base

    kept = read_texts([Path(os.environ["QUANTMIS_DATA"]) / "text" / "tinyshakespeare.txt"], at_most=2000)
    long = Texts.of([text for text in kept.texts if len(text) > 3])
    recipe = qm.Recipe(epochs=6, learning_rate=3e-3, batch_size=32)
    task = qm.Task.causal_lm(base(list(long.texts), folder / "base", 400), recipe=recipe)
    audit = {"replicates": 4}
    return {"task": task, "samples": lambda: task.samples(long), "audit": audit, "candidates": 100}


PROBLEMS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    "digits": lambda folder: _problem(digits, partial(mlp, 64, 128, 10), 40),
    "mnist cnn": lambda folder: _problem(
        partial(mnist, 2400, True), partial(cnn, 14, 10), 15, rate=3e-3, engine="im2col", candidates=100
    ),
    "adult": lambda folder: _problem(partial(adult, 6000), partial(mlp, 108, 64, 2), 60, batch=64),
    "hia_hou": lambda folder: _problem(
        partial(admet, "hia_hou", "gcn_contextpred", True), partial(mlp, 300, 64, 2), 20
    ),
    "llama": _language,
}


def searched(name: str, folder: Path) -> None:
    """Search on one problem, into a folder of its own, and keep how long it took the first time."""
    home = folder / name.replace(" ", "-")
    problem, started = PROBLEMS[name](home.with_suffix(".data")), time.process_time()
    qm.search(problem["task"], problem["samples"](), candidates=problem["candidates"], audit=problem["audit"], out=home)
    seconds = {"whole": time.process_time() - started, "peak": peak()}
    if not (home / TIMES).exists():
        (home / TIMES).write_text(json.dumps(seconds))


def row(name: str, home: Path) -> list[str]:
    """Return what became of a search."""
    result = SearchResult.from_folder(home)
    record, named = result.record, result.confirmed
    if record.winner is None or record.comparison is None or not named[record.winner].of_front:
        return [name, f"`{record.winner}`, which is a default: none better", *["" for _ in HEADS[2:]]]
    winner, rival, against = named[record.winner], named[record.comparison.rival], record.comparison
    front = [each for each in record.confirmed if each.searched and each.of_front]
    both = [(each.searched.exposure.value, each.again.exposure.value) for each in front]
    moved = sum(after - before for before, after in both) / len(both)
    apart = "yes" if against.exposure.high < 0 else "the other way" if against.exposure.low > 0 else "no"
    return [
        name,
        f"`{record.winner}`",
        f"{advantage_of(winner):.3f}",
        f"{winner.again.bits:.2f}",
        f"`{against.rival}`",
        f"{advantage_of(rival):.3f}",
        f"{rival.again.bits:.2f}",
        f"{100 * against.advantage_less:.0f} %",
        apart,
        f"{against.utility.value:+.4f} ({against.utility.low:+.4f} to {against.utility.high:+.4f})",
        f"{moved:+.3f}",
    ]


def is_done(home: Path) -> bool:
    """Whether a search has ended in that folder, its audit included."""
    return (home / "search.json").exists() and bool(read(home).confirmed)


def main(folder: Path, names: list[str]) -> None:
    """Search on the problems that are named, and write the table of all that are there."""
    for name in names:
        searched(name, folder)
    homes = {name: folder / name.replace(" ", "-") for name in PROBLEMS}
    rows = [row(name, home) for name, home in homes.items() if is_done(home)]
    body = f"{SAID}\n\n{markdown(HEADS, rows)}"
    print(body)
    write_section("search", body)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
