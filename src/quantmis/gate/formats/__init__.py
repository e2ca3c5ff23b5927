"""How a judgement is written: a file per format, each a function from a judgement to text.

Names of versions, attacks and files may hold anything; every format escapes what would have a meaning in it.
"""

from collections.abc import Callable

from quantmis.gate.formats import github, json, junit, sarif, text
from quantmis.gate.verdict import Judgement

FORMATS: dict[str, Callable[[Judgement], str]] = {
    "text": text.write,
    "github": github.write,
    "json": json.write,
    "junit": junit.write,
    "sarif": sarif.write,
}

__all__ = ["FORMATS"]
