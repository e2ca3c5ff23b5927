"""What is a number in a column of text, and what only looks like one.

`1_2` is a number to Python and to nobody else; `0012` is a code; `1,5` and `1,234` are numbers in some countries, and
which ones is for the file's owner to say; `12%`, `$12`, `(12)`, `12 kg` and a 12 in the digits of another script are
numbers to people. A column that is mostly numbers is no column of words: what is amiss in it is said, since its ranks
in the alphabet mean nothing. Nor is one in which most rows hold a word of their own.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from quantmis.errors import require

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?"})
"""What stands for a missing value in text, in lower case."""

PLAIN = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE)
CODE = re.compile(r"0\d+", re.ASCII)
WHOLE = re.compile(r"\d+", re.ASCII)
FOREIGN = re.compile(
    r"[+-]?(?:\d{1,3}(?P<mark>[.,' _\u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*(?:[.,]\d+)?|\d+,\d+(?:e[+-]?\d+)?|\d+_\d+"
    r"|\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d+)?)",
    re.ASCII | re.IGNORECASE,
)
"""Numbers with a decimal comma or with marks between thousands, those of India too."""

CURRENCIES = "".join(chr(code) for code in range(0x20A0, 0x20D0)) + "$\u00a2\u00a3\u00a4\u00a5"
DRESSED = re.compile(
    rf"\(?([+-]?)[{CURRENCIES}]?\s*([+-]?[\d.,' _\u00a0\u202f]*\d[\d.]*(?:e[+-]?\d+)?)\s*[%\u2030{CURRENCIES}]?\)?"
)
"""A number with the sign of a currency or of per cent, or in the parentheses of bookkeepers where it is negative."""

MINUS = str.maketrans("\u2212\u2012\u2013\ufe63\uff0d", "-----")
MEASURED = re.compile(r"([+-]?\d[\d.,]*)\s*([^\W\d_]+[\w/^.\u00b2\u00b3]*)", re.IGNORECASE)
"""A number and the unit that it is measured in."""

LONGEST = 60
"""Characters of a number, as people write one, at most."""

FEW_KINDS = 12
"""So many different numbers of one unit may be categories, as `36 months` and `60 months` are."""

DECIMALS, THOUSANDS = (".", ","), ("", ",", ".", "'", " ", "_")


def require_marks(decimal: str, thousands: str, key: str) -> None:
    """Raise `UserError` for marks that numbers are not written with."""
    for name, mark, marks in (("decimal", decimal, DECIMALS), ("thousands", thousands, THOUSANDS)):
        words = ", ".join(map(repr, marks))
        require(mark in marks, f"{key}.{name}: expected one of {words}, got {mark!r}")
    require(decimal != thousands, f"{key}.thousands: {thousands!r} is the decimal mark already")


def numbers_or_text(values: Sequence[str], decimal: str = ".", thousands: str = "") -> np.ndarray:
    """Return numbers where every value that is there is written as one; a missing number is NaN.

    Whole numbers of which one begins with 0 are codes, and stay text.

    >>> [numbers_or_text(each).tolist() for each in (["1", "", "2.5e1"], ["1_2"], ["007"])]
    [[1.0, nan, 25.0], ['1_2'], ['007']]
    >>> numbers_or_text(["1.234,5", "7"], decimal=",", thousands=".").tolist()
    [1234.5, 7.0]
    """
    rewritten = [_rewritten(value, decimal, thousands) for value in values]
    missing = [value.lower() in MISSING for value in values]
    present = [value for value, absent in zip(rewritten, missing, strict=True) if not absent]
    if not present or not all(map(PLAIN.fullmatch, present)) or any(map(CODE.fullmatch, present)):
        return np.array(values)
    numbers = map(float, present)
    return np.array([np.nan if absent else next(numbers) for absent in missing])


def _rewritten(value: str, decimal: str, thousands: str) -> str:
    """Return a number as Python writes it, and nothing for what is written otherwise than the marks say."""
    if decimal == "." and not thousands:
        return value
    sign, digits = (value[0], value[1:]) if value[:1] in ("+", "-") else ("", value)
    whole, mark, rest = digits.partition(decimal)
    if thousands and thousands in whole:
        first, *groups = whole.split(thousands)
        if not (1 <= len(first) <= 3 and all(len(each) == 3 for each in groups)):
            return ""
        whole = first + "".join(groups)
    strange = decimal != "." and ("." in whole or "." in rest)
    return "" if strange else sign + whole + ("." if mark else "") + rest


def require_words(name: str, column: np.ndarray, key: str) -> None:
    """Raise `UserError` for a column of text that holds numbers, most of it: its values are no categories.

    Whole numbers without any mark, as codes are, may be categories, and so may a few numbers of one unit.
    """
    values = [value for value in column.tolist() if value.lower() not in MISSING]
    plain = [PLAIN.fullmatch(value) is not None for value in values]
    foreign = [value for value, each in zip(values, plain, strict=True) if not each and _is_foreign(value)]
    foreign = values if _are_measured(values) else foreign
    mostly = 2 * (sum(plain) + len(foreign)) > len(values)
    if not mostly or all(map(WHOLE.fullmatch, values)):
        return
    rows = list(enumerate(column.tolist()))
    odd = [row for kind in (PLAIN, WHOLE) for row, value in rows if not kind.fullmatch(value)]
    strange = odd[0]
    option = 'decimal = "," reads 1,5 as 1.5, and thousands = "," reads 1,234 as 1234; '
    require(
        False,
        f"{key}: column {name!r} holds numbers as text, such as {str(column[strange])[:40]!r} in row {strange}",
        hint=f"rows count from 0; {option if foreign else ''}mend what is no number, or, where these are categories or "
        "classes, name it "
        f'in categorical = ["{name}"]',
    )


def require_kinds(name: str, column: np.ndarray, key: str) -> None:
    """Raise `UserError` for a column of text in which most rows hold a value of their own: these are no categories."""
    count = len(np.unique(column))
    require(
        count <= max(len(column) // 2, FEW_KINDS),
        f"{key}: column {name!r} holds {count} different values in {len(column)} rows, which are no categories",
        hint="write numbers as numbers and leave names and free text out; or, where these are categories or classes all"
        f' the same, name it in categorical = ["{name}"]',
    )


def _is_foreign(value: str) -> bool:
    """Whether people read `value` as a number, and Python does not."""
    if len(value) > LONGEST:
        return False
    text = _in_ascii(value)
    dressed = DRESSED.fullmatch(text)
    return any(
        PLAIN.fullmatch(each) or FOREIGN.fullmatch(each) for each in (text, dressed[1] + dressed[2] if dressed else "")
    )


def _in_ascii(value: str) -> str:
    """Return a value with the digits, signs and widths of other scripts as ASCII has them."""
    if value.isascii():
        return value
    narrow = unicodedata.normalize("NFKC", value.translate(MINUS)).translate(MINUS)
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in narrow)


def _are_measured(values: Sequence[str]) -> bool:
    """Whether all values are numbers of one unit, and too many different ones to be categories."""
    matches = [MEASURED.fullmatch(_in_ascii(value[: LONGEST + 1])) for value in values]
    parts = [(each[1], each[2]) for each in matches if each is not None]
    return len(parts) == len(values) and len({unit for _, unit in parts}) == 1 and len(set(parts)) > FEW_KINDS
