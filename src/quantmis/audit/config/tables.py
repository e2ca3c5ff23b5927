"""An audit file of loss tables that were computed elsewhere: the section `[tables]` stands where data and model do.

[tables]
identity = "full.npz"          # or .csv, .parquet; losses and member, of the model in full precision
"our int8" = "int8.npz"
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from quantmis.audit.config.reading import content_at, keys_of, validated
from quantmis.audit.config.sections import Auditor, Release, declared
from quantmis.audit.options import Section
from quantmis.audit.result import AuditResult
from quantmis.audit.tables import AnalysisOptions, audit_given, given_tables
from quantmis.data.archives import read_array
from quantmis.data.loss_tables import arrays_of
from quantmis.data.paths import inside
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence

TABLES = "tables"


class Options(Section):
    """Hold what is asked of loss tables."""

    attacks: list[str] | None = None
    """The attacks, by default those that the tables can carry: quantmis list attacks."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """The confidence level of every interval."""
    seed: int = 0
    """The seed of all that is drawn."""


class TablesFile(Section):
    """Hold an audit file of loss tables."""

    tables: dict[str, str]
    """A file of losses for each version, `identity` (full precision) first: `.npz`, `.csv` or `.parquet`."""
    utility: dict[str, str] = Field(default_factory=dict)
    """An `.npy` file for versions: what each model gets at each sample, 1 for right and 0 for wrong."""
    features: str | None = None
    """An `.npy` file of the inputs, by which it is seen whether members differ from non-members by themselves."""
    name: str = "the model"
    """What the model is called in the report."""
    release: Release = Release()
    """What is published together, and to whom."""
    auditor: Auditor | None = None
    """Who audits."""
    audit: Options = Options()
    """What to measure."""


def read_tables(path: Path) -> TablesFile | None:
    """Return the audit file at `path` where it is one of loss tables; None for any other."""
    keys = keys_of(content_at(path), path)
    return validated(keys, TablesFile, path) if TABLES in keys else None


def audit_tables_file(file: TablesFile, folder: Path, out: Path, overrides: dict[str, Any]) -> AuditResult:
    """Audit the tables of a file that lies in `folder`; `overrides` that are not None stand for its options.

    Raises `UserError` for an option of models that are trained, and for files that cannot be read.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    strange = [f"--{name}" for name in given if name != "seed"]
    require(not strange, f"{', '.join(strange)}: nothing is trained where tables are given", hint="leave it out")
    paths = {name: inside(folder, each, f"tables.{name}") for name, each in file.tables.items()}
    home = out.resolve()
    inner = [name for name, each in paths.items() if home == each.resolve() or home in each.resolve().parents]
    require(not inner, f"the result would be written over the table of {', '.join(inner)}", hint="choose another --out")
    features = None if file.features is None else read_array(inside(folder, file.features, "features"), "features")
    options = AnalysisOptions(file.audit.level, int(given.get("seed", file.audit.seed)), file.release.sets)
    worths = {name: read_array(inside(folder, each, f"utility.{name}"), name) for name, each in file.utility.items()}
    tables = {name: _evidence(name, each) for name, each in paths.items()}
    asked = given_tables(tables, worths, features, file.audit.attacks, file.name, options)
    return audit_given(replace(asked, declared=declared(file.auditor, file.release)), out)


def _evidence(name: str, path: Path) -> Evidence:
    try:
        return Evidence(**arrays_of(path))
    except UserError as error:
        raise UserError(f"tables.{name}: {error}", hint=error.hint) from error
