"""Numbers, intervals and names as people read them.

A number is written with as many digits as its interval supports: the last digit is the first that the interval leaves
in doubt. A name comes from the user and may be anything, so characters that are invisible or that change the direction
of the text around them are replaced, and what is too long is cut, before a name meets a sentence, a table or a picture.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime

from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.stats import Estimate, Unmeasured

BASELINE = "identity"
MINUS, TO, NONE = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{EN DASH}"
NAME_LIMIT = 60
Writer = Callable[[float], str]
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories with nothing to see: controls, direction marks, surrogates, private and unassigned, separators."""


def clean(text: str, limit: int = NAME_LIMIT) -> str:
    r"""Replace what cannot be seen, join lines, and cut at `limit` characters.

    >>> clean("tern\u202eary"), clean("a" * 70, limit=5)
    ('tern\ufffdary', 'aaaa…')
    """
    line = re.sub(r"[ \t\r\n\f\v]+", " ", text[: 4 * limit])
    visible = "".join("\ufffd" if unicodedata.category(letter) in UNSEEN else letter for letter in line)
    return visible if len(visible) <= limit and len(text) <= 4 * limit else visible[: limit - 1] + "…"


def title(name: str) -> str:
    """Return what a version of the model is called in a sentence."""
    return "full precision" if name == BASELINE else clean(name)


def listing(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> listing(["sign", "uniform(bits=2)", "full precision"])
    'sign, uniform(bits=2) and full precision'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def some(words: Sequence[str], most: int = 4) -> str:
    """Join words, naming no more than `most` of them.

    >>> some(["a", "b", "c", "d"], most=2)
    'a, b and 2 others'
    """
    rest = len(words) - most
    return listing(words) if rest <= 1 else listing([*words[:most], f"{rest} others"])


def ranges(numbers: Sequence[int]) -> str:
    """Write whole numbers in ascending order, runs of three and more as ranges.

    >>> ranges([2, 3, 4, 7, 8])
    '2\u20134, 7, 8'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}{TO}{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def places(reach: float, most: int = 4) -> int:
    """Return how many decimals a number deserves whose interval reaches `reach` to either side.

    >>> places(2.6), places(0.6), places(0.004)
    (0, 1, 3)
    """
    return most if reach <= 0 else min(most, max(0, -math.floor(math.log10(reach))))


def clear(estimate: Estimate, decimals: int, apart: float = 0.0, most: int = 4) -> int:
    """Return the decimals, `decimals` or more, at which no end of an interval is written as `apart` that is not.

    Of an interval that contains `apart`, an end that all but touches it may be written as it.

    >>> clear(Estimate(-1.3, -2.2, -0.4), 0), clear(Estimate(0.5, -0.4, 1.4), 0), clear(Estimate(1.0, -0.04, 2.0), 0)
    (1, 1, 0)
    """
    nothing = reach(estimate) / 10 if estimate.low <= apart <= estimate.high else 0.0
    ends = [end for end in (estimate.low, estimate.high) if abs(end - apart) > nothing]
    while decimals < most and fixed(apart, decimals) in {fixed(end, decimals) for end in ends}:
        decimals += 1
    return decimals


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit, such as points for a fraction."""
    low, high = sorted((factor * estimate.low, factor * estimate.high))
    value = min(max(factor * estimate.value, low), high)
    return Estimate(value, low, high, estimate.level, estimate.method, estimate.reason)


def reach(estimate: Estimate) -> float:
    """Return half the width of an interval."""
    return (estimate.high - estimate.low) / 2


def fixed(value: float, decimals: int) -> str:
    """Write a number with a true minus sign and never a negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", MINUS)


def percent(value: float, decimals: int = 0) -> str:
    """Write a fraction as a percentage.

    >>> percent(0.5312), percent(0.5312, 1)
    ('53 %', '53.1 %')
    """
    return f"{fixed(100 * value, decimals)} %"


def probability(value: float) -> str:
    """Write a small rate such as a false positive rate.

    >>> probability(0.1), probability(0.001)
    ('10 %', '0.1 %')
    """
    return f"{100 * value:g} %"


def significant(value: float, digits: int = 2) -> str:
    """Write a number of any size with `digits` significant digits.

    >>> significant(0.004567), significant(1234.5), significant(0)
    ('0.0046', '1234', '0')
    """
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))) if abs(value) < 10**digits else 0)


def capital(text: str) -> str:
    """Return the text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def is_share(metric: str) -> bool:
    """Return whether a utility is a share of right answers, which people read in per cent."""
    return metric.endswith("accuracy")


def utility_text(value: float, metric: str, decimals: int) -> str:
    """Write a utility: a share in per cent, any other metric as it is; `decimals` counts those of the fraction.

    >>> utility_text(0.912, "accuracy", 3), utility_text(-2.0, "log_likelihood", 2)
    ('91.2 %', '7.4')
    """
    if metric == LOG_LIKELIHOOD:
        return significant(math.exp(-value))
    return percent(value, max(0, decimals - 2)) if is_share(metric) else fixed(value, decimals)


def plainly(metric: str) -> str:
    """Return the words for a metric; the log-likelihood of a token is told as what people know, perplexity."""
    return "perplexity" if metric == LOG_LIKELIHOOD else clean(metric.replace("_", " "))


def number(estimate: Estimate | Unmeasured, decimals: int | None = None) -> str:
    """Write an estimate with its interval, or why there is none.

    >>> number(Estimate(0.712, 0.70, 0.724)), number(Unmeasured("not run"))
    ('0.71 (0.70 to 0.72)', 'not run')
    """
    if isinstance(estimate, Unmeasured):
        return clean(estimate.reason, 300)
    digits = places(reach(estimate)) if decimals is None else decimals
    value, low, high = (fixed(each, digits) for each in (estimate.value, estimate.low, estimate.high))
    bound = f"; a bound only: {clean(estimate.reason, 300)}" if estimate.reason else ""
    return f"{value} ({low} to {high}){bound}"


def moment(timestamp: str) -> str:
    """Write an ISO timestamp as a date and time that people read; anything else stays.

    >>> moment("2026-03-02T09:15:07+00:00"), moment("yesterday")
    ('2 March 2026, 09:15 UTC', 'yesterday')
    """
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return clean(timestamp)
    return f"{then.day} {then:%B %Y, %H:%M %Z}".rstrip()
