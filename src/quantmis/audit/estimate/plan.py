"""What an audit will take, before it is spent: trainings, time, memory and disk, measured on its own first group."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from quantmis.audit.estimate.attack_timing import attack_seconds
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.work import Work
from quantmis.audit.memory import MemoryNeed
from quantmis.audit.settings import Settings
from quantmis.models import Recipe
from quantmis.models.engine import model_memory

FEW = 16
BYTES = 4
STARTS = 5.0
"""Seconds until the processes of an engine with several have begun."""

ARRAYS = 4
"""Loss, signal, worth and entropy: what is kept of each model at each sample."""


@dataclass(frozen=True)
class Plan:
    """Hold what an audit will take: `seconds` for training and quantizing, `attack` for attacks and controls.

    `memory` is that of the tables, `group` that of the models that train at once; these, `disk` and `weights`, the part
    of it that is weights, in bytes. `is_built_in`: whether the recipe counts steps, and is no function of the user's.
    `need`: what a language model takes, which says more than `group`.
    """

    models: int
    steps: int
    quantizers: int
    engine: str
    seconds: float
    memory: int
    disk: int
    attack: float | None = None
    group: int = 0
    weights: int = 0
    is_built_in: bool = True
    need: MemoryNeed | None = None

    def table(self) -> Table:
        """Return the plan as a table for people."""
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in (
            ("models to train", f"{self.models}, {self._how()}"),
            ("quantized models", f"{max(self.models, 1) * self.quantizers}"),
            ("engine", self.engine),
            ("time", self._time()),
            ("memory", f"about {_mib(self.memory)} for the tables{self._training()}, beside the framework"),
            ("disk", f"about {_mib(self.disk)}{self._kept()}"),
        ):
            table.add_row(name, value)
        return table

    def _how(self) -> str:
        return f"{self.steps:,} steps each" if self.is_built_in else "by a function of your own"

    def _time(self) -> str:
        if self.attack is None:
            return f"about {_duration(self.seconds)} for the tables, attacks on top"
        whole = _duration(self.seconds + self.attack)
        return f"about {whole}: {_duration(self.seconds)} to train and quantize, {_duration(self.attack)} to attack"

    def _kept(self) -> str:
        return f", of which {_mib(self.weights)} are weights (keep_weights)" if self.weights else ""

    def _training(self) -> str:
        if self.need is not None:
            return f", {self.need}"
        return f" and {_mib(self.group)} for the models that train at once" if self.group else ""


def as_is(quantizers: int, samples: int, target: Callable[[], object], need: MemoryNeed | None = None) -> Plan:
    """Return the plan of an audit that trains nothing; `target` computes its tables, which is nearly all the work."""
    start = time.perf_counter()
    target()
    cells = samples * quantizers * ARRAYS * BYTES
    seconds = time.perf_counter() - start
    return Plan(0, 0, quantizers, "nothing is trained", seconds, 2 * cells, 2 * cells, need=need)


def measure(work: Work, settings: Settings, target_versions: int = 0, need: MemoryNeed | None = None) -> Plan:
    """Train the first group for a few steps, time the last of them, attack tables of the audit's shape, extrapolate.

    `target_versions`: how many versions of a target are attacked too.
    """
    rows = work.groups()[0]
    times = [time.perf_counter()]
    group = compute(_shortened(work), work.job(rows), tick=lambda done: times.append(time.perf_counter()))
    whole = time.perf_counter() - times[0]
    steps = np.diff(times)
    step = float(np.median(steps[1:])) if len(steps) > 1 else whole
    kept = 0 if group.weights is None else group.weights.size * len(work.groups())
    engine, tables = work.engine, work.member.size * len(work.quantizers) * ARRAYS * BYTES
    seconds = (whole + step * (work.steps - len(steps))) * len(work.groups()) / engine.workers
    return Plan(
        models=len(work.member),
        steps=work.steps,
        quantizers=len(work.quantizers),
        engine=engine.describe(),
        seconds=seconds + (STARTS if engine.workers > 1 else 0),
        memory=2 * tables,
        disk=2 * tables + kept,
        weights=kept,
        attack=attack_seconds(work, group, settings.analysis, len(settings.quantizers), target_versions),
        is_built_in=isinstance(work.task.recipe, Recipe),
        group=0 if need else len(rows) * engine.workers * model_memory(work.task, work.samples),
        need=need,
    )


def _shortened(work: Work) -> Work:
    task = work.task
    if not isinstance(task.recipe, Recipe):
        return work
    recipe = replace(task.recipe, max_steps=min(FEW, work.steps))
    return replace(work, task=task.with_recipe(recipe), checkpoints=())


def _mib(number: int) -> str:
    return f"{number / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
