"""A section of results as a program reads it: the rows of its tables and the numbers of its sentences.

Nothing is computed here. What a section says is read from its Markdown, so that the two cannot disagree.
"""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

Number: TypeAlias = int | float
Cell: TypeAlias = Number | list[Number] | str | None
Row: TypeAlias = dict[str, Cell]

DIGITS = r"[+-]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[+-]?\d+)?"
IN_TEXT = re.compile(rf"(?<![\w.])({DIGITS})(\s?%)?(?![\d_])", re.IGNORECASE)
ALONE = re.compile(rf"({DIGITS})(?:(\s?%)|x)?")
INTERVAL = re.compile(rf"({DIGITS})(\s?%)? \(({DIGITS}) to ({DIGITS})\)")
SPREAD = re.compile(rf"({DIGITS})(\s?%)? ± ({DIGITS})")
LIST = re.compile(r"\[\s+-?\d[^\[\]{}\"]*\]")
MACHINE = re.compile(r"\*.+; Python \d.+\.\*")
CODE = re.compile(r"`[^`]*`")


def slug(name: str) -> str:
    """Return the name of a section as a file carries it.

    >>> slug("peers, training auto")
    'peers-training-auto'
    """
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def numbers(text: str) -> list[Number]:
    """Return the numbers of a text in their order, per cents as fractions; not those inside words and inline code.

    >>> numbers("at most 0.6 % of 2,920 texts, by `uniform(bits=8)` of int8")
    [0.006, 2920]
    """
    return [_number(digits, percent) for digits, percent in IN_TEXT.findall(CODE.sub("`", text))]


def document(name: str, section: str) -> dict[str, object]:
    """Return what the Markdown `section` holds: paragraphs with their numbers, tables with what leads to them."""
    machine, prose, tables = "", list[dict[str, object]](), list[dict[str, object]]()
    for block in _blocks(section):
        if isinstance(block, list):
            tables.append({"after": prose[-1]["text"] if prose else "", "rows": rows(block)})
        elif MACHINE.fullmatch(block):
            machine = block.strip("*")
        else:
            prose.append({"text": block, "numbers": numbers(block)})
    return {"section": name, "machine": machine, "prose": prose, "tables": tables}


def as_json(name: str, section: str) -> str:
    """Return the document of a section as JSON, the numbers of an interval or a paragraph on one line."""
    text = json.dumps(document(name, section), ensure_ascii=False, indent=1)
    return LIST.sub(lambda match: re.sub(r"\s+", " ", match[0]).replace("[ ", "[").replace(" ]", "]"), text) + "\n"


def rows(lines: Sequence[str]) -> list[Row]:
    """Return the rows of a table in Markdown by the names of its columns; a name that comes again is counted.

    >>> rows(["| a | a |", "| --- | --- |", "| **0.9** (0.8 to 1.0) | 61 % |"])
    [{'a': [0.9, 0.8, 1.0], 'a (2)': 0.61}]
    """
    header = [_plain(each) for each in _cells(lines[0])]
    names = [
        each if each not in header[:place] else f"{each} ({header[: place + 1].count(each)})"
        for place, each in enumerate(header)
    ]
    return [dict(zip(names, map(_value, _cells(line)), strict=True)) for line in lines[2:]]


def _blocks(section: str) -> Iterator[str | list[str]]:
    """Yield paragraphs as texts and tables as lists of their lines, without comments, the title and figures."""
    paragraph, table = list[str](), list[str]()
    for line in [*section.splitlines(), ""]:
        if table and not line.startswith("|"):
            yield table
            table = []
        if paragraph and (not line.strip() or line.startswith("|")):
            yield " ".join(paragraph)
            paragraph = []
        if line.startswith("|"):
            table.append(line)
        elif line.strip() and not line.startswith(("<!--", "## ", "![")):
            paragraph.append(line.strip())


def _cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip().strip("|").split("|")]


def _value(cell: str) -> Cell:
    """Return a cell as a number, as [value, low, high], as its words, or as nothing where it is empty."""
    text = _plain(cell)
    if match := INTERVAL.fullmatch(text):
        return [_number(match[place], match[2]) for place in (1, 3, 4)]
    if match := SPREAD.fullmatch(text):
        middle, half = Decimal(match[1].replace(",", "")), Decimal(match[3].replace(",", ""))
        return [_number(str(each), match[2]) for each in (middle, middle - half, middle + half)]
    match = ALONE.fullmatch(text)
    return _number(match[1], match[2]) if match else text or None


def _plain(cell: str) -> str:
    return cell.replace("**", "").replace("`", "")


def _number(digits: str, percent: str | None) -> Number:
    value = Decimal(digits.replace(",", "")) / (100 if percent else 1)
    return int(value) if re.fullmatch(r"[+-]?\d+", str(value)) else float(value)
