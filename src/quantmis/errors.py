"""The one exception that is the user's to mend; every other exception is a bug of ours and shows a traceback."""

import re
import unicodedata
from collections.abc import Callable

LONGEST = 4000
"""Characters of a message: a name in a file may have millions."""

OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Kinds of characters that terminals, logs and encoders act upon instead of showing them."""

JOINERS = "\u200c\u200d"
"""What joins or parts the letters of Persian, Hindi and others; harmless, and part of their words."""

COMMAND = "##["
"""What begins a command to a runner of CI, wherever it stands in a line."""


def printable(text: str) -> str:
    r"""Return text as one line that terminals and logs show and never obey; what cannot be shown is escaped.

    Control characters, marks of direction and lone surrogates become escapes; lines become one.

    >>> printable("a\n::error::b\x1b[31m"), printable("caf\u00e9 \ud800")
    ('a ::error::b\\x1b[31m', 'café \\ud800')
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    line = re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text.strip())
    visible = line if line.isprintable() else "".join(_escaped(letter) for letter in line)
    return visible.replace(COMMAND, "## [")


def _escaped(letter: str) -> str:
    obeyed = unicodedata.category(letter) in OBEYED and letter not in JOINERS
    return letter.encode("unicode_escape").decode() if obeyed else letter


class UserError(Exception):
    """Say what was expected and what arrived, with the remedy as `hint`; printed without a traceback.

    Both are made `printable` here, since they quote names and values of files that anybody may have written.

    >>> error = UserError("expected 64 features, got 63", hint="drop the index column")
    >>> str(error), error.hint
    ('expected 64 features, got 63', 'drop the index column')
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(printable(message))
        self.hint = None if hint is None else printable(hint)

    def __reduce__(self):
        return type(self), (str(self), self.hint)  # so that it arrives whole from another process


def require(condition: object, message: str, hint: str | Callable[[], str] | None = None) -> None:
    """Raise `UserError(message, hint)` unless `condition` holds; a hint that takes time is a function."""
    if not condition:
        raise UserError(message, hint() if callable(hint) else hint)
