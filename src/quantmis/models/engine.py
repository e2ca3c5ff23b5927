"""Choose how to train: measure a step by each engine kind on the task itself and take the cheapest.

Small dense models train many times faster stacked; small convolutional networks on a CPU are often fastest one by
one, a process per core. Nobody should have to know which: the first seconds of an audit find out, and the result says
what was chosen and what was measured. What is measured is processor time, which other programs do not take part in, so
that the choice does not depend on what else the machine does.
"""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.models import ensemble, trial
from quantmis.models.calling import call, users_errors
from quantmis.models.per_sample import CHUNK
from quantmis.models.recipe import Recipe
from quantmis.models.streams import restoring
from quantmis.models.task import Task, inputs
from quantmis.models.training import Training, train

MEMORY = 2**30
"""Bytes that one group of models may use while it trains, where nothing is said."""

LARGEST_GROUP = 64
"""Models of one group: more hardly train faster, and a killed audit loses at most one group."""

HEAVY = 5e11
"""Operations of linear layers, in all trainings together, from which a process per core is worth its start."""

PAIR = 2
"""Models of a group that are trained one by one."""

SHARING = 4
"""Models of a group that learn adapters of one base, which is in memory once."""

TRIED = 32
STEPS = 8
MOST_STEPS = 512
COARSE = 0.1
"""Seconds that steps must take together to be timed: some clocks of processor time go in steps of 15.6 ms."""

KINDS = ("stacked", "im2col", "loop")
ENGINES = ("auto", *KINDS)
NEAR = 0.9
"""Engine kinds that take nearly as long as each other are a tie, which goes to the first of them in the order of
`ENGINES`: one must take less than this fraction of another's time to be preferred. So a near tie is no coin toss."""

START = 4.0
"""Seconds until the processes that train have begun: each imports torch."""


