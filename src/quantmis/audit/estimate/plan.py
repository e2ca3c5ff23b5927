"""What an audit will take, before it is spent: trainings, time, memory and disk, measured on its own first group."""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from rich.table import Table

from quantmis.audit.estimate.attack_timing import AttackedTarget, attack_seconds, seconds_as_is
from quantmis.audit.execution.afterwards import seconds_of_report
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.planning import plan
from quantmis.audit.execution.progress import SILENT, Stages
from quantmis.audit.execution.work import Work
from quantmis.audit.memory import MemoryNeed, need_of
from quantmis.audit.request import AuditRequest
from quantmis.audit.run import checked
from quantmis.audit.settings import Settings
from quantmis.audit.target.confounding import blind, forget_blind
from quantmis.audit.target.versions import references_of, tables_of
from quantmis.models import Recipe
from quantmis.models.engine import model_memory
from quantmis.tables import LossTable

FEW, PAIR = 16, 2
BYTES = 4
STARTS = 5.0
"""Seconds until the processes of an engine with several have begun."""

ARRAYS = 4
"""Loss, signal, worth and entropy: what is kept of each model at each sample."""


@dataclass(frozen=True)
class Plan:
    """Hold what an audit will take: `seconds` for training and quantizing, `attack` for attacks and controls.

    `prepare`: for what is tried before, the blind baseline included; `report`: for writing the results.

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
    attack: float
    group: int = 0
    weights: int = 0
    is_built_in: bool = True
    prepare: float = 0.0
    report: float = 0.0
    need: MemoryNeed | None = None

    @property
    def whole(self) -> float:
        """Seconds from the start to the written report."""
        return self.prepare + self.seconds + self.attack + self.report

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
        doing = "train and quantize" if self.models else "quantize and compute"
        parts = {"prepare": self.prepare, doing: self.seconds, "attack": self.attack, "write the report": self.report}
        spoken = ", ".join(f"{_duration(each)} to {name}" for name, each in parts.items())
        return f"about {_duration(self.whole)}: {spoken}"

    def _kept(self) -> str:
        return f", of which {_mib(self.weights)} are weights (keep_weights)" if self.weights else ""

    def _training(self) -> str:
        if self.need is not None:
            return f", {self.need}"
        return f" and {_mib(self.group)} for the models that train at once" if self.group else ""


def planned(request: AuditRequest, stages: Stages = SILENT) -> Plan:
    """Return what an audit will take; everything that it tries before it trains is tried, and timed."""
    need = need_of(request)
    timed = _timed(request, stages)
    return timed if need is None else replace(timed, need=need, group=0)


def _timed(request: AuditRequest, stages: Stages) -> Plan:
    clock = _Clock()
    request, member = checked(request, stages)
    prepare = clock.lap()
    tables = tables_of(request, member, stages)
    computed = clock.lap()
    for fit in (blind, forget_blind) if tables else ():
        fit(request, stages=stages)
    fitted = clock.lap()
    if not request.settings.models:
        return _as_is(request, tables, Lasting(prepare, computed, fitted))
    tick = stages.stage("try the first models", 1)
    work = plan(request, member, None)
    target = AttackedTarget(tables, partial(references_of, request)) if tables else None
    measured = measure(work, request.settings, target, Lasting(prepare + clock.lap(), computed, fitted))
    tick(1)
    return measured


class Lasting(NamedTuple):
    """Hold what was timed in full: what is tried at first, the tables of a target, and its blind baselines."""

    prepare: float = 0.0
    tables: float = 0.0
    blind: float = 0.0


class _Clock:
    """Tell how long it is since it was asked last."""

    def __init__(self):
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since then."""
        before, self._last = self._last, time.perf_counter()
        return self._last - before


def _as_is(request: AuditRequest, tables: list[LossTable], timed: Lasting) -> Plan:
    """Return the plan of an audit that trains nothing; two of its `tables` are attacked."""
    cells = len(request.samples) * len(tables) * ARRAYS * BYTES
    return Plan(
        models=0,
        steps=0,
        quantizers=len(tables),
        engine="nothing is trained",
        seconds=timed.tables,
        memory=2 * cells,
        disk=2 * cells,
        attack=timed.blind + seconds_as_is(tables, references_of(request, []), request.settings.analysis),
        prepare=timed.prepare,
        report=seconds_of_report(len(tables)),
    )


def measure(work: Work, settings: Settings, target: AttackedTarget | None = None, timed: Lasting | None = None) -> Plan:
    """Train the first group for a few steps, time the last of them, attack tables of the audit's shape, extrapolate.

    `target`: what is attacked too; `timed`: what was timed already.
    """
    timed = timed or Lasting()
    rows = work.groups()[0]
    first = _warmed_up(work, rows)
    times = [time.perf_counter()]
    group = compute(_shortened(work), work.job(rows), tick=lambda done: times.append(time.perf_counter()))
    whole = time.perf_counter() - times[0]
    steps = np.diff(times)
    step = float(np.median(steps[1:])) if len(steps) > 1 else whole
    once = max(0.0, first - whole * min(1.0, PAIR / len(rows)))
    kept = 0 if group.weights is None else group.weights.size * len(work.groups())
    engine, tables = work.engine, work.member.size * len(work.quantizers) * ARRAYS * BYTES
    seconds = (whole + step * (work.steps - len(steps))) * len(work.groups()) / engine.workers + once
    return Plan(
        models=len(work.member),
        steps=work.steps,
        quantizers=len(work.quantizers),
        engine=engine.describe(),
        seconds=seconds + timed.tables + (STARTS if engine.workers > 1 else 0),
        prepare=timed.prepare,
        report=seconds_of_report(len(settings.quantizers) + (0 if target is None else len(target.tables))),
        memory=2 * tables,
        disk=2 * tables + kept,
        weights=kept,
        attack=timed.blind + attack_seconds(work, group, settings.analysis, len(settings.quantizers), target),
        is_built_in=isinstance(work.task.recipe, Recipe),
        group=len(rows) * engine.workers * model_memory(work.task, work.samples),
    )


def _warmed_up(work: Work, rows: range) -> float:
    """Return how long a step of two models and their quantizing take at first: what is loaded then is loaded once."""
    if not isinstance(work.task.recipe, Recipe):
        return 0.0
    clock = _Clock()
    compute(_shortened(work, 1), work.job(rows[:PAIR]), tick=lambda done: None)
    return clock.lap()


def _shortened(work: Work, steps: int = FEW) -> Work:
    task = work.task
    if not isinstance(task.recipe, Recipe):
        return work
    recipe = replace(task.recipe, max_steps=min(steps, work.steps))
    return replace(work, task=task.with_recipe(recipe), checkpoints=())


def _mib(number: int) -> str:
    return f"{number / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
