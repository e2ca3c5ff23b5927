"""One audit from start to end: check, train, quantize, attack, write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from pydantic import TypeAdapter
from torch import nn

from quantmis.analysis import analyse
from quantmis.analysis.controls import controls
from quantmis.analysis.recall import Entry, Recall, anew
from quantmis.analysis.scoring import each_other
from quantmis.audit import document
from quantmis.audit.certifying import certificates, certified, check_certificate
from quantmis.audit.checks import check, check_attacks, check_folder, check_quantizers
from quantmis.audit.execution import own_code
from quantmis.audit.execution.afterwards import seconds_afterwards
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import Collected, collect
from quantmis.audit.execution.executors import executor
from quantmis.audit.execution.measured import StoredMeasures
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
from quantmis.audit.target.shown import require_free
from quantmis.files import write_atomically
from quantmis.models.hugging_face import HuggingFace
from quantmis.report.drawn import Drawn, drawn
from quantmis.report.html import render
from quantmis.results import Results
from quantmis.results import write as to_file
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
            store = Store(request.out / STORE)
            if request.settings.options.fresh:
                store.clear()
            with own_code.remembered(store.sources):
                done = _audit(request, member, stages)
                write(done.document, done.tables, request.out, _recall(request, Collected()))
    return AuditResult(done.document)


def checked(request: AuditRequest, stages: Stages = SILENT) -> tuple[AuditRequest, Bool[np.ndarray, "models samples"]]:
    """Return what is to be done and who is trained on what, once everything that could go wrong before was tried."""
    task, samples, settings = request.task, request.samples, request.settings
    require_room(request)
    check_certificate(request)
    if request.target is not None:
        request = replace(request, target=disjoint(request.target, samples))
    with watched(scope_of(task)):
        check(task, samples, _tried(request))
    if request.target is not None:
        check_target(request)
        check_confounded(request, stages)
    require_free(request)
    member = membership(planted(request), settings, request.target, task.is_certified)
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
    guarantees = certificates(request, member)
    with clock.timed("train and quantize"):
        tables, noises, collected = _trained(work, request, stages)
        target_tables = certified(versions.tables_of(request, member, stages), request, guarantees.this_model)
        tables = certified(tables, request, guarantees.algorithm)
    with clock.timed("attack"):
        tick = stages.stage("attack", len(tables) + len(target_tables) + 1)
        recall = _recall(request, collected)
        algorithm = analyse(tables, each_other(tables), settings.analysis, request.samples.ids, tick, recall)
        references = versions.references_of(request, tables)
        this_model = analyse(target_tables, references, settings.analysis, request.samples.ids, tick, recall)
        tested = controls(algorithm.tables or this_model.tables, noises, settings.analysis, recall)
        tick(1)
        blinds = blind(request, stages=stages), forget_blind(request, stages=stages)
    parts = document.Analysed(
        request, member, work, collected, algorithm, this_model, tested, *blinds, guarantees.leading
    )
    return Done(sealed(document.document(parts, clock)), [*tables, *noises, *target_tables])


def _store(request: AuditRequest) -> Store | None:
    return None if request.out is None else Store(request.out / STORE)


def _recall(request: AuditRequest, collected: Collected) -> Recall:
    """Return what knows measures computed before; what it finds damaged is told with what was collected."""
    store = _store(request)
    return anew if store is None else StoredMeasures(store, request.settings.attacks, collected.damaged)


def _trained(
    work: Work | None, request: AuditRequest, stages: Stages
) -> tuple[list[LossTable], list[LossTable], Collected]:
    """Return the tables of the trained models, those of matched noise, and the groups that they came from."""
    if work is None:
        return [], [], Collected()
    options = request.settings.options
    others = 0 if request.target is None else len(request.settings.quantizers) + len(request.target.versions)
    after = seconds_afterwards(work, request.settings, others)
    tick = stages.stage("train and quantize", len(work.member) * work.steps, work.expected, after)
    collected = collect(work, executor(options.executor, options.address), _store(request), tick)
    every, count = assemble(work, collected.groups), len(request.settings.quantizers)
    return every[:count], every[count:], collected


def write(results: Results, tables: Sequence[LossTable], out: Path, recall: Recall = anew) -> None:
    """Write the tables, then the document that names them, then the report; tables of an earlier audit are removed.

    What `recall` knows of the report's figures is not drawn.
    """
    for table in tables:
        table.save(out)
    to_file(results, out / DOCUMENT)
    page = render(results, figures=_figures(results, recall))
    write_atomically(out / PAGE, page.encode())
    for stale in {*(out / "tables").rglob("*.npz")} - {out / table.path for table in tables}:
        stale.unlink()


def _figures(results: Results, recall: Recall) -> Drawn:
    """Return the figures of the report: a function of the document, but for when and where it was made."""
    shown = results.model_dump_json(exclude={"environment"}, exclude_none=True)
    inputs, figures = [sha256(shown.encode()).hexdigest()], TypeAdapter(Drawn)

    def draw() -> Entry:
        return Entry(figures.dump_json(drawn(results)).decode())

    return recall("figures", inputs, draw, lambda entry: figures.validate_json(entry.text))
