"""What the commands `quantmis audit` and `quantmis plan` do with an audit file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from quantmis.audit.config.building import fitted_of, samples_of, secrets_of, target_of, task_of
from quantmis.audit.config.sections import AuditFile, declared, read, require_recipe
from quantmis.audit.config.tables import audit_tables_file, read_tables
from quantmis.audit.estimate.plan import Plan, planned
from quantmis.audit.execution.progress import shown_stages
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.result import AuditResult
from quantmis.audit.run import run
from quantmis.audit.target.target import Target
from quantmis.data import Samples
from quantmis.errors import UserError, printable, require
from quantmis.models import Task

UNSPOKEN = ("engine", "fresh")
"""Options that the command of a document does not repeat: the engine is the one that was chosen."""


def audit_file(path: Path, out: Path, overrides: dict[str, Any]) -> AuditResult:
    """Audit what the file at `path` describes; `overrides` that are not None stand for its options."""
    tables = read_tables(path)
    if tables is not None:
        return audit_tables_file(tables, path.parent, out, overrides)
    file, options, described = asked_of(path, out, overrides)
    spoken = {name: value for name, value in overrides.items() if value is not None and name not in UNSPOKEN}
    words = [f"quantmis audit {printable(path.name)}", *(f"--{name} {value}" for name, value in spoken.items())]
    request = audit_request(*described, options, out, " ".join(words))
    said = replace(declared(file.auditor, file.release), fitted=fitted_of(file))
    return run(replace(request, declared=said), progress=True)


def asked_of(
    path: Path, out: Path, overrides: dict[str, Any]
) -> tuple[AuditFile, AuditOptions, tuple[Task, Samples, Target | None]]:
    """Return the file at `path`, its options with `overrides`, and what it describes: task, samples, target."""
    file, options = _read(path, overrides)
    _require_apart(out, file, path.parent)
    return file, options, _described(file, path.parent)


def _require_apart(out: Path, file: AuditFile, folder: Path) -> None:
    """Raise `UserError` where results would be written among the data or the model, or in their place."""
    texts = [file.data.texts] if isinstance(file.data.texts, str) else file.data.texts or []
    given = file.target
    weights = () if given is None else (given.weights, given.before, given.retrained)
    home, own = out.resolve(), folder.resolve()
    secrets = () if file.secrets is None else (file.secrets.file, file.secrets.entities)
    for each in filter(None, (*secrets, file.data.file, file.data.images, *texts, file.model.folder, *weights)):
        place = (folder / each).resolve()
        require(
            home != place and (place == own or place not in home.parents),
            f"the result would be written into {out}, which is {each} or lies in it",
            hint="choose another folder with --out; by default it is named after the audit file",
        )


def plan_file(path: Path, overrides: dict[str, Any]) -> Plan:
    """Return what auditing the file at `path` will take; `UserError` for one of loss tables, which takes seconds."""
    hint = f"run it: quantmis audit {printable(path.name)}"
    require(read_tables(path) is None, f"{path}: nothing is trained where tables are given", hint=hint)
    file, options = _read(path, overrides)
    with shown_stages(show=True) as stages:
        tick = stages.stage("read the data", 1)
        described = _described(file, path.parent)
        tick(1)
        return planned(audit_request(*described, options), stages)


def _described(file: AuditFile, folder: Path) -> tuple[Task, Samples, Target | None]:
    samples = samples_of(file, folder)
    return task_of(file, folder), samples, target_of(file, samples, folder, secrets_of(file, folder, samples))


def _checked(path: Path, options: dict[str, Any]) -> AuditOptions:
    """Return the options of a file; `UserError` for release sets that are none."""
    try:
        return AuditOptions.of(**options)
    except UserError as error:
        raise UserError(f"{path}: [release] sets: {error}", hint=error.hint) from error


def _read(path: Path, overrides: dict[str, Any]) -> tuple[AuditFile, AuditOptions]:
    file = read(path)
    updates = {name: value for name, value in overrides.items() if value is not None}
    options = _checked(path, {**file.audit.model_dump(), "release": file.release.sets}).model_copy(update=updates)
    require_recipe(file, options)
    return file, options
