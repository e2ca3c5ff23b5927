"""The document of an audit: what was measured, what was asked for, where and when it ran, and how to repeat it."""

import platform
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from quantmis.analysis import ranking as comparison
from quantmis.analysis import findings
from quantmis.audit.execution.collect import Collected
from quantmis.audit.execution.planning import AuditRequest
from quantmis.analysis.subject import Side
from quantmis.audit.target.weights import file_of
from quantmis.audit.execution.work import Work
from quantmis.files import digest_of
from quantmis.models.engine import Engine
from quantmis.models.training import device
from quantmis.results import BlindBaseline, Config, Control, Data, Environment, Reproduce, Results, Target
from quantmis.stats import Unmeasured

PACKAGES = ("quantmis", "torch", "numpy", "scipy", "scikit-learn")


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

    def environment(self, engine: Engine | None, found: Collected) -> Environment:
        """Return what results.json says of this machine and run."""
        return Environment(
            versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            machine=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
            device=str(device()),
            engine=engine.describe() if engine else "nothing was trained",
            reused=sum(map(len, found.reused)),
            started=self.started,
            seconds=self.seconds,
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """Hold everything that an audit found, before it becomes a document."""

    asked: AuditRequest
    member: Bool[np.ndarray, "models samples"]
    work: Work | None
    found: Collected
    procedure: Side
    this_model: Side
    controls: list[Control]
    blind: BlindBaseline | Unmeasured

    @property
    def leading(self) -> Side:
        """The side that the document is about: the procedure, or this model where nothing was trained."""
        return self.procedure if self.procedure.tables else self.this_model


def document(measured: Measured, clock: Clock) -> Results:
    """Return the document of an audit."""
    settings, side = measured.asked.settings, measured.leading
    agreement = comparison.agreement(side.described, settings.level) if measured.work else []
    data, target, told = _data(measured), _target(measured), list(side.described)
    engine = measured.work.engine if measured.work else None
    damaged = measured.found.damaged
    return Results(
        config=_config(measured.asked),
        environment=clock.environment(engine, measured.found),
        data=data,
        quantizers=told,
        ranking=side.ranking(settings.level),
        agreement=agreement,
        controls=measured.controls,
        warnings=findings.find(told, measured.controls, agreement, settings, engine, damaged, data, target),
        reproduce=_reproduce(measured),
        target=target,
    )


def _target(measured: Measured) -> Target | Unmeasured:
    given, settings = measured.asked.target, measured.asked.settings
    if given is None:
        return Unmeasured("no trained model was given")
    apart = measured.leading is not measured.this_model
    return Target(
        name=given.name,
        digest=given.digest(measured.asked.task),
        members=len(given.members),
        non_members=len(given.non_members),
        blind=measured.blind,
        versions=list(measured.this_model.described) if apart else [],
        ranking=measured.this_model.ranking(settings.level) if apart else Unmeasured("see the ranking of the document"),
        stated=given.utility,
        alike=given.alike,
        file=_file_digest(given.weights) or "",
        files={name: digest for name, each in given.versions.items() if (digest := _file_digest(each.source))},
    )


def _file_digest(source: Any) -> str | None:
    """Return the SHA-256 of the file or folder that weights were read from, None for those in memory."""
    file = file_of(source)
    return None if file is None else digest_of(file.path)


def _config(asked: AuditRequest) -> Config:
    task, settings = asked.task, asked.settings
    return Config(
        model=task.name,
        loss=task.loss.name,
        recipe=task.describe_recipe() if settings.models else {},
        seed=settings.seed,
        depth=settings.depth,
        shadows=settings.shadows,
        replicates=settings.replicates,
        quantizers=settings.quantizer_names,
        attacks=settings.attack_names,
        level=settings.level,
        calibrate_on=settings.calibrate_on,
    )


def _data(measured: Measured) -> Data:
    """Describe the samples: of trained models those that they shared, of a target its members and non-members."""
    asked, shown = measured.asked, measured.leading.tables[0].is_audited
    classes = asked.task.loss.classes(asked.samples.y)
    trained_on = measured.member[:1] if measured.work else measured.leading.tables[0].evidence.member
    return Data(
        samples=int(shown.sum()),
        held_out=len(asked.samples) - int(shown.sum()),
        members_per_model=int(trained_on[0].sum()),
        features=list(asked.samples.x.shape[1:]),
        classes=None if classes is None else len(np.unique(classes)),
        digest=asked.samples.digest(),
        notes=asked.samples.notes,
    )


def _reproduce(measured: Measured) -> Reproduce:
    """Say how to run the audit again, in the way of training that was chosen: another one rounds differently."""
    asked, settings = measured.asked, measured.asked.settings
    kind = measured.work.engine.kind if measured.work else "auto"
    call = (
        f"qm.audit(task, samples, quantizers={settings.quantizer_names}, attacks={settings.attack_names}, "
        f"shadows={settings.shadows}, replicates={settings.replicates}, held_out={settings.held_out}, "
        f"seed={settings.seed}, level={settings.level}, canaries={settings.canaries}, "
        f"calibrate_on={settings.calibrate_on!r}, "
        f"checkpoint_every={settings.checkpoint_every}, engine={kind!r}{', target=target' if asked.target else ''})  "
        f"# task: {asked.task.name}, samples: those of the digest"
    )
    engine = f" --engine {kind}" if measured.work else ""
    return Reproduce(command=asked.command and f"{asked.command}{engine}", python=call)
