"""Where the samples of an audit file come from: the keys of its section `[data]`, and what each kind of source reads.

file = "people.csv"        # .csv and .parquet: target = "income", and if wanted features = [...] and id = "person"
file = "molecules.csv"     # with smiles = "column": molecules, as fingerprint = "ecfp", "maccs", "descriptors", ...
file = "arrays.npz"        # arrays x and y, or those that features = ["..."] and target = "..." name
images = "pictures"        # a folder per class; size = 32
texts = ["in.txt"]         # of a causal-lm: .txt by = "line" or "paragraph"; .jsonl, .csv, .parquet column = "text"
function = "module:load"   # returns x, y or quantmis.Samples(x, y)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quantmis.data.arrays import read_npz
from quantmis.data.encode import RULES, SCALES, features, is_whole, require_columns, target
from quantmis.data.images import COLOURS, read_images
from quantmis.data.paths import inside, require_no_pickle
from quantmis.data.samples import Samples
from quantmis.data.table import Columns, read_csv, read_parquet, require_present
from quantmis.data.texts import AT_MOST, Texts, read_texts
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

INPUTS = ("features", "categories", "categorical", "scale")
MOLECULES = ("smiles", "fingerprint", "skip_unparsable")
GOES_WITH = {
    ".csv": {"file", "target", "target_scale", "id", "separator", "columns", *INPUTS, *MOLECULES},
    ".parquet": {"file", "target", "target_scale", "id", *INPUTS, *MOLECULES},
    ".npz": {"file", "target", "features", "id"},
    "images": {"images", "size", "colour"},
    "function": {"function"},
    "texts": {"texts", "by", "column", "at_most", "longest"},
}
KINDS = (".npz", ".csv", ".parquet")
TABLES = (".csv", ".parquet")
ROWS_INSTEAD = 'leave column out, and name files of row numbers or ids: members = "members.txt"'
SAVE = "np.savez(path, x=x, y=y) saves arrays; .csv and .parquet hold tables"


def _words_of(*words: str) -> Any:
    """Tell editors which words there are; whoever takes them refuses others with the nearest."""
    return Field(json_schema_extra={"enum": list(words)})


class Data(BaseModel):
    """Say where inputs and targets are: in a `file`, in a folder of `images`, in what a `function` returns, in `texts`.

    For tables: `target` names the column that is predicted, `features` those that it is predicted from (by default all
    others but `id`), `id` the one that names samples in the report. `categories`: how columns of text become numbers,
    "one-hot" or "ordinal"; `categorical` names columns of numbers that are categories too. `scale = "standard"` brings
    the other columns to mean 0 and variance 1. `columns` names those of a CSV file without a header, `separator` is
    what divides them. `target_scale = "standard"` brings a target that is measured to mean 0 and variance 1. `smiles`
    names a column of molecules, which then are the inputs, as the `fingerprint` that is named: "ecfp", "maccs",
    "descriptors", "precomputed(file=...)", "transformer(model=...)", with parameters if wanted; copies of a molecule
    are removed, and with `skip_unparsable` what is no molecule is left out and listed. For `.npz`: `target`, `features`
    and `id` name arrays, by default `y` and `x`. For images: `size` is that of the squares that they are scaled to,
    `colour` is "rgb" or "grey". For texts: `by` says what a text of a `.txt` file is, "line" or "paragraph", `column`
    which column or key of other files holds it, `at_most` how many of each file are drawn, and `longest` how many
    tokens of each are read.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        json_schema_extra={"oneOf": [{"required": [each]} for each in ("file", "images", "function", "texts")]},
    )

    file: str | None = None
    """A .csv, .parquet or .npz file."""
    images: str | None = None
    """A folder that holds a folder of images per class."""
    function: str | None = None
    """`module:load`, a function that returns x, y or quantmis.Samples(x, y)."""
    texts: str | list[str] | None = None
    """Of a causal-lm: .txt, .jsonl, .csv or .parquet files."""
    target: str | None = None
    """The column that is predicted; of .npz the array, y by default."""
    target_scale: Annotated[str, _words_of(*SCALES)] = "none"
    """standard brings a target that is measured to mean 0 and variance 1."""
    smiles: str | None = None
    """The column of molecules, which then are the inputs."""
    fingerprint: str = "ecfp"
    """What molecules become: ecfp, maccs, descriptors, precomputed(file=...) or transformer(model=...)."""
    skip_unparsable: bool = False
    """Leave out, and list, what is no molecule."""
    features: list[str] | None = None
    """The columns that it is predicted from, in the order of the model's inputs; by default all others."""
    id: str | None = None
    """The column that names samples in the report, in files of members and in loss tables."""
    categories: Annotated[str, _words_of(*RULES)] = "one-hot"
    """How columns of text become numbers: one-hot or ordinal."""
    categorical: list[str] = []
    """Columns of numbers that are categories too."""
    scale: Annotated[str, _words_of(*SCALES)] = "none"
    """standard brings columns of numbers to mean 0 and variance 1 over all rows."""
    separator: str = ","
    """What divides the columns of a CSV file."""
    columns: list[str] | None = None
    """The names of the columns of a CSV file without a header."""
    size: int | None = None
    """Pixels of the squares that images are scaled to."""
    colour: Annotated[str, _words_of(*COLOURS)] = "rgb"
    """rgb or grey."""
    by: Annotated[str, _words_of("line", "paragraph")] = "line"
    """What a text of a .txt file is: a line or a paragraph."""
    column: str = "text"
    """The column or key of .csv, .parquet and .jsonl files that holds the texts."""
    at_most: int = AT_MOST
    """How many texts of each file are drawn."""
    longest: int | None = None
    """How many tokens of each text are read."""

    @model_validator(mode="after")
    def _one(self) -> "Data":
        if sum(each is not None for each in (self.file, self.images, self.function, self.texts)) != 1:
            choices = 'file = "data.csv", images = "folder", function = "module:function" or texts = ["texts.txt"]'
            raise ValueError(f"give either {choices}")
        return self

    def kind(self) -> str:
        """Return which kind of source this is: the end of the name of a file, "images", "function" or "texts"."""
        if self.texts is not None:
            return "texts"
        return Path(self.file).suffix.lower() if self.file is not None else "images" if self.images else "function"


