"""The texts of one file, one after the other: a line, a paragraph, or what a row holds, or why it is none."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

from quantmis.data.delimited import fields_of, require_text
from quantmis.data.examples import Example, Form, NoExampleError, form_of
from quantmis.data.packed import ARRAYS, DOCUMENTS, IDS, PACKED, documents, rows_of_arrays
from quantmis.errors import UserError, require
from quantmis.files import opened, unreadable
from quantmis.registry import suggestion

LARGEST = 2**20
"""Bytes of one text; a longer line is no text but a file that went astray."""

WAYS = ("line", "paragraph")
KINDS = (".txt", ".jsonl", ".csv", ".parquet", *ARRAYS)

EMPTY, FOREIGN, GIGANTIC = "empty", "no UTF-8", "longer than a megabyte"
BINARY = "with NUL in them"


@dataclass(frozen=True)
class TextSource:
    """Say where texts are in a file: what one is in a `.txt` file, the columns of others; `key` names it in errors.

    `column`: None for whichever form the columns of the file show. `mark`: the column that says who was trained on.
    `end` returns the token that ends a document of packed tokens.
    """

    by: str
    column: str | None
    groups: str | None
    key: str
    mark: str | None = None
    end: Callable[[], int] | None = None

    @property
    def besides(self) -> list[str]:
        """The columns that are read beside the texts: those of groups and of marks, where they are named."""
        return [each for each in (self.groups, self.mark) if each is not None]

    def form(self, names: Sequence[str], path: Path) -> Form:
        """Return what the columns `names` of a file hold; `UserError` where one is missing, or there twice."""
        form = form_of(names, self.column, self.key, path.name)
        for column in (*form.columns(names), *self.besides):
            _require_column(names, column, path, self.key)
        return form


class Piece(NamedTuple):
    """Hold a text and the group that it is of, or why there is none.

    `example`: what the text is made of, where it has a prompt or turns; then `text` only tells it from others. `mark`:
    what its row says of who was trained on it. `tokens`: of a document of packed tokens, which is read as these.
    """

    text: str = ""
    why: str = ""
    group: str = ""
    mark: str = ""
    example: Example | None = None
    form: str = "texts"
    tokens: tuple[int, ...] = ()


def stream(path: Path, source: TextSource) -> Iterator[Piece]:
    """Yield the texts of a file one after the other, each or why it is none; `UserError` for files of another kind."""
    key = source.key
    readers: dict[str, Callable[[], Iterator[Piece]]] = {
        ".txt": lambda: _lines(path, key) if source.by == "line" else _paragraphs(path, key),
        ".jsonl": lambda: _json_lines(path, source),
        ".csv": lambda: _csv_rows(path, source),
        ".parquet": lambda: _parquet_rows(path, source),
        **dict.fromkeys(ARRAYS, lambda: _array_rows(path, source)),
    }
    kind = path.suffix.lower()
    require(
        kind not in (".txt", *ARRAYS) or not source.besides,
        f"{key}: {path.name} has no column {''.join(source.besides[:1])!r}: a {kind} file has no columns",
        hint="columns go with .jsonl, .csv and .parquet files",
    )
    require(kind in readers, f"{key}: texts are read from {', '.join(KINDS)}, got {path.name}")
    if kind not in (".parquet", *ARRAYS):
        require_text(path, key)
    try:
        yield from readers[kind]()
    except OSError as error:
        raise unreadable(path, key, error) from error


def _lines(path: Path, key: str) -> Iterator[Piece]:
    with opened(path, key) as file:
        while line := file.readline(LARGEST + 1):
            if len(line) <= LARGEST:
                yield _decoded(line)
                continue
            while line and not line.endswith(b"\n"):  # the rest of it, a piece at a time
                line = file.readline(LARGEST)
            yield Piece(why=GIGANTIC)


def _paragraphs(path: Path, key: str) -> Iterator[Piece]:
    """Yield what stands between empty lines; one bad line spoils its paragraph."""
    for empty, pieces in itertools.groupby(_lines(path, key), key=lambda piece: piece.why == EMPTY):
        if not empty:
            yield _joined(pieces)


def _joined(pieces: Iterator[Piece]) -> Piece:
    """Return the lines of a paragraph as one text, holding no more of it than a text may have."""
    lines, size, why = list[str](), 0, ""
    for piece in pieces:
        size += len(piece.text) + 1
        why = why or piece.why or (GIGANTIC if size > LARGEST else "")
        if why:
            lines.clear()
        else:
            lines.append(piece.text)
    return Piece(why=why) if why else Piece("\n".join(lines))


BLANK = Piece(why=EMPTY)


def _decoded(line: bytes) -> Piece:
    if line in (b"\n", b"\r\n"):  # a file may be nothing else
        return BLANK
    try:
        return _cleaned(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Piece(why=FOREIGN)


def _cleaned(text: str) -> Piece:
    text = text.rstrip("\r\n")
    if len(text) > LARGEST:
        return Piece(why=GIGANTIC)
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return Piece(why=FOREIGN)
    if "\0" in text:
        return Piece(why=BINARY)
    return Piece(text) if text.strip() else Piece(why=EMPTY)


def _piece(row: Mapping[str, Any], form: Form, path: Path, source: TextSource) -> Piece:
    """Return the text of a row with its group and its mark, or why it holds none."""
    try:
        held = form.read(row)
    except NoExampleError as error:
        return Piece(why=str(error))
    piece = _cleaned(held) if isinstance(held, str) else _of_example(held)
    if piece.why:
        return piece
    group = "" if source.groups is None else _named(row.get(source.groups), source.groups, path, source.key)
    mark = "" if source.mark is None else spelled(row.get(source.mark))
    return piece._replace(group=group, mark=mark, form=form.title)


def _pieces(row: Mapping[str, Any], form: Form, path: Path, source: TextSource, number: int) -> Iterator[Piece]:
    """Yield the text of a row, or the documents of one of packed tokens."""
    if form.title != PACKED:
        yield _piece(row, form, path, source)
        return
    group = "" if source.groups is None else _named(row.get(source.groups), source.groups, path, source.key)
    mark = "" if source.mark is None else spelled(row.get(source.mark))
    end = None if source.end is None else source.end()
    for tokens in documents(row, end, f"{source.key}: row {number} of {path.name}"):
        yield Piece(" ".join(map(str, tokens)), "", group, mark, None, DOCUMENTS, tokens)


def _array_rows(path: Path, source: TextSource) -> Iterator[Piece]:
    form = source.form([IDS], path)
    for number, row in enumerate(rows_of_arrays(path, source.key), 1):
        yield from _pieces(row, form, path, source, number)


def _of_example(example: Example) -> Piece:
    why = [piece.why for piece in map(_cleaned, example.strings()) if piece.why not in ("", EMPTY)]
    whole = str(example)
    return Piece(why=why[0] if why else GIGANTIC) if why or len(whole) > LARGEST else Piece(whole, example=example)


def _named(group: Any, column: str, path: Path, key: str) -> str:
    """Return the group that a row names; `UserError` where it names none."""
    is_group = isinstance(group, str | int) and str(group).strip()
    message = f"{key}: a text of {path.name} is of no group: {column} holds {str(group)[:40]!r}"
    require(is_group, message, hint="groups are text or whole numbers, one for each text")
    return str(group)


def spelled(value: Any) -> str:
    """Write a value of a column as people write it: whole numbers without a point, true as TOML does."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _json_lines(path: Path, source: TextSource) -> Iterator[Piece]:
    key, form = source.key, None
    for number, piece in enumerate(_lines(path, key), 1):
        if piece.why:
            yield piece
            continue
        try:
            record = json.loads(piece.text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{key}: line {number} of {path.name} is no JSON: {error}") from error
        require(isinstance(record, dict), f"{key}: line {number} of {path.name} is no JSON object")
        form = form or source.form([str(name) for name in record], path)
        yield from _pieces(record, form, path, source, number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; `ValueError` where it says a key twice."""
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("it says a key twice")
    return record


def _csv_rows(path: Path, source: TextSource) -> Iterator[Piece]:
    key = source.key
    with opened(path, key) as raw, TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        try:
            with fields_of(2 * LARGEST):
                header = next(rows, [])
            form = source.form(header, path)
            while True:
                with fields_of(2 * LARGEST):  # for one row at a time: the limit is that of the whole process
                    row = next(rows, None)
                if row is None:
                    return
                if row:
                    yield _piece(dict(zip(header, row, strict=False)), form, path, source)
        except csv.Error as error:
            raise UserError(f"{key}: {path.name} is no CSV, at line {rows.line_num}: {error}") from error


def _parquet_rows(path: Path, source: TextSource) -> Iterator[Piece]:
    key = source.key
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{key}: reading {path.name} needs pyarrow", hint="pip install 'quantmis[parquet]'") from error
    try:
        with opened(path, key) as stream, parquet.ParquetFile(stream) as file:
            names = file.schema_arrow.names
            form = source.form(names, path)
            columns = [*dict.fromkeys((*form.columns(names), *source.besides))]
            rows = (row for batch in file.iter_batches(batch_size=1024, columns=columns) for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                yield from _pieces(row, form, path, source, number)
    except (ValueError, arrow.ArrowException) as error:
        why = (str(error) or "it is damaged").splitlines()[0]
        raise UserError(f"{key}: {path.name} is no Parquet file: {why}") from error


def _require_column(names: Sequence[str], column: str, path: Path, key: str) -> None:
    require(column in names, f"{key}: {path.name} has no column {column!r}", hint=lambda: suggestion(column, names))
    require(list(names).count(column) == 1, f"{key}: {path.name} names the column {column!r} twice")
