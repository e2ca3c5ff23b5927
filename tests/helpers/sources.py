"""Where the numbers of a page come from: comments at the end of a paragraph, and the results that they name.

`<!-- source: fidelity, language-models -->` names files of benchmarks/results, `<!-- source: fidelity; given: 64 -->`
also lists what is chosen, not measured, and `<!-- given -->` says that of a whole paragraph.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from quantmis.studies.numbers import IN_TEXT, numbers

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
SOURCE = re.compile(r"source: (?P<names>[\w, -]+?)(?:; given: (?P<constants>.+))?", re.DOTALL)
FENCE = re.compile(r"^([ ]*)(```+).*?^\1\2[ ]*$", re.DOTALL | re.MULTILINE)
SOFTWARE = r"\b(?:Python|Ray|CycloneDX|AISVS|bitsandbytes|Apache)[\s-]\d+(?:\.\d+)*"
NO_CLAIM = re.compile(
    rf"""`[^`]*` | \$\$.*?\$\$ | \$[^$\n]+\$ | (?<=\])\([^)]*\) | https?://\S+ | arXiv[: ]\S+ | ^\#[^\n]*$
    | {SOFTWARE} | \d+(?:\.\d+){{2,}} | \b(?:19|20)\d\d\b(?![.,]\d|\s?%)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
UNITS = "s|ms|seconds|minutes|hours|days|KiB|MiB|MB|GiB|GB|times"
MEASURE = re.compile(rf"\d\.\d|\d\s?%|\d\s(?:{UNITS})\b")
POINT = re.compile(r"(?<![\w.])\.\d+")
DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Claim:
    """Hold a number as a page prints it."""

    digits: str
    percent: bool

    def __str__(self) -> str:
        return f"{self.digits}{' %' * self.percent}"

    def stands_among(self, values: Sequence[float]) -> bool:
        """Tell whether one of the values rounds to this number; a share may be printed in per cent."""
        number = Decimal(self.digits.replace(",", ""))
        half = 0.5 * 10.0 ** int(number.as_tuple().exponent) * (1 + 1e-9)
        scales = (1, 100) if self.percent or abs(number) >= 1 else (1,)
        size = abs(float(number))
        return any(abs(abs(value) * scale - size) <= half for value in values for scale in scales)


def paragraphs(page: str) -> Iterator[str]:
    """Yield the paragraphs, tables and lists of a page, each with the comments at its end or alone behind it."""
    before = ""
    for block in re.split(r"\n\s*\n", FENCE.sub("", page)):
        if before and not COMMENT.sub("", block).strip():
            before += f"\n{block}"
            continue
        if before:
            yield before
        before = "" if all(line.startswith("    ") for line in block.splitlines()) else block
    if before:
        yield before


def claims(text: str) -> list[Claim]:
    """Return the numbers of a paragraph; a single digit counts things and is none."""
    pairs = [(match[1], bool(match[2])) for match in IN_TEXT.finditer(text)]
    return [Claim(digits, percent) for digits, percent in pairs if percent or not DIGIT.fullmatch(digits)]


def faults(paragraph: str, folder: Path = RESULTS) -> list[str]:
    """Return what is wrong with a paragraph: numbers without a source, and names and numbers of its comments."""
    text = NO_CLAIM.sub(" ", COMMENT.sub(" ", paragraph))
    comments = [each for each in COMMENT.findall(paragraph) if re.match(r"source\b|given\b", each)]
    if points := POINT.findall(text):
        return [f"write 0{each} for {each}" for each in points]
    if not comments:
        return ["it measures something and names no source"] if MEASURE.search(text) else []
    if comments == ["given"]:
        return [] if claims(text) else ["it is called given and holds no number"]
    comment = SOURCE.fullmatch(comments[0])
    if len(comments) > 1 or not comment:
        return [f"its comments cannot be read: {comments}"]
    constants = re.split(r",\s+", comment["constants"]) if comment["constants"] else []
    return _unsupported(claims(text), re.split(r",\s*", comment["names"]), constants, folder)


def _unsupported(measured: list[Claim], names: list[str], constants: list[str], folder: Path) -> list[str]:
    """Return the claims that stand in no source, and the sources and constants that no claim needs."""
    absent = [name for name in names if not (folder / f"{name}.json").is_file()]
    if absent:
        return [f"there is no {name}.json in benchmarks/results" for name in absent]
    sources = {name: _values(folder / f"{name}.json") for name in names}
    rest = [claim for claim in measured if str(claim) not in constants]
    strays = [claim for claim in rest if not any(map(claim.stands_among, sources.values()))]
    idle = [name for name in names if not any(claim.stands_among(sources[name]) for claim in rest)]
    return [
        *(f"{claim} stands in none of {names}" for claim in strays),
        *(f"{name} has none of its numbers" for name in idle if not strays),
        *(f"{each} is called given and not said" for each in constants if each not in map(str, measured)),
    ]


def _values(file: Path) -> list[float]:
    """Return all numbers of a section of results: of its tables, their columns and its sentences."""
    document = json.loads(file.read_text(encoding="utf-8"))
    return [*_numbers_of(document["prose"]), *_numbers_of(document["tables"])]


def _numbers_of(part: object) -> Iterator[float]:
    if isinstance(part, str):
        yield from numbers(part)
    elif isinstance(part, int | float):
        yield part
    elif isinstance(part, list):
        for each in part:
            yield from _numbers_of(each)
    elif isinstance(part, dict):
        for key, each in part.items():
            yield from numbers(key)
            yield from _numbers_of(each)
