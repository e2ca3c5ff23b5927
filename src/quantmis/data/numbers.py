"""What is a number in a column of text, and what only looks like one.

`1_2` is a number to Python and to nobody else; `0012` is a code; `1,5` and `1,234` are numbers in some countries, and
which ones is for the file's owner to say. A column that is mostly numbers is no column of words: what is amiss in it is
said, since its ranks in the alphabet mean nothing.
"""

import re
from collections.abc import Sequence

import numpy as np

from quantmis.errors import require

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?"})
"""What stands for a missing value in text, in lower case."""

PLAIN = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE)
CODE = re.compile(r"0\d+", re.ASCII)
WHOLE = re.compile(r"\d+", re.ASCII)
FOREIGN = re.compile(
    r"[+-]?(?:\d{1,3}(?P<mark>[.,' _\u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*(?:[.,]\d+)?|\d+,\d+(?:e[+-]?\d+)?|\d+_\d+)",
    re.ASCII | re.IGNORECASE,
)
"""Numbers with a decimal comma or with marks between thousands."""

DECIMALS, THOUSANDS = (".", ","), ("", ",", ".", "'", " ", "_")


def require_marks(decimal: str, thousands: str, key: str) -> None:
    """Raise `UserError` for marks that numbers are not written with."""
    for name, mark, known in (("decimal", decimal, DECIMALS), ("thousands", thousands, THOUSANDS)):
        words = ", ".join(map(repr, known))
        require(mark in known, f"{key}.{name}: expected one of {words}, got {mark!r}")
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

    Whole numbers without any mark, as codes are, may be categories.
    """
    values = [value for value in column.tolist() if value.lower() not in MISSING]
    plain = [PLAIN.fullmatch(value) is not None for value in values]
    foreign = [value for value, each in zip(values, plain, strict=True) if not each and FOREIGN.fullmatch(value)]
    mostly = 2 * (sum(plain) + len(foreign)) > len(values)
    if not mostly or all(map(WHOLE.fullmatch, values)):
        return
    rows = list(enumerate(column.tolist(), start=1))
    odd = [row for kind in (PLAIN, WHOLE) for row, value in rows if not kind.fullmatch(value)]
    strange = odd[0]
    option = 'decimal = "," reads 1,5 as 1.5, and thousands = "," reads 1,234 as 1234; '
    require(
        False,
        f"{key}: column {name!r} holds numbers as text, such as {str(column[strange - 1])[:40]!r} in row {strange}",
        hint=f"{option if foreign else ''}mend what is no number, or, where these are categories or classes, name it "
        f'in categorical = ["{name}"]',
    )
