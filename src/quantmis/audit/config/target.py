"""From the section `[target]` to the target: its weights, who was trained on, and versions that were made elsewhere."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from quantmis.audit.config.functions import function
from quantmis.audit.config.sections import AuditFile, Elsewhere
from quantmis.audit.config.sections import Target as Section
from quantmis.audit.config.texts import texts_of
from quantmis.audit.target.target import Artefact, Target, Version
from quantmis.data.archives import read_array
from quantmis.data.delimited import text_in
from quantmis.data.loss_tables import arrays_of
from quantmis.data.paths import inside
from quantmis.data.samples import Samples
from quantmis.data.sources import TABLES, columns_of
from quantmis.data.text_files import spelled
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.files import nearby
from quantmis.model_folders import last_checkpoint
from quantmis.models.secrets import Secrets
from quantmis.quantizers import QUANTIZERS
from quantmis.registry import suggestion

SHOWN = 20
MOST_DIGITS = 19
TRUTH = {"true": 1.0, "false": 0.0}


def target_of(file: AuditFile, samples: Samples, folder: Path, secrets: Secrets | None = None) -> Target | None:
    """Return the target that the file describes, or None where it describes none."""
    section = file.target
    if section is None:
        return None
    _require_trained(file, section, folder)
    members, others, *forget = sides_of(file, section, samples, folder)
    before, retrained = (_weights(each, section, folder, key) for key, each in _beside(section).items())
    path = inside(folder, section.weights, "target.weights")
    last = last_checkpoint(path)
    name = section.weights if last == path else f"{section.weights}, {last.name}"
    return Target(
        Artefact(path, section.rename, _base(section, folder)),
        members,
        others,
        {each.name: _version(each, samples, folder) for each in section.versions},
        section.overlap,
        section.name or name,
        section.confounded,
        section.like,
        section.accuracy,
        forget=forget[0] if forget else None,
        before=before,
        retrained=retrained,
        secrets=secrets,
        members_utility=section.members_accuracy,
    )


def _base(section: Section, folder: Path) -> str | Path | None:
    """Return what the base of an adapter runs as: a quantized model where there is one of that name, or a quantizer."""
    if section.base is None:
        return None
    if (folder / section.base).exists():
        return inside(folder, section.base, "target.base")
    QUANTIZERS.parse(section.base)  # which refuses what is misspelled
    return section.base


def _beside(section: Section) -> dict[str, str | None]:
    return {"target.before": section.before, "target.retrained": section.retrained}


def _weights(name: str | None, section: Section, folder: Path, key: str) -> Artefact | None:
    return None if name is None else Artefact(inside(folder, name, key), section.rename)


def _keys(section: Section) -> dict[str, str | int | float]:
    """Return what tells the sides, by their keys: members, non-members and, where there are any, forgotten ones."""
    forget = {} if section.forget is None else {"forget": section.forget}
    return {"members": section.members, "non_members": section.non_members, **forget}


def _require_trained(file: AuditFile, section: Section, folder: Path) -> None:
    """Raise `UserError` where the weights are those that fresh models start from: nobody was trained on by these."""
    model = file.model
    if model.folder is None or model.pretrained is False:
        return
    weights = inside(folder, section.weights, "target.weights").resolve()
    start = inside(folder, model.folder, "model.folder").resolve()
    require(
        weights != start and start not in weights.parents,
        f"target.weights: {section.weights} is [model] folder itself, the model before it was fine-tuned",
        hint="name the fine-tuned weights or the adapter; where the folder holds the trained model and models are not "
        "to start from it: [model] pretrained = false",
    )


def sides_of(file: AuditFile, section: Section, samples: Samples, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    """Return the rows of members, of non-members and of what was forgotten, in whichever way the section tells them."""
    names = [str(each) for each in _keys(section).values()]
    texts = [file.data.texts] if isinstance(file.data.texts, str) else file.data.texts or []
    if section.column and file.kind is not None:
        return _by_marks(file, section, samples, folder)
    if section.column:
        return _by_column(file, section, folder)
    if any(each in texts for each in names):
        for key, each in zip(_keys(section), names, strict=True):
            require(each in texts, f"target.{key}: {each!r} is none of data.texts", hint=suggestion(each, texts))
        return [samples.rows_of(Path(each).name) for each in names]
    if file.data.images is not None:
        parts = [samples.below(each) for each in names]
        if all(map(len, parts)):
            return parts
    return _by_files(file, section, samples, folder)


def _by_column(file: AuditFile, section: Section, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    columns = columns_of(file.data, folder, "target.column")
    name = str(section.column)
    require(name in columns, f"target.column: there is no column {name!r}", hint=suggestion(name, columns))
    values = columns[name]
    spellings = [_spoken(value) for value in dict.fromkeys(values.tolist())]
    sides = list[np.ndarray]()
    for key, value in _keys(section).items():
        rows = np.flatnonzero(_is(values, value))
        hint = f"{suggestion(str(value), spellings[:SHOWN])}; it holds {len(spellings)} different values"
        require(len(rows), f"target.{key}: column {name!r} holds no {value!r}", hint=hint)
        sides.append(rows)
    return sides


def _by_marks(file: AuditFile, section: Section, samples: Samples, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    """Return the rows of texts whose files say in a column who was trained on; those of other values are on no side."""
    texts = texts_of(file, folder, False, section.column)
    marks = dict(zip(texts.names, map(_truth, texts.marks or ()), strict=True))
    values = np.array([marks[name] for name in samples.names.tolist()])
    sides = list[np.ndarray]()
    for key, value in _keys(section).items():
        rows = np.flatnonzero(values == _truth(spelled(value)))
        hint = suggestion(str(value), list(dict.fromkeys(values.tolist()))[:SHOWN])
        require(len(rows), f"target.{key}: the column {section.column!r} of the texts holds no {value!r}", hint=hint)
        sides.append(rows)
    return sides


def _truth(word: str) -> str:
    """Write true and false as 1 and 0, whichever a file says."""
    return {"true": "1", "false": "0"}.get(word.lower(), word)


def _is(column: np.ndarray, value: str | float) -> np.ndarray:
    """Return where a column holds a value: in a column of numbers, `1`, `"1"`, `1.0` and `"true"` are one."""
    if column.dtype.kind in "US":
        return column == str(value)
    meant = TRUTH.get(str(value).strip().lower(), value)
    try:
        return column.astype(np.float64) == float(meant)
    except ValueError:
        return np.zeros(len(column), dtype=bool)


def _spoken(value: str | float) -> str:
    """Write a value of a column as people write it: whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _by_files(file: AuditFile, section: Section, samples: Samples, folder: Path) -> list[Int[np.ndarray, " rows"]]:
    names = _keys(section)
    for key, each in names.items():
        hint = 'with column = "split" it is a value in that column'
        require(isinstance(each, str), f"target.{key}: expected the name of a file, got {each!r}", hint=hint)
    return [_by_file(file, key, str(each), samples, folder) for key, each in names.items()]


