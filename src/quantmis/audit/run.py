"""One audit from start to end: check, train, quantize, attack, write."""

import platform
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from quantmis import seeds
from quantmis.audit import comparison, findings
from quantmis.audit.analysis import Scored, describe, score
from quantmis.audit.progress import Stages, shown
from quantmis.audit.result import DOCUMENT, PAGE, AuditResult
from quantmis.audit.settings import Settings, check, check_attacks, check_folder
from quantmis.audit.tables import Table, fill
from quantmis.data import Samples, complementary_halves
from quantmis.data.membership import hold_out
from quantmis.models import Task, training
from quantmis.results import Config, Data, Environment, QuantizerResult, Reproduce, Results

PACKAGES = ("quantmis", "torch", "numpy", "scipy", "scikit-learn")


def run(
    task: Task, samples: Samples, settings: Settings, out: Path | None, progress: bool, command: str
) -> AuditResult:
    """Audit `task` on `samples` as `settings` say; write everything into the folder `out` where there is one."""
    clock = Clock()
    check(task, samples)
    member = membership(len(samples), settings)
    check_attacks(settings, member)
    if out is not None:
        check_folder(out)
    engine = training.choose_engine(task, samples)
    with shown(progress) as stages:
        with clock.timed("train and quantize"):
            tables = fill(task, samples, member, settings.quantizers, settings.seed, engine, stages)
        with clock.timed("attack"):
            scored, described = analyse(tables, settings, stages)
    agreement = comparison.agreement(described, settings.level)
    controls = comparison.shuffled_membership(tables[0], settings)
    document = Results(
        config=_config(task, settings),
        environment=clock.environment(engine),
        data=_data(samples, member, task.loss.classes(samples.y)),
        quantizers=described,
        ranking=comparison.ranking(scored, settings.level),
        agreement=agreement,
        controls=controls,
        warnings=findings.find(described, controls, agreement, settings, engine),
        reproduce=_reproduce(task, settings, command),
    )
    result = AuditResult(document)
    if out is not None:
        write(result, tables, out)
    return result


def membership(samples: int, settings: Settings) -> np.ndarray:
    """Return who is trained on what, [models, samples]; the columns of held-out samples are false in every row."""
    kept, _ = hold_out(samples, settings.held_out, seeds.generator(settings.seed, "held out"))
    member = np.zeros((settings.models, samples), dtype=bool)
    member[:, kept] = complementary_halves(settings.models, len(kept), seeds.generator(settings.seed, "membership"))
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

    def environment(self, engine: training.Engine) -> Environment:
        """Return what results.json says of this machine and run."""
        return Environment(
            versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            machine=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
            device="cpu",
            engine=engine.name if engine.reason is None else f"{engine.name}: {engine.reason}",
            started=self.started,
            seconds=self.seconds,
        )


def _config(task: Task, settings: Settings) -> Config:
    return Config(
        model=task.name,
        loss=task.loss.name,
        recipe=task.recipe.as_dict(),
        seed=settings.seed,
        depth=settings.depth,
        shadows=settings.shadows,
        replicates=settings.replicates,
        quantizers=settings.quantizer_names,
        attacks=settings.attack_names,
        level=settings.level,
    )


def _data(samples: Samples, member: np.ndarray, classes: np.ndarray | None) -> Data:
    audited = int(member.any(0).sum())
    return Data(
        samples=audited,
        held_out=len(samples) - audited,
        members_per_model=int(member[0].sum()),
        features=list(samples.x.shape[1:]),
        classes=None if classes is None else len(np.unique(classes)),
        digest=samples.digest(),
    )


def _reproduce(task: Task, settings: Settings, command: str) -> Reproduce:
    call = (
        f"qm.audit(task, samples, quantizers={settings.quantizer_names}, attacks={settings.attack_names}, "
        f"shadows={settings.shadows}, replicates={settings.replicates}, held_out={settings.held_out}, "
        f"seed={settings.seed}, level={settings.level})  # task: {task.name}, samples: the digest above"
    )
    return Reproduce(command=command, python=call)
