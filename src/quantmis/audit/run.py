"""One audit from start to end: check, train, quantize, attack, write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from torch import nn

from quantmis.analysis import analyse
from quantmis.analysis.controls import controls
from quantmis.analysis.scoring import each_other
from quantmis.audit import document
from quantmis.audit.checks import check, check_attacks, check_folder, check_quantizers
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import Collected, collect
from quantmis.audit.execution.executors import executor
from quantmis.audit.execution.outside import watched
from quantmis.audit.execution.planning import membership, plan, planted, scope_of
from quantmis.audit.execution.progress import SILENT, Stages, shown_stages
from quantmis.audit.execution.store import Store, locked
from quantmis.audit.execution.work import Work
from quantmis.audit.memory import require_room
from quantmis.audit.request import AuditRequest
from quantmis.audit.result import DOCUMENT, PAGE, AuditResult
from quantmis.audit.target import versions
from quantmis.audit.target.checks import check_target
from quantmis.audit.target.confounding import blind, check_confounded, forget_blind
from quantmis.audit.target.disjoint import disjoint
from quantmis.models.hugging_face import HuggingFace
from quantmis.results import Results
from quantmis.results.seal import sealed
from quantmis.tables import LossTable

STORE = "store"


def run(request: AuditRequest, progress: bool) -> AuditResult:
    """Audit as requested and write everything into the folder; what it already holds is not computed again."""
    with shown_stages(progress) as stages:
        request, member = checked(request, stages)
        if request.out is None:
            return AuditResult(_audit(request, member, stages).document)
        check_folder(request.out)
        with locked(request.out):
            if request.settings.options.fresh:
                Store(request.out / STORE).clear()
            done = _audit(request, member, stages)
            result = AuditResult(done.document)
            write(result, done.tables, request.out)
    return result


def checked(request: AuditRequest, stages: Stages = SILENT) -> tuple[AuditRequest, Bool[np.ndarray, "models samples"]]:
    """Return what is to be done and who is trained on what, once everything that could go wrong before was tried."""
    task, samples, settings = request.task, request.samples, request.settings
    require_room(request)
    if request.target is not None:
        request = replace(request, target=disjoint(request.target, samples))
    with watched(scope_of(task)):
        check(task, samples, _tried(request))
    if request.target is not None:
        check_target(request)
        check_confounded(request, stages)
    member = membership(planted(request), settings, request.target)
    check_attacks(settings.attacks, settings.options.seed, member, task.loss.named_signals(samples))
    check_quantizers(settings, task, samples, _tried(request))
    executor(settings.options.executor, settings.options.address)
    return request, member


def _tried(request: AuditRequest) -> nn.Module | None:
    """Return the model that is tried before all else; None for a fresh one.

    A large one of transformers takes longer to be made than to be tried, and where nothing is trained there is no other
    than the target.
    """
    large = isinstance(request.task.model, HuggingFace) and not request.settings.models
    return request.open_model.module if large and request.target is not None else None


@dataclass(frozen=True, eq=False)
class Done:
    """Hold a finished audit: its document, and the tables behind it."""

    document: Results
    tables: list[LossTable]


def _audit(request: AuditRequest, member: np.ndarray, stages: Stages) -> Done:
    clock, settings = document.Clock(), request.settings
    with clock.timed("plan"):
        work = plan(request, member, _store(request)) if settings.models else None
    with clock.timed("train and quantize"):
        tables, noises, collected = _trained(work, request, stages)
        target_tables = versions.tables_of(request, member, stages)
    with clock.timed("attack"):
        tick = stages.stage("attack", len(tables) + len(target_tables) + 1)
        algorithm = analyse(tables, each_other(tables), settings.analysis, request.samples.ids, tick)
        references = versions.references_of(request, tables)
        this_model = analyse(target_tables, references, settings.analysis, request.samples.ids, tick)
        tested = controls(algorithm.tables or this_model.tables, noises, settings.analysis)
        tick(1)
        blinds = blind(request, stages=stages), forget_blind(request, stages=stages)
    parts = document.Analysed(request, member, work, collected, algorithm, this_model, tested, *blinds)
    return Done(sealed(document.document(parts, clock)), [*tables, *noises, *target_tables])


def _store(request: AuditRequest) -> Store | None:
    return None if request.out is None else Store(request.out / STORE)


def _trained(
    work: Work | None, request: AuditRequest, stages: Stages
) -> tuple[list[LossTable], list[LossTable], Collected]:
    """Return the tables of the trained models, those of matched noise, and the groups that they came from."""
    if work is None:
        return [], [], Collected()
    options = request.settings.options
    tick = stages.stage("train and quantize", len(work.member) * work.steps, work.expected)
    collected = collect(work, executor(options.executor, options.address), _store(request), tick)
    every, count = assemble(work, collected.groups), len(request.settings.quantizers)
    return every[:count], every[count:], collected


def write(result: AuditResult, tables: Sequence[LossTable], out: Path) -> None:
    """Write the tables, then the document that names them, then the report; tables of an earlier audit are removed."""
    for table in tables:
        table.save(out)
    result.to_json(out / DOCUMENT)
    result.to_html(out / PAGE)
    for stale in {*(out / "tables").rglob("*.npz")} - {out / table.path for table in tables}:
        stale.unlink()