@dataclass(frozen=True)
class Engine:
    """Say how models are trained: which `kind`, how many in one `group`, in how many processes (`workers`).

    Each worker has `threads`; their number belongs to the result, because it decides how sums are rounded. `seconds`:
    what one step of one model takes, by engine kind, with its share of the start of processes. `reasons`: why an engine
    kind could not be used.
    """

    kind: str
    group: int
    workers: int
    threads: int
    seconds: dict[str, float]
    reasons: dict[str, str]

    def describe(self) -> str:
        """Say in one line what was chosen and why."""
        times = [f"{kind} {seconds * 1e6:.0f} us" for kind, seconds in self.seconds.items()]
        refused = [f"{kind} impossible ({reason})" for kind, reason in self.reasons.items()]
        measured = "; ".join([*times, *refused])
        return f"{self.kind}, groups of {self.group}, {self.workers} workers ({measured})"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_engine(task: Task, samples: Samples, models: int, kind: str = "auto", memory: int | None = None) -> Engine:
    """Return the fastest engine for `models` trainings of `task`; `kind` overrides the choice.

    `memory`: bytes that the models of one group may use while they train, by default `MEMORY`. Raises `UserError` for
    an unknown engine kind, and for one that cannot train this model.
    """
    require(kind in ENGINES, f"unknown engine {kind!r}", hint=f"known: {', '.join(ENGINES)}")
    recipe = task.recipe
    if not isinstance(recipe, Recipe):
        require(kind in ("auto", "loop"), f"engine {kind!r}: a recipe that is a function trains models one by one")
        return engine_of("loop", task, samples, models, {}, {"stacked": "the recipe is a function of your own"}, memory)
    if task.shares_base and kind == "auto":
        return engine_of("loop", task, samples, models, {}, {"stacked": "the models share a base"}, memory)
    probe = _probe(task, samples, models)
    reasons = {each: why for each in _together(task) if (why := _why_not(probe, recipe, each)) is not None}
    require(kind not in reasons, f"engine {kind!r} cannot train this model: {reasons.get(kind)}", hint="engine='auto'")
    possible = [each for each in (*_together(task), "loop") if each not in reasons]
    steps = task.steps(len(samples) // 2) * models
    apart = is_heavy(task, samples, models)
    timed = possible if kind == "auto" and len(possible) > 1 else []
    seconds = {each: _seconds(probe, recipe, each, apart or each == "loop", steps) for each in timed}
    return engine_of(
        _fastest(seconds, possible) if kind == "auto" else kind, task, samples, models, seconds, reasons, memory
    )


def engine_of(
    kind: str,
    task: Task,
    samples: Samples,
    models: int,
    seconds: dict[str, float],
    reasons: dict[str, str],
    memory: int | None,
) -> Engine:
    """Return the engine of a kind that is known to train this model: how many models at once, in how many processes."""
    one = task.place.type != "cpu"
    if kind == "loop" and task.shares_base:
        return Engine(kind, min(SHARING, models), 1, cores(), seconds, reasons)
    if kind == "loop":
        workers = 1 if one else min(cores(), models // 2)
        return Engine(kind, PAIR, workers, max(1, cores() // workers), seconds, reasons)
    workers = cores() if not one and is_heavy(task, samples, models) else 1
    budget = (MEMORY if memory is None else memory) // workers
    group = min(LARGEST_GROUP, budget // model_memory(task, samples), -(-models // workers))
    return Engine(kind, max(2, group // 2 * 2), workers, cores() // workers, seconds, reasons)


def is_heavy(task: Task, samples: Samples, models: int) -> bool:
    """Whether stacks of models are better trained in a process per core: where that outweighs its start.

    It depends on what is trained alone, as the number of threads does that belongs to the result.
    """
    weights = sum(parameter.numel() for parameter in task.build(0).parameters())
    operations = 6 * weights * _batch(task) * task.steps(len(samples) // 2) * models
    return cores() > 1 and models >= 4 * cores() and operations > HEAVY


def _together(task: Task) -> tuple[str, ...]:
    convolutional = any(isinstance(part, nn.Conv2d) for part in task.build(0).modules())
    return (ensemble.STACKED, ensemble.IM2COL) if convolutional else (ensemble.STACKED,)


def _probe(task: Task, samples: Samples, models: int) -> Training:
    few = samples.take(np.arange(min(len(samples) // 2, max(_batch(task), 20)) * 2))
    tried = min(TRIED, models)
    member = np.tile(np.arange(len(few)) % 2 == np.arange(2)[:, None], (tried // 2, 1))
    return Training(task, few, member, range(tried), seed=0)


def _batch(task: Task) -> int:
    return task.recipe.batch_size if isinstance(task.recipe, Recipe) else 20


def _why_not(probe: Training, recipe: Recipe, kind: str) -> str | None:
    x, y = probe.tensors()
    two = _first(probe, PAIR)
    return trial.why_not(
        two.task,
        lambda: [module.to(two.task.place).train() for module in two.modules()],
        x,
        y,
        next(two.batches(recipe)),
        kind,
    )


def _first(probe: Training, models: int) -> Training:
    return replace(probe, indices=probe.indices[:models], member=probe.member[:models])


def _seconds(probe: Training, recipe: Recipe, kind: str, apart: bool, steps: int) -> float:
    """Return what a step of one model takes, by the processor time of one thread.

    Models that train one by one, or in stacks `apart`, do so in a process per core, whose start all `steps` share: it
    is divided by the cores. What the threads of one process take together depends on what else the machine does, and
    is left out of account.
    """
    if probe.task.place.type != "cpu":
        return _step(probe, recipe, kind, time.perf_counter, cores())
    alone = _step(_first(probe, PAIR) if kind == "loop" else probe, recipe, kind, time.process_time, 1)
    return alone / cores() + START / steps if apart and cores() > 1 else alone


def _step(probe: Training, recipe: Recipe, kind: str, clock: Callable[[], float], threads: int) -> float:
    """Return what a step of one model takes: the mean of a few, the first aside, and of more where they are short.

    A clock of processor time may stand still between two readings: for 15.6 ms on Windows, and for a tick of the
    kernel wherever an interval timer counts the same time.
    """
    steps = STEPS
    while (spent := _spent(probe, recipe, kind, steps, clock, threads)) < COARSE and steps < MOST_STEPS:
        steps *= 4
    return spent / (steps - 1) / len(probe.indices)


def _spent(probe: Training, recipe: Recipe, kind: str, steps: int, clock: Callable[[], float], threads: int) -> float:
    """Return what all steps but the first take together."""
    times = list[float]()
    dp = None if recipe.dp is None else replace(recipe.dp, epsilon=None, noise_multiplier=1.0)  # as long as any other
    task = probe.task.with_recipe(replace(recipe, epochs=steps, max_steps=steps, dp=dp))
    with _threads(threads):
        train(replace(probe, task=task, kind=kind), tick=lambda done: times.append(clock()))
    return times[-1] - times[0]


def _fastest(seconds: dict[str, float], possible: list[str]) -> str:
    best = possible[0]
    for kind, each in seconds.items():
        best = kind if each < NEAR * seconds[best] else best
    return best


@contextmanager
def _threads(number: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def model_memory(task: Task, samples: Samples) -> int:
    """Return about how many bytes a model uses while it trains."""
    module = task.build(0).train()
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    batch = inputs(samples)[: _batch(task)]
    private = isinstance(task.recipe, Recipe) and task.recipe.dp is not None
    # weights, gradients and two moments of Adam; activations are kept for the backward pass and doubled by it; of
    # private gradients those of a few samples and what clips them
    return max(1, (4 + 2 * CHUNK * private) * weights + 3 * (_activations(module, batch) + batch.nbytes))


def _activations(module: nn.Module, batch: torch.Tensor) -> int:
    sizes: list[int] = []

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        sizes.append(output.nbytes if isinstance(output, torch.Tensor) else 0)

    hooks = [part.register_forward_hook(count) for part in module.modules()]
    try:
        with users_errors("the model cannot take a batch of its inputs"), torch.no_grad(), restoring():
            call(module, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes)
