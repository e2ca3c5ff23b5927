"""What the commands `quantmis audit` and `quantmis plan` do with an audit file."""

from pathlib import Path
from typing import Any

from quantmis.audit import audit
from quantmis.audit.file import AuditFile, Options, read, samples_of, task_of
from quantmis.audit.plan import Plan, measure
from quantmis.audit.result import AuditResult
from quantmis.audit.run import checked, plan, request


def audit_file(path: Path, out: Path, options: dict[str, Any]) -> AuditResult:
    """Audit what the file at `path` describes; `options` that are not None stand for those of the file."""
    file, chosen = _read(path, options)
    task, samples = task_of(file, path.parent), samples_of(file, path.parent)
    given = {name: value for name, value in options.items() if value is not None and name != "engine"}
    command = " ".join([f"quantmis audit {path.name}", *(f"--{name} {value}" for name, value in given.items())])
    return audit(task, samples, out=out, command=command, **chosen.model_dump())


def plan_file(path: Path, options: dict[str, Any]) -> Plan:
    """Return what auditing the file at `path` will take."""
    file, chosen = _read(path, options)
    asked = request(task_of(file, path.parent), samples_of(file, path.parent), **chosen.model_dump())
    return measure(plan(*checked(asked), None))


def _read(path: Path, options: dict[str, Any]) -> tuple[AuditFile, Options]:
    file = read(path)
    given = {name: value for name, value in options.items() if value is not None}
    return file, file.audit.model_copy(update=given)