def _by_file(file: AuditFile, key: str, name: str, samples: Samples, folder: Path) -> Int[np.ndarray, " rows"]:
    path = folder / name
    is_there = path.exists() or file.data.kind() not in TABLES
    hint = f"{nearby(path)}; of a value in a column of {file.data.file}: column = that column"
    require(is_there, f"target.{key}: there is no file {name!r} of row numbers or ids", hint=hint)
    return _rows(inside(folder, name, f"target.{key}"), samples, f"target.{key}")


def _rows(path: Path, samples: Samples, key: str) -> Int[np.ndarray, " rows"]:
    """Return the rows that a file names: whole numbers in `.npy`, else a row number or an id on each line."""
    if path.suffix == ".npy":
        return _of_array(read_array(path, key), len(samples), key)
    lines = [line.strip() for line in text_in(path, key).splitlines()]
    return _numbers([line for line in lines if line], samples, key)


def _of_array(rows: np.ndarray, samples: int, key: str) -> Int[np.ndarray, " rows"]:
    """Return whole numbers as they are, and those that a mask of all samples marks."""
    if rows.dtype.kind != "b":
        return rows
    good = rows.shape == (samples,)
    require(good, f"{key}: expected a mask of {samples} samples, got shape {rows.shape}", hint="or numbers of rows")
    return np.flatnonzero(rows)


def _numbers(names: list[str], samples: Samples, key: str) -> Int[np.ndarray, " rows"]:
    if samples.ids is None:
        strange = [name for name in names if not name.isdecimal()]
        hint = "row numbers count from 0; ids need [data] id"
        require(not strange, f"{key}: {strange[:1]} is no row number", hint=hint)
        rows = [int(name) for name in names if len(name) < MOST_DIGITS]
        none = [name for name in names if len(name) >= MOST_DIGITS or int(name) >= len(samples)]
        last = len(samples) - 1
        message = f"{key}: there is no row {none[0][:MOST_DIGITS] if none else ''}: the samples are rows 0 to {last}"
        require(not none, message, hint="row numbers count from 0, without the header of a table")
        return np.array(rows, dtype=np.int64)
    where = {name: row for row, name in enumerate(samples.ids.tolist())}
    strange = [name for name in names if name not in where]
    hint = f"ids are those of the column that [data] id names, such as {', '.join(list(where)[:3])}"
    require(not strange, f"{key}: {len(strange)} ids are not in the data, the first is {strange[:1]}", hint=hint)
    return np.array([where[name] for name in names], dtype=np.int64)


def _version(section: Elsewhere, samples: Samples, folder: Path) -> Version:
    key = f"target.versions.{section.name}"
    if section.predict is not None:
        return Version(function(section.predict, folder, key), section.like)
    if section.weights is not None:
        path = inside(folder, section.weights, key)
        return Version(Artefact(path, section.rename), section.like)
    arrays = arrays_of(inside(folder, str(section.table), key), ("losses",), samples.ids, len(samples))
    arrays["member"] = np.zeros(arrays["losses"].shape, dtype=bool)
    return Version(Evidence(**arrays), section.like)
