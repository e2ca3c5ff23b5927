"""One audit from start to end: check, train, quantize, attack, write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from quantmis.attacks import Attack
from quantmis.analysis import controls
from quantmis.audit import document as record
from quantmis.audit.target import versions as this_model
from quantmis.audit.checks import check, check_attacks, check_folder, check_quantizers
from quantmis.audit.execution.collect import Collected, collect, write_weights
from quantmis.audit.execution.executors import executor
from quantmis.audit.execution.planning import AuditRequest, membership, plan, planted
from quantmis.audit.execution.progress import Stages, shown
from quantmis.audit.result import DOCUMENT, PAGE, AuditResult
from quantmis.audit.options import Settings, attacks_of, models_of, quantizers_of
from quantmis.analysis.subject import each_other, measure
from quantmis.audit.execution.store import Store, locked
from quantmis.tables.loss_table import Table, assemble
from quantmis.audit.target.target import Target, disjoint
from quantmis.audit.execution.work import Group, Work
from quantmis.data import Samples
from quantmis.models import CausalLM, Task
from quantmis.quantizers import Quantizer
from quantmis.results import Control, Results
from quantmis.results.seal import sealed

STORE = "store"


def request(
    task: Task,
    samples: Samples,
    *,
    quantizers: Sequence[str | Quantizer] | None = None,
    attacks: Sequence[str | Attack] | None = None,
    target: Target | None = None,
    depth: str | None = None,
    shadows: int | None = None,
    replicates: int | None = None,
    out: Path | None = None,
    command: str = "",
    **options: Any,
) -> AuditRequest:
    """Return what the arguments of `quantmis.audit` ask for; `UserError` for what cannot be."""
    deepest = "indicator" if isinstance(task.loss, CausalLM) else "shadow"
    models = models_of(depth, shadows, replicates, target is not None, task.has_recipe, deepest)
    asked_for = () if quantizers is None and target is not None and target.quantized else quantizers
    settings = Settings(
        quantizers=quantizers_of(asked_for),
        attacks=attacks_of(attacks, models, task.loss, task.loss.named_signals(samples)),
        shadows=models.shadows,
        replicates=models.replicates,
        **options,
    )
    return AuditRequest(task, samples, settings, out, command, target)


def run(asked: AuditRequest, progress: bool) -> AuditResult:
    """Audit as asked and write everything into the folder; what it already holds is not computed again."""
    asked, member = checked(asked)
    if asked.out is None:
        return AuditResult(_audit(asked, member, progress).document)
    check_folder(asked.out)
    with locked(asked.out):
        done = _audit(asked, member, progress)
        result = AuditResult(done.document)
        write(result, done.tables, asked.out)
        write_weights(done.groups, asked.out)
    return result


def checked(asked: AuditRequest) -> tuple[AuditRequest, Bool[np.ndarray, "models samples"]]:
    """Return what is to be done and who is trained on what, once everything that could go wrong before was tried."""
    check(asked.task, asked.samples)
    if asked.target is not None:
        asked = replace(asked, target=disjoint(asked.target, asked.samples))
        this_model.check_target(asked)
        this_model.check_confounded(asked)
    member = membership(planted(asked), asked.settings, asked.target)
    check_attacks(asked.settings, member, asked.task.loss.named_signals(asked.samples))
    check_quantizers(asked.settings, asked.task, asked.samples)
    executor(asked.settings.executor, asked.settings.address)
    return asked, member


@dataclass(frozen=True, eq=False)
class Done:
    """Hold a finished audit: its document, and the tables and weights behind it."""

    document: Results
    tables: list[Table]
    groups: Mapping[range, Group]


def _audit(asked: AuditRequest, member: np.ndarray, progress: bool) -> Done:
    clock, settings = record.Clock(), asked.settings
    with shown(progress) as stages:
        with clock.timed("plan"):
            work = plan(asked, member, _store(asked)) if settings.models else None
        with clock.timed("train and quantize"):
            tables, noises, found = _trained(work, asked, stages)
            given = this_model.tables_of(asked, member)
        with clock.timed("attack"):
            tick = stages.stage("attack", len(tables) + len(given))
            procedure = measure(tables, each_other(tables), settings, asked.samples.ids, tick)
            own = measure(given, this_model.references_of(asked, tables), settings, asked.samples.ids, tick)
            told = control(procedure.tables or own.tables, noises, settings)
            blind = this_model.blind(asked)
    document = record.document(record.Measured(asked, member, work, found, procedure, own, told, blind), clock)
    return Done(sealed(document), [*tables, *noises, *given], found.groups)


def _store(asked: AuditRequest) -> Store | None:
    return None if asked.out is None else Store(asked.out / STORE)


def _trained(work: Work | None, asked: AuditRequest, stages: Stages) -> tuple[list[Table], list[Table], Collected]:
    """Return the tables of the trained models, those of matched noise, and the groups that they came from."""
    if work is None:
        return [], [], Collected()
    tick = stages.stage("train and quantize", len(work.member) * work.steps, work.expected)
    found = collect(work, executor(asked.settings.executor, asked.settings.address), _store(asked), tick)
    every, count = assemble(work, found.groups), len(asked.settings.quantizers)
    return every[:count], every[count:], found


def control(tables: Sequence[Table], noises: Sequence[Table], settings: Settings) -> list[Control]:
    """Return what the controls found; the first table is the full-precision one."""
    return [
        *controls.shuffled_membership(tables[0], settings),
        *controls.planted_leak(tables[0], settings),
        *controls.canaries(tables, settings),
        *controls.matched_noise(tables, noises, settings),
    ]


def write(result: AuditResult, tables: Sequence[Table], out: Path) -> None:
    """Write the tables, then the document that names them, then the report."""
    for table in tables:
        table.save(out)
    result.to_json(out / DOCUMENT)
    result.to_html(out / PAGE)
