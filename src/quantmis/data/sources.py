"""Where the samples of an audit file come from: the keys of its section `[data]`, and what each kind of source reads.

file = "people.csv"        # .csv and .parquet: target = "income", and if wanted features = [...], id = "person",
                           # groups = "household", decimal = "," and thousands = "."
file = "molecules.csv"     # with smiles = "column": molecules, as fingerprint = "ecfp", "maccs", "descriptors", ...
file = "arrays.npz"        # arrays x and y, or those that features = ["..."] and target = "..." name
images = "pictures"        # a folder per class; size = 32
texts = ["in.txt"]         # of a causal-lm: .txt by = "line" or "paragraph"; .jsonl, .csv, .parquet column = "text", or
                           # messages, prompt and completion, ... by their columns, with loss_on = "completion" or "all"
function = "module:load"   # returns x, y or quantmis.Samples(x, y)
"""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from quantmis.data.arrays import read_npz
from quantmis.data.ceiling import ceiling
from quantmis.data.encode import SCALES, features, is_whole, require_columns, target
from quantmis.data.images import read_images
from quantmis.data.keys import GOES_WITH, INPUTS, KINDS, MOLECULES, ROWS_INSTEAD, SAVE, TABLES, Data
from quantmis.data.numbers import require_marks
from quantmis.data.paths import inside, require_no_pickle
from quantmis.data.samples import Samples
from quantmis.data.table import Columns, counts_rows, read_csv, read_parquet, require_present, saved_index
from quantmis.data.texts import Texts, read_texts
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

NAMELESS = re.compile(r"|Unnamed: \d+(_level_\d+)?|index|level_\d+|__index_level_\d+__", re.IGNORECASE)
"""What a column is called that nobody named: the index of a data frame, once it was saved or made a column."""

INDEX = 'a saved index: write id = "{0}", or leave it out by naming the others in features = [...]'

BESIDE = ("prefix", "member_prefix", "corpus")

__all__ = ["TABLES", "Data", "columns_of", "read", "read_beside", "read_samples", "read_text", "require_fitting"]


def read_text(
    data: Data, folder: Path, distinct: bool, mark: str | None = None, end: Callable[[], int] | None = None
) -> Texts:
    """Return the texts of the files that lie in `folder`; `distinct`: whether one in two of them is left out once.

    `mark` names the column that says who was trained on; `end` returns the token that ends documents of packed tokens.
    """
    require_fitting(data)
    spelled = [data.texts] if isinstance(data.texts, str) else data.texts or []
    paths = [inside(folder, each, "data.texts") for each in spelled]
    words: dict[str, Any] = {"distinct": distinct, "groups": data.groups, "mark": mark, "end": end}
    return read_texts(paths, data.by, data.column, data.at_most, **words)


def read_beside(data: Data, folder: Path) -> dict[str, Texts]:
    """Return the texts that attacks need besides those that are audited, by the keys that name their files."""
    files = {key: getattr(data, key) for key in BESIDE}
    return {
        key: read_texts([inside(folder, file, f"data.{key}")], data.by, key=f"data.{key}")
        for key, file in files.items()
        if file is not None
    }


def read(data: Data, folder: Path, besides: Sequence[str] = ()) -> Samples:
    """Return the samples of a file or of images that lie in `folder`; `UserError` names the key that is at fault.

    The columns `besides` are features only where `features` names them.
    """
    require_fitting(data)
    require(data.texts is None, "data.texts: only a language model reads texts", hint='write kind = "causal-lm" first')
    path = inside(folder, str(data.file or data.images), f"data.{_key(data)}")
    if data.kind() in TABLES:
        return _samples(data, _columns(data, path), path, besides)
    return _images(data, path) if data.file is None else _npz(data, path)


def read_samples(source: str | Path, **keys: Any) -> Samples:
    """Return the samples of a .csv, .parquet or .npz file, or of a folder of images per class, as an audit file does.

    `keys` are those of `[data]`: target, features, id, groups, categories, categorical, scale, separator, decimal,
    thousands and columns of tables, size and colour of images, memory. Raises `UserError` as an audit file does, with
    the key that is at fault.

    >>> read_samples("people.csv", target="income", features=["age", "city"], id="person")  # doctest: +SKIP
    """
    path = Path(source).absolute()
    kind = "images" if path.is_dir() else "file"
    try:
        data = Data.model_validate({kind: str(path), **keys})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        unknown = first["type"] == "extra_forbidden"
        hint = suggestion(where, sorted(GOES_WITH.get(path.suffix if kind == "file" else kind, {"file"}) - {kind}))
        raise UserError(f"unknown key {where}" if unknown else f"{where}: {first['msg']}", hint=hint) from error
    return read(data, path.parent)


def require_fitting(data: Data) -> None:
    """Raise `UserError` for a file of a kind that is not read, and for keys that mean nothing with the source."""
    kind = data.kind()
    if data.file is not None:
        require_no_pickle(Path(data.file), "data.file", SAVE)
        kinds = f"a file that ends in {', '.join(KINDS)}"
        require(kind in KINDS, f"data.file: expected {kinds}, got {Path(data.file).name}", hint=SAVE)
    strangers = sorted(data.model_fields_set - GOES_WITH[kind])
    require(
        not strangers,
        f"data.{strangers[0] if strangers else ''} does not go with {_words(kind)}",
        hint=f"with it go {', '.join(sorted(GOES_WITH[kind]))}",
    )
    clash = sorted(data.model_fields_set & {*(MOLECULES[1:] if data.smiles is None else INPUTS)})
    words = "needs smiles" if data.smiles is None else "does not go with smiles: molecules are the inputs"
    require(not clash, f"data.{clash[0] if clash else ''} {words}", hint='smiles = "the column of molecules"')


