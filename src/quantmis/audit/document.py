"""The document of an audit: what was measured, what was asked for, where and when it ran, and how to repeat it."""

import platform
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import torch
from jaxtyping import Bool

from quantmis.analysis import SubjectAnalysis, findings
from quantmis.analysis.agreement import agreement
from quantmis.analysis.descriptions import descriptions
from quantmis.audit.execution.collect import Collected
from quantmis.audit.execution.work import Work
from quantmis.audit.options import OBJECTS
from quantmis.audit.request import AuditRequest
from quantmis.data.samples import Samples
from quantmis.models.engine import Engine
from quantmis.registry import spelling
from quantmis.results import (
    BlindBaseline,
    CertificateResult,
    Config,
    Control,
    Data,
    Environment,
    Reproduce,
    Results,
    TargetResult,
)
from quantmis.results.document import NO_TARGET, SEE_DOCUMENT
from quantmis.stats import Unmeasured
from quantmis.tables.forgetting import BEFORE, RETRAINED

CHOSEN = ("depth", "shadows", "replicates", "engine", "executor", "address", "memory", "fresh")
"""Options that are written as what was made of them, or that no number depends on."""

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

    def environment(self, engine: Engine | None, collected: Collected, place: torch.device) -> Environment:
        """Return what results.json says of this machine and run."""
        return Environment(
            versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            machine=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
            device=str(place),
            engine=engine.describe() if engine else "nothing was trained",
            reused=sum(map(len, collected.reused)),
            started=self.started,
            seconds=self.seconds,
        )


@dataclass(frozen=True, eq=False)
class Analysed:
    """Hold everything that an audit measured, before it becomes a document."""

    request: AuditRequest
    member: Bool[np.ndarray, "models samples"]
    work: Work | None
    collected: Collected
    algorithm: SubjectAnalysis
    this_model: SubjectAnalysis
    controls: list[Control]
    blind: BlindBaseline | Unmeasured
    forget_blind: BlindBaseline | Unmeasured | None = None
    certificate: CertificateResult | None = None

    @property
    def leading(self) -> SubjectAnalysis:
        """The subject that the document is about: the training algorithm, or this model where nothing was trained."""
        return self.algorithm if self.algorithm.tables else self.this_model


def document(parts: Analysed, clock: Clock) -> Results:
    """Return the document of an audit."""
    settings, subject = parts.request.settings.analysis, parts.leading
    agreements = agreement(subject.records, settings.level) if parts.work else []
    data, target, versions = _data(parts), _target(parts), list(subject.records)
    engine, subjects = (parts.work.engine if parts.work else None), (parts.algorithm, parts.this_model)
    refused, damaged = (engine.reasons if engine else {}), parts.collected.damaged
    return Results(
        config=_config(parts.request),
        environment=clock.environment(engine, parts.collected, parts.request.task.place),
        data=data,
        attacks=descriptions(settings.attacks),
        versions=versions,
        ranking=subject.ranking(settings.level),
        agreement=agreements,
        controls=parts.controls,
        warnings=findings.find(
            versions, parts.controls, agreements, settings, refused, damaged, data, target, subjects
        ),
        reproduce=_reproduce(parts),
        target=target,
        releases=list(subject.releases),
        certificate=parts.certificate,
    )


def _target(parts: Analysed) -> TargetResult | Unmeasured:
    target, level = parts.request.target, parts.request.settings.options.level
    if target is None:
        return NO_TARGET
    apart = parts.leading is not parts.this_model
    files = {table.name: table.origin.get("file", "") for table in parts.this_model.tables}
    original = parts.this_model.tables[0].origin
    return TargetResult(
        name=target.name,
        digest=parts.request.open_model.given.fingerprint,
        members=len(target.members),
        non_members=len(target.non_members),
        blind=parts.blind,
        versions=list(parts.this_model.records) if apart else [],
        ranking=parts.this_model.ranking(level) if apart else SEE_DOCUMENT,
        stated=target.utility,
        stated_members=target.members_utility,
        near_duplicates=target.near_duplicates,
        file=files[target.baseline],
        files={name: files[name] for name in target.versions if files[name]},
        releases=list(parts.this_model.releases) if apart else [],
        forget=target.forgotten.size,
        before=original.get(BEFORE, ""),
        retrained=original.get(RETRAINED, ""),
        forget_blind=parts.forget_blind,
    )


def _config(request: AuditRequest) -> Config:
    task, settings = request.task, request.settings
    return Config(
        model=task.name,
        loss=task.loss.name,
        recipe=task.describe_recipe() if settings.models else {},
        seed=settings.options.seed,
        depth=settings.depth,
        shadows=settings.shadows,
        replicates=settings.replicates,
        quantizers=settings.quantizer_names,
        attacks=settings.attack_names,
        lead_attack=spelling(settings.analysis.lead_attack),
        level=settings.options.level,
        calibrate_on=settings.options.calibrate_on,
        release=None if settings.release is None else [list(each) for each in settings.release],
        auditor=request.declared.auditor,
        release_context=request.declared.release_context,
    )


def _data(parts: Analysed) -> Data:
    """Describe the samples: of trained models those that they shared, of a target its members and non-members."""
    request, audited = parts.request, parts.leading.tables[0].is_audited
    classes = request.task.loss.classes(request.samples.y)
    trained_on = parts.member[:1] if parts.work else parts.leading.tables[0].evidence.member
    return Data(
        samples=int(audited.sum()),
        held_out=len(request.samples) - int(audited.sum()) - (request.target.forgotten.size if request.target else 0),
        members_per_model=int(trained_on[0].sum()),
        features=list(request.samples.x.shape[1:]),
        classes=None if classes is None else len(np.unique(classes)),
        digest=request.samples.digest(),
        notes=(*request.samples.notes, *_several(request.samples)),
        groups=None if request.samples.groups is None else len(np.unique(request.samples.groups)),
        copies=request.samples.copies.number,
        columns_apart=request.samples.columns_apart,
        class_names=request.samples.class_names if classes is not None else (),
    )


def _several(samples: Samples) -> list[str]:
    """Say of samples of several inputs what they are, and what was not looked for in them."""
    if samples.layout is None:
        return []
    row = "Copies are looked for in the row of all their numbers, pictures that were saved again are not"
    return [f"several inputs: {samples.layout}. {row}"]


def _reproduce(parts: Analysed) -> Reproduce:
    """Say how to run the audit again, by the engine that was chosen: another one rounds differently."""
    request, settings = parts.request, parts.request.settings
    engine = parts.work.engine.kind if parts.work else "auto"
    options = settings.options.as_arguments(*OBJECTS, *CHOSEN)
    words = [
        f"quantizers={settings.quantizer_names}",
        f"attacks={settings.attack_names}",
        f"shadows={settings.shadows}",
        f"replicates={settings.replicates}",
        *([options] if options else []),
        f"engine={engine!r}",
        *(["target=target"] if request.target else []),
    ]
    comment = f"# task: {request.task.name}, samples: those of the digest"
    command = request.command and request.command + (f" --engine {engine}" if parts.work else "")
    return Reproduce(command=command, python=f"qm.audit(task, samples, {', '.join(words)})  {comment}")
