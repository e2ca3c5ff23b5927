"""Workflow commands of GitHub Actions: an annotation a verdict, errors for what is exceeded.

https://docs.github.com/actions/reference/workflow-commands: a command is a line that begins with `::`; in its message
`%`, carriage returns and line feeds are escaped, in its properties `:` and `,` as well. No other line is written: the
runner would also look for commands of an older form, `##[...]`, anywhere in one that is none.
"""

from quantmis.gate.formats.text import summary
from quantmis.gate.verdict import Judgement, Verdict


def write(judgement: Judgement) -> str:
    """Write a line a verdict, those that are exceeded first, and what it comes to."""
    ordered = sorted(judgement.verdicts, key=lambda verdict: verdict.within)
    outcome = "notice" if judgement.within else "error"
    lines = [
        _command(outcome, "quantmis gate", summary(judgement)),
        *(_annotation(verdict) for verdict in ordered),
        *(_command("notice", "quantmis gate", note) for note in judgement.notes),
    ]
    return "\n".join(lines) + "\n"


def _annotation(verdict: Verdict) -> str:
    title = f"{'within' if verdict.within else 'exceeded'}: {verdict.limit}"
    return _command("notice" if verdict.within else "error", title, f"{verdict.subject}: {verdict.sentence}")


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_in_property(title)}::{_in_message(message)}"


def _in_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _in_property(text: str) -> str:
    return _in_message(text).replace(":", "%3A").replace(",", "%2C")