def read_text(data: Data, folder: Path, distinct: bool) -> Texts:
    """Return the texts of the files that lie in `folder`; `distinct`: whether one in two of them is left out once."""
    require_fitting(data)
    spelled = [data.texts] if isinstance(data.texts, str) else data.texts or []
    paths = [inside(folder, each, "data.texts") for each in spelled]
    return read_texts(paths, data.by, data.column, data.at_most, distinct=distinct)


def read(data: Data, folder: Path) -> Samples:
    """Return the samples of a file or of images that lie in `folder`; `UserError` names the key that is at fault."""
    require_fitting(data)
    require(data.texts is None, "data.texts: only a language model reads texts", hint='write kind = "causal-lm" first')
    return READERS[data.kind()](data, inside(folder, str(data.file or data.images), f"data.{_key(data)}"))


def read_samples(source: str | Path, **keys: Any) -> Samples:
    """Return the samples of a .csv, .parquet or .npz file, or of a folder of images per class, as an audit file does.

    `keys` are those of `[data]`: target, features, id, categories, categorical, scale, separator and columns of tables,
    size and colour of images. Raises `UserError` as an audit file does, with the key that is at fault.

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
        known = f"a file that ends in {', '.join(KINDS)}"
        require(kind in KINDS, f"data.file: expected {known}, got {Path(data.file).name}", hint=SAVE)
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


def _csv(data: Data, path: Path) -> Samples:
    return _samples(data, read_csv(path, "data.file", data.separator, data.columns), path.parent)


def columns_of(data: Data, folder: Path, key: str = "data") -> Columns:
    """Return all the columns of a table in `folder`; `UserError`, of `key`, for a source that is no table."""
    require_fitting(data)
    hint = f"a .csv or .parquet file has; {ROWS_INSTEAD}"
    require(data.kind() in TABLES, f"{key}: there are no columns in {_words(data.kind())}", hint=hint)
    path = inside(folder, str(data.file), "data.file")
    if data.kind() == ".csv":
        return read_csv(path, "data.file", data.separator, data.columns)
    return read_parquet(path, "data.file")


def _parquet(data: Data, path: Path) -> Samples:
    return _samples(data, read_parquet(path, "data.file"), path.parent)


def _samples(data: Data, columns: Columns, folder: Path) -> Samples:
    hint = suggestion(data.target or "target", columns)
    require(data.target is not None, "data.target: say which column is to be predicted", hint=hint)
    ids = None if data.id is None else _ids(columns, data.id)
    if data.smiles is None:
        found = _table(data, columns, ids)
    else:
        from quantmis.data.molecules import samples_from_smiles

        skip = data.skip_unparsable
        found = samples_from_smiles(columns, data.smiles, str(data.target), data.fingerprint, skip, folder, ids)
    return _target_scaled(found, data, columns[str(data.target)].dtype.kind in "US")


def _target_scaled(samples: Samples, data: Data, words: bool) -> Samples:
    rule = data.target_scale
    require(rule in SCALES, f"data.target_scale: unknown rule {rule!r}", hint=suggestion(rule, SCALES))
    if rule == "none":
        return samples
    require(not words, f"data.target_scale: {data.target} holds classes", hint="only what is measured has a scale")
    mean, deviation = float(samples.y.mean(dtype=np.float64)), float(samples.y.std(dtype=np.float64))
    require(deviation > 0, f"data.target: {data.target} is the same everywhere")
    note = f"{data.target}: less {mean:.6g}, divided by {deviation:.6g}"
    return Samples(samples.x, (samples.y - mean) / deviation, samples.ids, [*samples.notes, note])


def _table(data: Data, columns: Columns, ids: list[str] | None) -> Samples:
    name = str(data.target)
    y, said = target(columns, name, "data")
    spoken = (name, data.id)
    chosen = [each for each in columns if each not in spoken] if data.features is None else data.features
    overlap = [each for each in spoken if each in chosen]
    require(not overlap, f"data.features: {overlap[:1]} is the target or the id", hint="take it out of features")
    found = features(columns, chosen, "data", data.categories, data.categorical, data.scale)
    return Samples(found.x, y, ids, [f"{name} from {', '.join(chosen)}", *said, *found.notes])


def _ids(columns: Columns, name: str) -> list[str]:
    require_columns(columns, [name], "data.id")
    require_present(columns, [name], "data.id")
    column = columns[name]
    whole = column.dtype.kind in "biuf" and is_whole(column)
    return [str(int(value)) if whole else str(value) for value in column]


def _npz(data: Data, path: Path) -> Samples:
    named = data.features or ["x"]
    require(len(named) == 1, "data.features: inputs of an .npz file are one array", hint="np.concatenate them")
    return read_npz(path, "data.file", named[0], data.target or "y", data.id)


def _images(data: Data, path: Path) -> Samples:
    return read_images(path, "data.images", data.size, data.colour)


READERS: dict[str, Callable[[Data, Path], Samples]] = {
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
    "images": _images,
}
