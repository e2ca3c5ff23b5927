"""What the commands `quantmis audit` and `quantmis plan` do with an audit file."""

from pathlib import Path
from typing import Any

from quantmis.audit import audit
from quantmis.audit.config import AuditFile, Options, read, require_recipe, samples_of, target_of, task_of
from quantmis.audit.estimate.plan import Plan, as_is, measure
from quantmis.audit.execution.planning import plan
from quantmis.audit.result import AuditResult
from quantmis.audit.run import checked, request
from quantmis.audit.target.target import Target
from quantmis.audit.target.versions import tables_of
from quantmis.data import Samples
from quantmis.models import Task


def audit_file(path: Path, out: Path, options: dict[str, Any]) -> AuditResult:
    """Audit what the file at `path` describes; `options` that are not None stand for those of the file."""
    file, chosen = _read(path, options)
    given = _described(file, path.parent)
    said = {name: value for name, value in options.items() if value is not None and name != "engine"}
    command = " ".join([f"quantmis audit {path.name}", *(f"--{name} {value}" for name, value in said.items())])
    return audit(*given[:2], target=given[2], out=out, command=command, **chosen.model_dump())


def plan_file(path: Path, options: dict[str, Any]) -> Plan:
    """Return what auditing the file at `path` will take."""
    file, chosen = _read(path, options)
    task, samples, target = _described(file, path.parent)
    asked = request(task, samples, target=target, **chosen.model_dump())
    asked, member = checked(asked)
    versions = 0 if asked.target is None else len(asked.settings.quantizers) + len(asked.target.versions)
    if not asked.settings.models:
        return as_is(versions, len(samples), lambda: tables_of(asked, member))
    return measure(plan(asked, member, None), asked.settings, versions)


def _described(file: AuditFile, folder: Path) -> tuple[Task, Samples, Target | None]:
    samples = samples_of(file, folder)
    return task_of(file, folder), samples, target_of(file, samples, folder)


def _read(path: Path, asked: dict[str, Any]) -> tuple[AuditFile, Options]:
    file = read(path)
    given = {name: value for name, value in asked.items() if value is not None}
    options = file.audit.model_copy(update=given)
    require_recipe(file, options)
    return file, options
