"""Texts from files, read as a stream: memory holds the texts that are kept, never the file.

A `.txt` file holds a text on each line, or in each paragraph; `.jsonl`, `.csv` and `.parquet` files hold one in a
column of each row, or an example to fine-tune on (`quantmis.data.examples`), as their columns show. Of more
texts than asked for, a random choice is kept, the same for the same seed. What is no text (an empty line,
bytes that are no UTF-8, a line of a megabyte) is left out, counted, and said in the notes.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmis import seeds
from quantmis.data.examples import Example
from quantmis.data.text_files import WAYS, Piece, TextSource, stream
from quantmis.errors import printable, require
from quantmis.registry import suggestion

AT_MOST = 20_000
"""Texts of one file, where nothing else is asked for: hundreds say something, thousands say it to a percent."""

TWICE = "there before"


@dataclass(frozen=True)
class Texts:
    """Hold texts, the name of each (its file and where it stands there, from 1), and notes on what was left out.

    `groups`: the document that each is part of, where that is known. `examples`: what texts with a prompt or with turns
    are made of, where there are any; such a text is only what tells the example from others. `marks`: what the column
    that says who was trained on holds for each. `tokens`: of each, where they came packed as such; those below 0 are
    context (`quantmis.data.tokens`), and a text is then only what tells documents apart.

    >>> texts = Texts.of(["to be", "or not to be"])
    >>> texts.names, len(texts)
    (('text:1', 'text:2'), 2)
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    examples: tuple[Example | None, ...] | None = None
    marks: tuple[str, ...] | None = None
    tokens: tuple[tuple[int, ...], ...] | None = None

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
    column: str | None = None,
    at_most: int = AT_MOST,
    seed: int = 0,
    distinct: bool = True,
    key: str = "data.texts",
    groups: str | None = None,
    mark: str | None = None,
    end: Callable[[], int] | None = None,
) -> Texts:
    """Return at most `at_most` texts of each file, in their order, without those that are there twice.

    `by` says what a text of a `.txt` file is, "line" or "paragraph"; `column` names that of other files, whose columns
    else say what they hold. `mark` names the column that says who was trained on, whose sides are apart. `distinct`:
    whether a text that stands in two files is one too; else only one that stands in a file twice. `key` names the files
    in errors. `groups` names the column or key of the document that a text is part of; `.txt` files have none. `end`
    returns the token that ends a document of packed tokens (`quantmis.data.packed`), asked where there are some.
    For files that are not there, of another kind, or without texts, and for a text of no group it raises `UserError`.
    """
    require(by in WAYS, f"{key}: by must be one of {', '.join(WAYS)}, got {by!r}", hint=suggestion(by, WAYS))
    require(at_most > 0, f"{key}: at_most must be positive, got {at_most}")
    names = [printable(Path(path).name) for path in paths]
    require(names, f"{key}: name at least one file")
    require(len(set(names)) == len(names), f"{key}: two files have one name", hint="the report tells texts by it")
    source = TextSource(by, column, groups, key, mark, end)
    files = [_kept_texts(Path(path), source, at_most, seed) for path in paths]
    for each in files:
        require(each.texts, f"{key}: there is no text in {_note(each)}", hint="a text on each line, in UTF-8")
    return _distinct(files, distinct, source)


@dataclass(frozen=True)
class _Kept:
    """Hold the texts kept of one file by where they stand, how many there were, and what was left out by reason."""

    name: str
    texts: dict[int, Piece]
    total: int
    left_out: Counter[str]


def _kept_texts(path: Path, source: TextSource, at_most: int, seed: int) -> _Kept:
    """Keep the texts with the highest of random numbers, one drawn for each."""
    draw, left_out, total = seeds.generator(seed, "texts", path.name), Counter[str](), 0
    heap: list[tuple[float, int, Piece]] = []
    for place, text in enumerate(stream(path, source), 1):
        if text.why:
            left_out[text.why] += 1
            continue
        total += 1
        entry = (draw.random(), place, text)
        heapq.heappush(heap, entry) if len(heap) < at_most else heapq.heappushpop(heap, entry)
    return _Kept(
        printable(path.name),
        {place: text for _, place, text in sorted(heap, key=lambda each: each[1])},
        total,
        left_out,
    )


def _distinct(files: Sequence[_Kept], everywhere: bool, source: TextSource) -> Texts:
    pieces, names, notes, earlier = list[Piece](), list[str](), list[str](), set[tuple[str, str]]()
    for file in files:
        earlier = earlier if everywhere else set()
        for place, piece in file.texts.items():
            if (piece.text, piece.mark) in earlier:
                file.left_out[TWICE] += 1
                continue
            earlier.add((piece.text, piece.mark))
            pieces.append(piece)
            names.append(f"{file.name}:{place}")
        notes.append(_note(file))
    examples = tuple(piece.example for piece in pieces)
    _require_one_kind(pieces, source)
    return Texts(
        tuple(piece.text for piece in pieces),
        tuple(names),
        tuple(notes),
        None if source.groups is None else tuple(piece.group for piece in pieces),
        examples if any(examples) else None,
        None if source.mark is None else tuple(piece.mark for piece in pieces),
        tuple(piece.tokens for piece in pieces) if pieces and pieces[0].tokens else None,
    )


def _require_one_kind(pieces: Sequence[Piece], source: TextSource) -> None:
    packed = sum(bool(piece.tokens) for piece in pieces)
    require(
        packed in (0, len(pieces)),
        f"{source.key}: {packed} of {len(pieces)} texts are packed tokens, and the others are not",
        hint="members and non-members must be read alike: give both as tokens, or both as texts",
    )


def _note(file: _Kept) -> str:
    number = len(file.texts)
    form = next((piece.form for piece in file.texts.values()), "texts")
    sentence = f"{file.name}: {file.total:,} {form}" + (
        f", {number:,} of them drawn at random" if number < file.total else ""
    )
    reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(file.left_out.items()))
    return sentence + (f"; left out: {reasons}" if reasons else "")
