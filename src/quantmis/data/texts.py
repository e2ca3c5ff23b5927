"""Texts from files, read as a stream: memory holds the texts that are kept, never the file.

A `.txt` file holds a text on each line, or in each paragraph; `.jsonl`, `.csv` and `.parquet` files hold one in a
column of each row. Of more texts than asked for, a random choice is kept, the same for the same seed. What is no text
(an empty line, bytes that are no UTF-8, a line of a megabyte) is left out, counted, and said in the notes.
"""

import csv
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

from quantmis import seeds
from quantmis.data.delimited import fields_of, require_text
from quantmis.errors import UserError, printable, require
from quantmis.files import opened, unreadable
from quantmis.registry import suggestion

AT_MOST = 20_000
"""Texts of one file, where nothing else is asked for: hundreds say something, thousands say it to a percent."""

LARGEST = 2**20
"""Bytes of one text; a longer line is no text but a file that went astray."""

WAYS = ("line", "paragraph")
KINDS = (".txt", ".jsonl", ".csv", ".parquet")

EMPTY, FOREIGN, GIGANTIC = "empty", "no UTF-8", "longer than a megabyte"
BINARY = "with NUL in them"
NO_TEXT, TWICE = "without a text in that column", "there before"


@dataclass(frozen=True)
class Texts:
    """Hold texts, the name of each (its file and where it stands there, from 1), and notes on what was left out.

    `groups`: the document that each is part of, where that is known.

    >>> texts = Texts.of(["to be", "or not to be"])
    >>> texts.names, len(texts)
    (('text:1', 'text:2'), 2)
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None

    @classmethod
    def of(cls, texts: Sequence[str], groups: Sequence[str] | None = None) -> "Texts":
        """Return a list of strings as texts; `groups` name the document that each is part of."""
        count = len(texts if groups is None else groups)
        require(count == len(texts), f"groups: expected one for each of {len(texts)} texts, got {count}")
        for number, text in enumerate(texts, 1):
            good = isinstance(text, str) and bool(text.strip())  # pyright: ignore[reportUnnecessaryIsInstance]
            require(good, f"texts: number {number} is no text but {str(text)[:40]!r}", hint="a list of strings")
        names = tuple(f"text:{number}" for number in range(1, len(texts) + 1))
        return cls(tuple(texts), names, (), None if groups is None else tuple(groups))

    def __len__(self) -> int:
        return len(self.texts)


def read_texts(
    paths: Sequence[str | Path],
    by: str = "line",
    column: str = "text",
    at_most: int = AT_MOST,
    seed: int = 0,
    distinct: bool = True,
    key: str = "data.texts",
    groups: str | None = None,
) -> Texts:
    """Return at most `at_most` texts of each file, in their order, without those that are there twice.

    `by` says what a text of a `.txt` file is, "line" or "paragraph"; `column` names that of other files. `distinct`:
    whether a text that stands in two files is one too; else only one that stands in a file twice. `key` names the files
    in errors. `groups` names the column or key of the document that a text is part of; `.txt` files have none. Raises
    `UserError` for files that are not there, of another kind, or without texts, and for a text of no group.
    """
    require(by in WAYS, f"{key}: by must be one of {', '.join(WAYS)}, got {by!r}", hint=suggestion(by, WAYS))
    require(at_most > 0, f"{key}: at_most must be positive, got {at_most}")
    names = [printable(Path(path).name) for path in paths]
    require(names, f"{key}: name at least one file")
    require(len(set(names)) == len(names), f"{key}: two files have one name", hint="the report tells texts by it")
    source = _Source(by, column, groups, key)
    kept = [_kept(Path(path), source, at_most, seed) for path in paths]
    for each in kept:
        require(each.texts, f"{key}: there is no text in {_note(each)}", hint="a text on each line, in UTF-8")
    return _distinct(kept, distinct, groups is not None)


@dataclass(frozen=True)
class _Source:
    """Say where texts are in a file: what one is in a `.txt` file, the columns of others; `key` names it in errors."""

    by: str
    column: str
    groups: str | None
    key: str

    @property
    def columns(self) -> list[str]:
        """The columns that are read: that of texts and, where one is named, that of groups."""
        return [self.column, *([] if self.groups is None else [self.groups])]


@dataclass(frozen=True)
class _Kept:
    """Hold the texts kept of one file by where they stand, how many there were, and what was left out by reason."""

    name: str
    texts: dict[int, "_Piece"]
    found: int
    left_out: Counter[str]


def _kept(path: Path, source: _Source, at_most: int, seed: int) -> _Kept:
    """Keep the texts with the highest of random numbers, one drawn for each."""
    draw, left_out, found = seeds.generator(seed, "texts", path.name), Counter[str](), 0
    heap: list[tuple[float, int, _Piece]] = []
    for place, text in enumerate(_stream(path, source), 1):
        if text.why:
            left_out[text.why] += 1
            continue
        found += 1
        entry = (draw.random(), place, text)
        heapq.heappush(heap, entry) if len(heap) < at_most else heapq.heappushpop(heap, entry)
    return _Kept(
        printable(path.name),
        {place: text for _, place, text in sorted(heap, key=lambda each: each[1])},
        found,
        left_out,
    )


def _distinct(kept: Sequence[_Kept], everywhere: bool, in_groups: bool) -> Texts:
    texts, names, groups, notes, seen = list[str](), list[str](), list[str](), list[str](), set[str]()
    for file in kept:
        seen = seen if everywhere else set()
        for place, piece in file.texts.items():
            if piece.text in seen:
                file.left_out[TWICE] += 1
                continue
            seen.add(piece.text)
            texts.append(piece.text)
            groups.append(piece.group)
            names.append(f"{file.name}:{place}")
        notes.append(_note(file))
    return Texts(tuple(texts), tuple(names), tuple(notes), tuple(groups) if in_groups else None)


def _note(file: _Kept) -> str:
    chosen = len(file.texts)
    said = f"{file.name}: {file.found:,} texts" + (
        f", {chosen:,} of them drawn at random" if chosen < file.found else ""
    )
    left = ", ".join(f"{count:,} {why}" for why, count in sorted(file.left_out.items()))
    return said + (f"; left out: {left}" if left else "")


class _Piece(NamedTuple):
    """Hold a text and the group that it is of, or why there is none."""

    text: str = ""
    why: str = ""
    group: str = ""


def _stream(path: Path, source: _Source) -> Iterator[_Piece]:
    key = source.key
    readers: dict[str, Callable[[], Iterator[_Piece]]] = {
        ".txt": lambda: _lines(path, key) if source.by == "line" else _paragraphs(path, key),
        ".jsonl": lambda: _json_lines(path, source),
        ".csv": lambda: _csv_rows(path, source),
        ".parquet": lambda: _parquet_rows(path, source),
    }
    kind = path.suffix.lower()
    require(
        kind != ".txt" or source.groups is None,
        f"{key}: {path.name} has no column {source.groups!r}: a .txt file has no columns",
        hint="groups go with .jsonl, .csv and .parquet files",
    )
    require(kind in readers, f"{key}: texts are read from {', '.join(KINDS)}, got {path.name}")
    if kind != ".parquet":
        require_text(path, key)
    try:
        yield from readers[kind]()
    except OSError as error:
        raise unreadable(path, key, error) from error


def _lines(path: Path, key: str) -> Iterator[_Piece]:
    with opened(path, key) as file:
        while line := file.readline(LARGEST + 1):
            if len(line) <= LARGEST:
                yield _decoded(line)
                continue
            while line and not line.endswith(b"\n"):  # the rest of it, a piece at a time
                line = file.readline(LARGEST)
            yield _Piece(why=GIGANTIC)


def _paragraphs(path: Path, key: str) -> Iterator[_Piece]:
    """Yield what stands between empty lines; one bad line spoils its paragraph."""
    for empty, pieces in itertools.groupby(_lines(path, key), key=lambda piece: piece.why == EMPTY):
        if not empty:
            yield _joined(pieces)


def _joined(pieces: Iterator[_Piece]) -> _Piece:
    """Return the lines of a paragraph as one text, holding no more of it than a text may have."""
    held, size, why = list[str](), 0, ""
    for piece in pieces:
        size += len(piece.text) + 1
        why = why or piece.why or (GIGANTIC if size > LARGEST else "")
        if why:
            held.clear()
        else:
            held.append(piece.text)
    return _Piece(why=why) if why else _Piece("\n".join(held))


BLANK = _Piece(why=EMPTY)


def _decoded(line: bytes) -> _Piece:
    if line in (b"\n", b"\r\n"):  # a file may be nothing else
        return BLANK
    try:
        return _cleaned(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _Piece(why=FOREIGN)


def _cleaned(text: Any) -> _Piece:
    if not isinstance(text, str):
        return _Piece(why=NO_TEXT)
    text = text.rstrip("\r\n")
    if len(text) > LARGEST:
        return _Piece(why=GIGANTIC)
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return _Piece(why=FOREIGN)
    if "\0" in text:
        return _Piece(why=BINARY)
    return _Piece(text) if text.strip() else _Piece(why=EMPTY)


def _json_lines(path: Path, source: _Source) -> Iterator[_Piece]:
    key = source.key
    for number, piece in enumerate(_lines(path, key), 1):
        if piece.why:
            yield piece
            continue
        try:
            record = json.loads(piece.text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{key}: line {number} of {path.name} is no JSON: {error}") from error
        require(isinstance(record, dict), f"{key}: line {number} of {path.name} is no JSON object")
        for column in source.columns if number == 1 else ():
            known = [str(name) for name in record]
            require(column in record, f"{key}: {path.name} has no column {column!r}", hint=suggestion(column, known))
        yield _of_group(_cleaned(record.get(source.column)), record.get(source.groups), path, source)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; `ValueError` where it says a key twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it says a key twice")
    return found


def _of_group(piece: _Piece, group: Any, path: Path, source: _Source) -> _Piece:
    """Return a text with the group that its row names; `UserError` where it names none."""
    if source.groups is None or piece.why:
        return piece
    known = isinstance(group, str | int) and str(group).strip()
    message = f"{source.key}: a text of {path.name} is of no group: {source.groups} holds {str(group)[:40]!r}"
    require(known, message, hint="groups are text or whole numbers, one for each text")
    return piece._replace(group=str(group))


def _csv_rows(path: Path, source: _Source) -> Iterator[_Piece]:
    key = source.key
    with opened(path, key) as raw, TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        try:
            with fields_of(2 * LARGEST):
                header = next(rows, [])
            for column in source.columns:
                _require_column(header, column, path, key)
            places = [header.index(column) for column in source.columns]
            while True:
                with fields_of(2 * LARGEST):  # for one row at a time: the limit is that of the whole process
                    row = next(rows, None)
                if row is None:
                    return
                if row:
                    found = [row[place] if place < len(row) else None for place in places]
                    yield _of_group(_cleaned(found[0]), found[-1], path, source)
        except csv.Error as error:
            raise UserError(f"{key}: {path.name} is no CSV, at line {rows.line_num}: {error}") from error


def _parquet_rows(path: Path, source: _Source) -> Iterator[_Piece]:
    key = source.key
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{key}: reading {path.name} needs pyarrow", hint="pip install 'quantmis[parquet]'") from error
    try:
        with opened(path, key) as stream, parquet.ParquetFile(stream) as file:
            for column in source.columns:
                _require_column(file.schema_arrow.names, column, path, key)
            for batch in file.iter_batches(batch_size=1024, columns=source.columns):
                read = [batch.column(column).to_pylist() for column in source.columns]
                for text, group in zip(read[0], read[-1], strict=True):
                    yield _of_group(_cleaned(text), group, path, source)
    except (ValueError, arrow.ArrowException) as error:
        why = (str(error) or "it is damaged").splitlines()[0]
        raise UserError(f"{key}: {path.name} is no Parquet file: {why}") from error


def _require_column(names: Sequence[str], column: str, path: Path, key: str) -> None:
    require(column in names, f"{key}: {path.name} has no column {column!r}", hint=lambda: suggestion(column, names))
    require(list(names).count(column) == 1, f"{key}: {path.name} names the column {column!r} twice")
