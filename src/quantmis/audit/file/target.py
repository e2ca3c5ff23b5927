"""From the section `[target]` to the target: its weights, who was trained on, and versions that were made elsewhere."""

import tokenize
from pathlib import Path

import numpy as np
from jaxtyping import Int

from quantmis.audit.file.functions import function
from quantmis.audit.file.sections import AuditFile, Elsewhere
from quantmis.audit.file.sections import Target as Section
from quantmis.audit.target import Artefact, Target, Version
from quantmis.data.paths import inside
from quantmis.data.samples import Samples
from quantmis.data.sources import columns_of
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.evidence_table import arrays_of
from quantmis.registry import suggestion

DIGITS = 18
"""Digits of a row number that every 64-bit integer can hold."""


def target_of(file: AuditFile, samples: Samples, folder: Path) -> Target | None:
    """Return the target that the file describes, or None where it describes none."""
    section = file.target
    if section is None:
        return None
    members, others = _sides(file, section, samples, folder)
    return Target(
        Artefact(inside(folder, section.weights, "target.weights"), section.rename),
        members,
        others,
        {each.name: _version(each, folder) for each in section.versions},
        section.overlap,
        section.name or section.weights,
        section.confounded,
        section.like,
    )


def _sides(file: AuditFile, section: Section, samples: Samples, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    """Return the rows of members and of non-members, in whichever way the section tells them."""
    named = (section.members, section.non_members)
    texts = [file.data.texts] if isinstance(file.data.texts, str) else file.data.texts or []
    if section.column:
        return _by_column(file, section, folder)
    if all(each in texts for each in named):
        return [samples.rows_of(Path(each).name) for each in named]
    return _by_files(section, samples, folder)


def _by_column(file: AuditFile, section: Section, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    columns = columns_of(file.data, folder)
    name = str(section.column)
    require(name in columns, f"target.column: there is no column {name!r}", hint=suggestion(name, columns))
    values = columns[name].astype(str)
    found = list(dict.fromkeys(values.tolist()))
    for key, value in (("members", section.members), ("non_members", section.non_members)):
        hint = suggestion(value, found)
        require(value in found, f"target.{key}: column {name!r} holds no {value!r}", hint=hint)
    return [np.flatnonzero(values == value) for value in (section.members, section.non_members)]


def _by_files(section: Section, samples: Samples, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    given = {"members": section.members, "non_members": section.non_members}
    return [_rows(inside(folder, each, f"target.{key}"), samples, f"target.{key}") for key, each in given.items()]


def _rows(path: Path, samples: Samples, key: str) -> Int[np.ndarray, " rows"]:
    """Return the rows that a file names: whole numbers in `.npy`, else a row number or an id on each line."""
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, EOFError, tokenize.TokenError) as error:
        hint = "a text file with a row number or an id on each line, or whole numbers in .npy"
        raise UserError(f"{key}: cannot read {path}: {error}", hint=hint) from error
    return _numbers([line for line in lines if line], samples, key)


def _numbers(names: list[str], samples: Samples, key: str) -> Int[np.ndarray, " rows"]:
    if samples.ids is None:
        strange = [name for name in names if not name.isdecimal() or len(name) > DIGITS]
        hint = "row numbers count from 0; ids need [data] id"
        require(not strange, f"{key}: {strange[:1]} is no row number", hint=hint)
        return np.array(names, dtype=np.int64)
    where = {name: row for row, name in enumerate(samples.ids.tolist())}
    strange = [name for name in names if name not in where]
    require(not strange, f"{key}: {len(strange)} ids are not in the data, the first is {strange[:1]}")
    return np.array([where[name] for name in names], dtype=np.int64)


def _version(section: Elsewhere, folder: Path) -> Version:
    key = f"target.versions.{section.name}"
    if section.function is not None:
        return Version(function(section.function, folder, key), section.like)
    if section.weights is not None:
        path = inside(folder, section.weights, key)
        return Version(Artefact(path, section.rename), section.like)
    arrays = arrays_of(inside(folder, str(section.table), key), needed=("losses",))
    arrays["member"] = np.zeros(arrays["losses"].shape, dtype=bool)
    return Version(Evidence(**arrays), section.like)
