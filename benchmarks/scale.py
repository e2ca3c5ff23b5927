"""What an audit costs against its size, models M, samples N, quantizers Q, weights P, and what a huge one would cost.

    python benchmarks/scale.py [--fast] [--points FILE]

Every point is measured in a process that did nothing before: the processor time of one thread, and the most memory that
it held beyond what it held with everything imported. Power laws are fitted by least squares of the logarithms.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from _results import FIGURES, markdown, peak, write_section
from problems import mixture, mlp
from scale_laws import Law, figure
from scale_plans import SAMPLES, SHADOWS, WEIGHTS, plans

from quantmis import seeds
from quantmis.attacks import RMIA, LiRA
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.work import Work
from quantmis.data import complementary_halves
from quantmis.evidence import Evidence
from quantmis.models import Recipe, Task
from quantmis.models.engine import choose_engine
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.stats import evaluate

FEATURES, CLASSES, GROUP, EPOCHS, BATCH = 64, 10, 16, 2, 32
FIGURE = FIGURES / "scale.svg"
AT_ONCE = 3


@dataclass(frozen=True)
class Size:
    """Hold the size of an audit; `width`: of two hidden layers."""

    models: int = 32
    samples: int = 512
    quantizers: int = 4
    width: int = 64

    @property
    def weights(self) -> int:
        """The parameters of one model."""
        return sum((a + 1) * b for a, b in ((FEATURES, self.width), (self.width, self.width), (self.width, CLASSES)))


AXES: dict[str, tuple[int, ...]] = {
    "models": (16, 32, 64, 128, 256),
    "samples": (256, 512, 1024, 2048, 4096),
    "quantizers": (1, 2, 4, 8, 16),
    "width": (32, 64, 128, 256, 512),
}
LETTERS = {"models": "M", "samples": "N", "quantizers": "Q", "width": "P"}
TABLE = Size(models=64, samples=8192)
LARGER: dict[str, tuple[int, ...]] = {"models": (16, 32, 64, 128, 256), "samples": (2048, 4096, 8192, 16384, 32768)}


@dataclass(frozen=True)
class Cost:
    """Hold what a piece of work took: processor seconds, and MiB beyond those held before it."""

    seconds: float
    memory: float


def chosen(count: int) -> tuple[Quantizer, ...]:
    """Return so many codebooks."""
    names = ["identity", *(f"uniform(bits={bits})" for bits in range(2, 9)), "sign"]
    names += [f'uniform(bits={bits}, per="channel")' for bits in range(2, 9)]
    return tuple(QUANTIZERS.parse(name) for name in names[:count])


def filled(size: Size, trained: bool) -> Cost:
    """Train models and fill their tables; or, not `trained`, take one step, so that filling is nearly all the work."""
    torch.set_num_threads(1)
    recipe = Recipe(epochs=EPOCHS, batch_size=BATCH, max_steps=None if trained else 1)
    task = Task(partial(mlp, FEATURES, size.width, size.width, CLASSES), recipe=recipe)
    samples = mixture(size.samples, FEATURES, CLASSES, apart=3.0)
    member = complementary_halves(size.models, size.samples, seeds.generator(0, "membership"))
    engine = replace(choose_engine(task, samples, size.models, "stacked"), group=GROUP, threads=1, workers=1)
    work = Work(task, samples, member, chosen(size.quantizers), 0, engine)
    return spent(lambda: collect(work, Local(), None, tick=lambda done: None))


def scored(size: Size, how: str) -> Cost:
    """Score a table by an attack, or measure what scores are worth, with intervals."""
    draw = np.random.default_rng(0)
    member = complementary_halves(size.models, size.samples, draw)
    losses = 2 * draw.normal(size=size.samples) ** 2 + draw.normal(size=member.shape) ** 2 - 0.3 * member
    table = Evidence(losses, member)
    ways: dict[str, Callable[[], object]] = {
        "LiRA": lambda: LiRA().score(table),
        "RMIA": lambda: RMIA().score(table),
        "metrics with intervals": lambda: evaluate(-losses, member),
    }
    return spent(ways[how])


def spent(work: Callable[[], object]) -> Cost:
    """Return what a piece of work takes: the memory of the first time, the lesser time of two."""
    before, times = peak(), [time.process_time()]
    work()
    memory = peak() - before
    times.append(time.process_time())
    work()
    times.append(time.process_time())
    return Cost(float(np.diff(times).min()), memory)


STAGES: dict[str, tuple[Callable[[Size], Cost], Size, dict[str, tuple[int, ...]]]] = {
    "training": (
        partial(filled, trained=True),
        Size(quantizers=1),
        {name: AXES[name] for name in ("models", "samples", "width")},
    ),
    "quantizing and filling": (partial(filled, trained=False), Size(), AXES),
    "LiRA": (partial(scored, how="LiRA"), TABLE, LARGER),
    "RMIA": (partial(scored, how="RMIA"), TABLE, LARGER),
    "metrics with intervals": (partial(scored, how="metrics with intervals"), TABLE, LARGER),
}


def abscissa(axis: str, size: Size) -> int:
    """Return the size that a law is fitted against: weights where the width varies."""
    return size.weights if axis == "width" else getattr(size, axis)


Points = dict[tuple[str, str], list[tuple[Size, Cost]]]


def measure(fast: bool, kept: Path | None) -> Points:
    """Return the cost at every point of every axis of every stage, each in a process that did nothing but import.

    Points that the file `kept` holds are not measured again; the others are added to it.
    """
    asked = [
        (stage, axis, value)
        for stage, (_, _, axes) in STAGES.items()
        for axis, values in axes.items()
        for value in (values[:3] if fast else values)
    ]
    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    known = {(stage, axis, value): Cost(seconds, memory) for stage, axis, value, seconds, memory in lines}
    missing = [each for each in asked if each not in known]
    with get_context("fork").Pool(AT_ONCE, maxtasksperchild=1) as pool:
        for (stage, axis, value), cost in zip(missing, pool.imap(_measured, missing, chunksize=1), strict=True):
            known[stage, axis, value] = cost
            line = json.dumps([stage, axis, value, cost.seconds, cost.memory])
            print(line, flush=True)
            if kept:
                with kept.open("a") as file:
                    file.write(line + "\n")
    found: Points = {}
    for stage, axis, value in asked:
        found.setdefault((stage, axis), []).append((_size(stage, axis, value), known[stage, axis, value]))
    return found


def _size(stage: str, axis: str, value: int) -> Size:
    return replace(STAGES[stage][1], **{axis: value})


def _measured(asked: tuple[str, str, int]) -> Cost:
    return STAGES[asked[0]][0](_size(*asked))


def laws(points: Points) -> dict[tuple[str, str], Law]:
    """Return the law of every stage and axis."""
    return {
        (stage, axis): Law.fitted(
            np.array([abscissa(axis, size) for size, _ in each]), np.array([cost.seconds for _, cost in each])
        )
        for (stage, axis), each in points.items()
    }


def exponents(points: Points, found: dict[tuple[str, str], Law]) -> str:
    """Return the table of exponents and of the memory at the smallest and the largest size."""
    rows: list[list[object]] = []
    for (stage, axis), law in found.items():
        (_, low), (_, high) = points[stage, axis][0], points[stage, axis][-1]
        span = f"{law.sizes[0]:,} to {law.sizes[-1]:,}"
        memory = f"{low.memory:.0f} to {high.memory:.0f}"
        rows.append([stage, LETTERS[axis], span, f"{low.seconds:.2f} to {high.seconds:.2f}", str(law), memory])
    return markdown(["stage", "against", "from, to", "seconds", "exponent", "MiB"], rows)


def rate(points: Points) -> tuple[float, Size]:
    """Return the floating-point operations per second of training the widest model, 6 a weight and sample."""
    size, cost = points["training", "width"][-1]
    return 6 * size.weights * size.models * size.samples / 2 * EPOCHS / cost.seconds, size


def per_cell(points: Points, stage: str) -> float:
    """Return the seconds per entry of the largest table that a stage read."""
    size, cost = points[stage, "samples"][-1]
    return cost.seconds / (size.models * size.samples)


def extrapolated(found: dict[tuple[str, str], Law], points: Points) -> tuple[float, float, float]:
    """Return the core hours that the fitted laws give for one pass of the huge audit's trainings, and their interval.

    Logarithms of the laws add up from the largest measured point of each axis; so do the errors of the exponents.
    """
    size, cost = points["training", "models"][-1]
    wanted = {"models": SHADOWS, "samples": SAMPLES, "width": WEIGHTS}
    value, reach = float(np.log(cost.seconds / EPOCHS / 3600)), 0.0
    for axis, target in wanted.items():
        law, far = found["training", axis], float(np.log(target / abscissa(axis, size)))
        value += law.exponent * far
        reach += (law.reach * far) ** 2
    return float(np.exp(value)), float(np.exp(value - reach**0.5)), float(np.exp(value + reach**0.5))


def memory(points: Points) -> str:
    """Say what memory grows with, and by how much an entry of a table."""
    few, many = points["training", "models"][0], points["training", "models"][-1]
    per = {}
    for stage in ("LiRA", "RMIA", "metrics with intervals"):
        size, cost = points[stage, "samples"][-1]
        per[stage] = f"{cost.memory * 2**20 / (size.models * size.samples):.0f} bytes ({stage})"
    return f"""Memory: {many[0].models // few[0].models} times the models take {many[1].memory:.0f} MiB in training
instead of {few[1].memory:.0f}: it is bounded by the group and grows with P. An entry of a scored
table takes {", ".join(per.values())}."""


def report(points: Points) -> str:
    """Return the section of RESULTS.md."""
    found = laws(points)
    figure(found, FIGURE)
    speed, widest = rate(points)
    scoring = per_cell(points, "LiRA") + per_cell(points, "metrics with intervals")
    base = Size()
    return f"""`python benchmarks/scale.py`. Each point in a process of its own: processor seconds of one thread, the
lesser of two, and MiB that the process held at most beyond those before the work. MLPs {FEATURES}-w-w-{CLASSES} on a
Gaussian
mixture, trained stacked in groups of {GROUP}; where an axis does not vary: {base.models} models, {base.samples:,}
samples, {EPOCHS} epochs, w = {base.width} ({base.weights:,} weights), {base.quantizers} quantizers (1 where training is
measured); tables that are scored: {TABLE.models} models x {TABLE.samples:,} samples. Exponents with Student's 95 %
intervals; an exponent below 1 says that costs which do not grow (of a step, of a model) are still part of these sizes.

{exponents(points, found)}

{memory(points)}

![Processor seconds against models, samples, quantizers and weights, with fitted power laws](figures/scale.svg)

{plans(speed, widest.weights, scoring, extrapolated(found, points))}
"""


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="a part of the work, to see that it runs; writes nothing")
    parser.add_argument("--points", type=Path, help="a file of points that were measured, and where new ones go")
    options = parser.parse_args()
    body = report(measure(options.fast, options.points))
    if options.fast:
        print(body)
    else:
        write_section("scale", body, packages=("torch", "numpy", "scipy"))


if __name__ == "__main__":
    main()