def _key(data: Data) -> str:
    return "images" if data.file is None else "file"


def _words(kind: str) -> str:
    return {"images": "images", "function": "a function", "texts": "texts"}.get(kind, f"a {kind} file")


def _columns(data: Data, path: Path) -> Columns:
    return _columns_of_csv(data, path) if data.kind() == ".csv" else read_parquet(path, "data.file", data.memory)


def _columns_of_csv(data: Data, path: Path) -> Columns:
    """Return the columns of a CSV file; ids and groups stay the text that they are."""
    require_marks(data.decimal, data.thousands, "data")
    return read_csv(
        path,
        "data.file",
        data.separator,
        data.columns,
        decimal=data.decimal,
        thousands=data.thousands,
        words=(data.id, data.groups),
        memory=data.memory,
    )


def columns_of(data: Data, folder: Path, key: str = "data") -> Columns:
    """Return all the columns of a table in `folder`; `UserError`, of `key`, for a source that is no table."""
    require_fitting(data)
    hint = f"a .csv or .parquet file has; {ROWS_INSTEAD}"
    require(data.kind() in TABLES, f"{key}: there are no columns in {_words(data.kind())}", hint=hint)
    return _columns(data, inside(folder, str(data.file), "data.file"))


def _samples(data: Data, columns: Columns, path: Path, besides: Sequence[str]) -> Samples:
    hint = lambda: suggestion(data.target or "target", columns)  # noqa: E731 it is only asked for where it is needed
    require(data.target is not None, "data.target: say which column is to be predicted", hint=hint)
    ids, groups = (
        None if name is None else _ids(columns, name, f"data.{key}")
        for key, name in (("id", data.id), ("groups", data.groups))
    )
    if data.smiles is None:
        if data.features is None:
            indices = saved_index(path, "data.file") if data.kind() == ".parquet" else frozenset[str]()
            _require_no_index(columns, indices.difference((data.id, data.groups, data.target, *besides)))
        samples = _table(data, columns, ids, groups, besides, ceiling(path.stat().st_size, data.memory))
    else:
        from quantmis.data.molecules import samples_from_smiles

        skip = data.skip_unparsable
        samples = samples_from_smiles(
            columns, data.smiles, str(data.target), data.fingerprint, skip, path.parent, ids, groups
        )
    return _target_scaled(samples, data, columns[str(data.target)].dtype.kind in "US")


def _target_scaled(samples: Samples, data: Data, words: bool) -> Samples:
    rule = data.target_scale
    require(rule in SCALES, f"data.target_scale: unknown rule {rule!r}", hint=suggestion(rule, SCALES))
    if rule == "none":
        return samples
    require(not words, f"data.target_scale: {data.target} holds classes", hint="only what is measured has a scale")
    mean, deviation = float(samples.y.mean(dtype=np.float64)), float(samples.y.std(dtype=np.float64))
    require(deviation > 0, f"data.target: {data.target} is the same everywhere")
    note = f"{data.target}: less {mean:.6g}, divided by {deviation:.6g}"
    return samples.replaced(samples.x, (samples.y - mean) / deviation, [*samples.notes, note])


def _table(
    data: Data,
    columns: Columns,
    ids: list[str] | None,
    groups: list[str] | None,
    besides: Sequence[str],
    most: int,
) -> Samples:
    name = str(data.target)
    targets = target(columns, name, "data", name in data.categorical)
    spoken = (name, data.id, data.groups)
    others = [each for each in columns if each not in (*spoken, *besides)]
    names = others if data.features is None else data.features
    if data.features is None:
        _require_no_counter(columns, names)
    overlap = [each for each in spoken if each in names]
    message = f"data.features: {overlap[:1]} is the target or the id"
    require(not overlap, message, hint="take it out of features; groups is none either")
    categorical = [each for each in data.categorical if each != name]
    inputs = features(columns, names, "data", data.categories, categorical, data.scale, most)
    notes = [f"{name} from {', '.join(names)}", *targets.notes, *inputs.notes]
    return Samples(inputs.x, targets.y, ids, notes, groups, targets.class_names)


def _require_no_index(columns: Columns, names: Collection[str]) -> None:
    """Raise `UserError` for a column that was the index of a saved data frame, whatever it holds."""
    name = next((each for each in names if each in columns), None)
    require(
        name is None,
        f"data.features: column {name!r} is the index of a saved data frame: it is no feature unless you say so",
        hint=INDEX.format(name),
    )


def _require_no_counter(columns: Columns, names: Sequence[str]) -> None:
    """Raise `UserError` for a column that only counts the rows, or has no name: the index of a saved data frame."""
    for name in names:
        nameless = NAMELESS.fullmatch(name) is not None
        require(
            not nameless and not counts_rows(columns[name]),
            f"data.features: column {name!r} {'has no name' if nameless else 'counts the rows'}: "
            "it is no feature unless you say so",
            hint=INDEX.format(name),
        )


def _ids(columns: Columns, name: str, key: str) -> list[str]:
    require_columns(columns, [name], key)
    require_present(columns, [name], key)
    column = columns[name]
    whole = column.dtype.kind in "biuf" and is_whole(column)
    return [str(int(value)) if whole else str(value) for value in column]


def _npz(data: Data, path: Path) -> Samples:
    is_target = data.features is not None and (data.target or "y") in data.features
    require(not is_target, "data.features: one of them is the target", hint="take it out of features")
    return read_npz(path, "data.file", data.features or ["x"], data.target or "y", data.id, data.groups, data.memory)


def _images(data: Data, path: Path) -> Samples:
    return read_images(path, "data.images", data.size, data.colour, data.memory)
