"""Does an interval from a few random columns hold the value of the whole table? What an audit of many samples needs.

Models are trained and every column of their table is filled once; that table's own numbers are the truth. Then columns
are drawn at random, the attack is made on those columns alone, as an audit of that subset would make it, and its
interval either holds the whole table's value or does not.

    python benchmarks/subsets.py
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from _results import markdown, write_section
from problems import mixture, mlp

from quantmis import seeds
from quantmis.attacks import LiRA, LossThreshold, PairedReplicates
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.work import Work
from quantmis.data import complementary_halves
from quantmis.evidence import Evidence
from quantmis.models import Recipe, Task
from quantmis.models.engine import choose_engine
from quantmis.quantizers import QUANTIZERS
from quantmis.stats import Estimate, Unmeasured, evaluate

SAMPLES, MODELS, WIDTH, EPOCHS = 10_000, 16, 256, 20
QUANTIZER = "uniform(bits=4)"
SUBSETS, DRAWS = (250, 500, 1000), 200
LEVEL = 0.95


def whole(samples: int) -> Evidence:
    """Return the table of models of a Gaussian mixture a fifth of whose labels are wrong, after one quantizer."""
    data = mixture(samples, 64, 10, apart=3.0, wrong=0.2)
    task = Task(partial(mlp, 64, WIDTH, 10), recipe=Recipe(epochs=EPOCHS, batch_size=64))
    member = complementary_halves(MODELS, samples, seeds.generator(0, "subsets"))
    engine = choose_engine(task, data, MODELS, "stacked")
    work = Work(task, data, member, (QUANTIZERS.parse(QUANTIZER),), 0, engine)
    [group] = collect(work, Local(), None, tick=lambda done: None).groups.values()
    arrays = group.versions[0].arrays
    return Evidence(arrays["losses"].astype(float), member, signal=arrays["signals"].astype(float), label=data.y)


Measure = Callable[[Evidence], dict[str, Estimate | Unmeasured]]


def loss_of_one(table: Evidence) -> dict[str, Estimate | Unmeasured]:
    """Return what the loss attack makes of the first model: an as-is audit."""
    return _judged(table.rows(slice(0, 1)), LossThreshold().score(table.rows(slice(0, 1))))


def lira(table: Evidence) -> dict[str, Estimate | Unmeasured]:
    """Return what LiRA makes of all models: a shadow audit."""
    return _judged(table, LiRA().score(table))


def twins(table: Evidence) -> dict[str, Estimate | Unmeasured]:
    """Return the exposure between the twins of the first four models: an audit of replicates."""
    return {"exposure": PairedReplicates().exposure(table.rows(slice(0, 4)), LEVEL)}


def _judged(table: Evidence, scores: np.ndarray) -> dict[str, Estimate | Unmeasured]:
    found = evaluate(scores, table.member, LEVEL, false_positive_rates=(0.1,))
    return {"AUC": found.auc, "advantage": found.advantage, "found at 10 % false alarms": found.tpr[0.1]}


MEASURES: dict[str, Measure] = {
    "loss attack, one model": loss_of_one,
    f"LiRA, {MODELS} models": lira,
    "twins, 4 models": twins,
}


def judged(table: Evidence, measure: Measure, columns: int, draws: int) -> dict[str, tuple[float, float]]:
    """Return, by number, how often the interval of a random subset holds the whole's value, and its mean half-width."""
    truth, drawn = measure(table), seeds.generator(0, "subsets", columns)
    found = [measure(table.columns(drawn.choice(table.samples, columns, replace=False))) for _ in range(draws)]
    known = {name: each.value for name, each in truth.items() if isinstance(each, Estimate)}
    return {
        name: (
            float(np.mean([each.low <= value <= each.high for each in ends])),
            float(np.mean([(each.high - each.low) / 2 for each in ends])),
        )
        for name, value in known.items()
        if (ends := [each[name] for each in found if isinstance(each[name], Estimate)])
    }


def covered() -> str:
    """Return what the experiment found, in Markdown."""
    table, draws, sizes = whole(SAMPLES), DRAWS, SUBSETS
    rows: list[list[object]] = []
    for name, measure in MEASURES.items():
        truth = measure(table)
        by_size = [judged(table, measure, columns, draws) for columns in sizes]
        for number, value in truth.items():
            cells = [f"{100 * each[number][0]:.1f} %, ± {each[number][1]:.3f}" for each in by_size]
            rows.append([name, number, f"{value.value:.3f}" if isinstance(value, Estimate) else "", *cells])
    header = ["attack", "number", f"all {table.samples:,} columns", *(f"{columns:,} columns" for columns in sizes)]
    return f"""`python benchmarks/subsets.py`. May an audit look at some of the samples?
{MODELS} models 64-{WIDTH}-10 on a Gaussian mixture of {table.samples:,} samples with a fifth of the labels wrong,
{EPOCHS} epochs, after `{QUANTIZER}`. {draws} random subsets of each size, attacked as an audit of that subset would:
how often the {100 * LEVEL:.0f} % interval holds the value of the whole table, and its mean half-width. With
{draws} subsets a coverage of 95 % is known to ± {100 * 1.96 * (0.95 * 0.05 / draws) ** 0.5:.0f} points. Intervals over
several models also count that other models might have been trained, so that they may hold this table's own value more
often than they say.

{markdown(header, rows)}"""


if __name__ == "__main__":
    write_section("subsets", covered(), packages=("torch", "numpy", "scipy"))
