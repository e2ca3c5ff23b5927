"""What an audit will take, before it is spent: trainings, time, memory and disk, measured on its own first group."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from quantmis.audit.work import Work, compute
from quantmis.models import Recipe, Task

FEW = 16
BYTES = 4
ARRAYS = 4
"""Loss, signal, worth and entropy: what is kept of each model at each sample."""


@dataclass(frozen=True)
class Plan:
    """Hold what an audit will take: `seconds` for training and quantizing, `memory` and `disk` in bytes.

    The attacks come on top; they take a fraction of the training as a rule.
    """

    models: int
    steps: int
    quantizers: int
    engine: str
    seconds: float
    memory: int
    disk: int

    def table(self) -> Table:
        """Return the plan as a table for people."""
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in (
            ("models to train", f"{self.models}, {self.steps} steps each"),
            ("quantized models", f"{max(self.models, 1) * self.quantizers}"),
            ("engine", self.engine),
            ("time", f"about {_duration(self.seconds)} for training and quantizing, attacks on top"),
            ("memory", f"about {self.memory / 2**20:.0f} MiB for the tables, beside the framework"),
            ("disk", f"about {self.disk / 2**20:.0f} MiB"),
        ):
            table.add_row(name, value)
        return table


def as_is(quantizers: int, samples: int, target: Callable[[], object]) -> Plan:
    """Return the plan of an audit that trains nothing; `target` computes its tables, which is nearly all the work."""
    start = time.perf_counter()
    target()
    cells = samples * quantizers * ARRAYS * BYTES
    return Plan(0, 0, quantizers, "nothing is trained", time.perf_counter() - start, 2 * cells, 2 * cells)


def measure(work: Work) -> Plan:
    """Train the first group for a few steps, time the last of them, and extrapolate."""
    rows = work.groups()[0]
    times = [time.perf_counter()]
    compute(_shortened(work), rows, tick=lambda done: times.append(time.perf_counter()))
    whole = time.perf_counter() - times[0]
    steps = np.diff(times)
    step = float(np.median(steps[1:])) if len(steps) > 1 else whole
    cells = work.member.size * len(work.quantizers) * ARRAYS * BYTES
    return Plan(
        models=len(work.member),
        steps=work.steps,
        quantizers=len(work.quantizers),
        engine=work.engine.describe(),
        seconds=(whole + step * (work.steps - len(steps))) * len(work.groups()) / work.engine.workers,
        memory=2 * cells,
        disk=2 * cells,
    )


def _shortened(work: Work) -> Work:
    task = work.task
    if not isinstance(task.recipe, Recipe):
        return work
    recipe = replace(task.recipe, max_steps=min(FEW, work.steps))
    return replace(work, task=Task(task.model, task.loss, recipe, task.name), checkpoints=())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
