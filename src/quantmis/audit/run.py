"""One audit from start to end: check, train, quantize, attack, write."""

import hashlib
import platform
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from quantmis import seeds
from quantmis.attacks import Attack
from quantmis.audit import comparison, controls, findings
from quantmis.audit.analysis import Scored, describe, score
from quantmis.audit.collect import Collected, collect, write_weights
from quantmis.audit.executors import executor
from quantmis.audit.progress import Stages, shown
from quantmis.audit.result import DOCUMENT, PAGE, AuditResult
from quantmis.audit.settings import (
    Settings,
    attacks_of,
    check,
    check_attacks,
    check_folder,
    check_quantizers,
    quantizers_of,
)
from quantmis.audit.store import Store, locked
from quantmis.audit.tables import Table, assemble
from quantmis.audit.work import Work
from quantmis.data import Samples, complementary_halves
from quantmis.data.canaries import with_canaries
from quantmis.data.membership import hold_out
from quantmis.errors import UserError
from quantmis.models import Recipe, Task
from quantmis.models.engine import Engine, choose_engine, cores
from quantmis.models.training import device
from quantmis.quantizers import Quantizer
from quantmis.results import Config, Control, Data, Environment, QuantizerResult, Reproduce, Results

STORE = "store"
PACKAGES = ("quantmis", "torch", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Assignment:
    """Hold what was asked for: the task and its samples, how to audit them, the folder and the command line, if any."""

    task: Task
    samples: Samples
    settings: Settings
    out: Path | None
    command: str


def request(
    task: Task,
    samples: Samples,
    *,
    quantizers: Sequence[str | Quantizer] | None,
    attacks: Sequence[str | Attack] | None,
    shadows: int,
    replicates: int | None,
    out: Path | None = None,
    command: str = "",
    **options: Any,
) -> Assignment:
    """Return what the arguments of `quantmis.audit` ask for; `UserError` for what cannot be."""
    settings = Settings(
        quantizers=quantizers_of(quantizers),
        attacks=attacks_of(attacks, shadows),
        shadows=shadows,
        replicates=shadows if replicates is None else replicates,
        **options,
    )
    return Assignment(task, samples, settings, out, command)


def run(asked: Assignment, progress: bool) -> AuditResult:
    """Audit as asked and write everything into the folder; what it already holds is not computed again."""
    member = checked(asked)
    if asked.out is None:
        return AuditResult(_audit(asked, member, progress)[0])
    check_folder(asked.out)
    with locked(asked.out):
        document, tables, found = _audit(asked, member, progress)
        result = AuditResult(document)
        write(result, tables, asked.out)
        write_weights(found.groups, asked.out)
    return result


def checked(asked: Assignment) -> Bool[np.ndarray, "models samples"]:
    """Return who is trained on what, once everything that could go wrong before training has been tried."""
    check(asked.task, asked.samples)
    planted(asked)
    member = membership(len(asked.samples), asked.settings)
    check_attacks(asked.settings, member)
    check_quantizers(asked.settings, asked.task, asked.samples)
    executor(asked.settings.executor)
    return member


def _audit(asked: Assignment, member: np.ndarray, progress: bool) -> tuple[Results, list[Table], Collected]:
    clock, settings = Clock(), asked.settings
    store = None if asked.out is None else Store(asked.out / STORE)
    with shown(progress) as stages:
        with clock.timed("plan"):
            work = plan(asked, member, store)
        with clock.timed("train and quantize"):
            tick = stages.stage("train and quantize", len(member) * work.steps)
            found = collect(work, executor(settings.executor), store, tick)
        every = assemble(work, found.groups)
        tables, noises = every[: len(settings.quantizers)], every[len(settings.quantizers) :]
        with clock.timed("attack"):
            scored, described = analyse(tables, settings, stages)
            agreement = comparison.agreement(described, settings.level)
            checks = control(tables, noises, settings)
    data = _data(asked, member)
    document = Results(
        config=_config(asked.task, settings),
        environment=clock.environment(work.engine, found),
        data=data,
        quantizers=described,
        ranking=comparison.ranking(scored, settings.level),
        agreement=agreement,
        controls=checks,
        warnings=findings.find(described, checks, agreement, settings, work.engine, found.damaged, data.classes),
        reproduce=_reproduce(asked, work.engine.way),
    )
    return document, tables, found


def control(tables: Sequence[Table], noises: Sequence[Table], settings: Settings) -> list[Control]:
    """Return what the controls found; the first table is the full-precision one."""
    return [
        *controls.shuffled_membership(tables[0], settings),
        *controls.planted_leak(tables[0], settings),
        *controls.canaries(tables, settings),
        *controls.matched_noise(tables, noises, settings),
    ]


def plan(asked: Assignment, member: np.ndarray, store: Store | None) -> Work:
    """Return what is to be computed, in the way in which `store` was begun where it was."""
    task, settings = asked.task, asked.settings
    return Work(
        task=task,
        samples=planted(asked),
        member=member,
        quantizers=(*settings.quantizers, *settings.noises),
        seed=settings.seed,
        engine=_engine(asked, store),
        checkpoints=_checkpoints(task, int(member[0].sum()), settings.checkpoint_every),
        replicates=settings.replicates,
        keep_weights=settings.keep_weights,
        canaries=settings.canaries,
    )


def planted(asked: Assignment) -> Samples:
    """Return the samples with the canaries that were asked for behind them."""
    generator = seeds.generator(asked.settings.seed, "canaries")
    return with_canaries(asked.samples, asked.settings.canaries, generator)


def _engine(asked: Assignment, store: Store | None) -> Engine:
    task, settings = asked.task, asked.settings
    address = f"{task.build(0)!r}{task.describe_recipe()}{asked.samples.x.shape}{cores()}"
    key = hashlib.sha256(address.encode()).hexdigest()
    before = store.remembered(key) if store is not None and settings.engine == "auto" else None
    chosen = choose_engine(task, asked.samples, settings.models, before or settings.engine)
    if store is not None:
        store.remember(key, chosen.way)
    return chosen


def _checkpoints(task: Task, members: int, every: int | None) -> tuple[int, ...]:
    """Return the steps after every so many epochs, without the last step, which is no checkpoint but the end."""
    if every is None:
        return ()
    if not isinstance(task.recipe, Recipe):
        raise UserError("checkpoint_every needs a Recipe: a function of your own trains in one piece")
    stride = every * task.recipe.steps_per_epoch(members)
    return tuple(range(stride, task.recipe.steps(members), stride))


def membership(samples: int, settings: Settings) -> Bool[np.ndarray, "models samples"]:
    """Return who is trained on what; held-out samples are false in every row, canaries are the last columns."""
    kept, _ = hold_out(samples, settings.held_out, seeds.generator(settings.seed, "held out"))
    trained = [*kept, *range(samples, samples + settings.canaries)]
    member = np.zeros((settings.models, samples + settings.canaries), dtype=bool)
    generator = seeds.generator(settings.seed, "membership")
    member[:, trained] = complementary_halves(settings.models, len(trained), generator)
    return member


def analyse(tables: Sequence[Table], settings: Settings, stages: Stages) -> tuple[list[Scored], list[QuantizerResult]]:
    """Attack every quantizer and describe what came of it; the first table is the full-precision one."""
    tick = stages.stage("attack", len(tables))
    scored, described = list[Scored](), list[QuantizerResult]()
    for table in tables:
        scored.append(score(table, tables[0], settings))
        described.append(describe(scored[-1], settings))
        tick(1)
    return scored, described


def write(result: AuditResult, tables: Sequence[Table], out: Path) -> None:
    """Write the tables, then the document that names them, then the report."""
    for table in tables:
        table.save(out)
    result.to_json(out / DOCUMENT)
    result.to_html(out / PAGE)


@dataclass(frozen=True)
class Clock:
    """Measure how long the stages of an audit take."""

    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        """Add the time spent inside to `stage`."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)

    def environment(self, chosen: Engine, found: Collected) -> Environment:
        """Return what results.json says of this machine and run."""
        return Environment(
            versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            machine=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
            device=str(device()),
            engine=chosen.describe(),
            reused=sum(map(len, found.reused)),
            started=self.started,
            seconds=self.seconds,
        )


def _config(task: Task, settings: Settings) -> Config:
    return Config(
        model=task.name,
        loss=task.loss.name,
        recipe=task.describe_recipe(),
        seed=settings.seed,
        depth=settings.depth,
        shadows=settings.shadows,
        replicates=settings.replicates,
        quantizers=settings.quantizer_names,
        attacks=settings.attack_names,
        level=settings.level,
    )


def _data(asked: Assignment, member: np.ndarray) -> Data:
    samples, audited = asked.samples, int(member.any(0).sum()) - asked.settings.canaries
    classes = asked.task.loss.classes(samples.y)
    return Data(
        samples=audited,
        held_out=len(samples) - audited,
        members_per_model=int(member[0].sum()),
        features=list(samples.x.shape[1:]),
        classes=None if classes is None else len(np.unique(classes)),
        digest=samples.digest(),
        notes=samples.notes,
    )


def _reproduce(asked: Assignment, way: str) -> Reproduce:
    """Say how to run the audit again, in the way of training that was chosen: another one rounds differently."""
    settings = asked.settings
    call = (
        f"qm.audit(task, samples, quantizers={settings.quantizer_names}, attacks={settings.attack_names}, "
        f"shadows={settings.shadows}, replicates={settings.replicates}, held_out={settings.held_out}, "
        f"seed={settings.seed}, level={settings.level}, canaries={settings.canaries}, "
        f"checkpoint_every={settings.checkpoint_every}, engine={way!r})  "
        f"# task: {asked.task.name}, samples: those of the digest"
    )
    return Reproduce(command=asked.command and f"{asked.command} --engine {way}", python=call)
