"""The verdicts for people: what is exceeded first."""

from quantmis.gate.verdict import Judgement, Verdict
from quantmis.report.words import clean


def write(judgement: Judgement) -> str:
    """Write two lines a verdict, those that are exceeded first, and what it comes to last."""
    ordered = sorted(judgement.verdicts, key=lambda verdict: verdict.within)
    lines = [line for verdict in ordered for line in _lines(verdict)]
    notes = [f"note      {note}" for note in judgement.notes]
    return "\n".join([*lines, *notes, summary(judgement)]) + "\n"


def summary(judgement: Judgement) -> str:
    """Say in a line what the judgement comes to."""
    files = f"{clean(judgement.results, 200)} against {clean(judgement.policy, 200)}"
    if judgement.within:
        return f"within all {len(judgement.verdicts)} limits: {files}"
    return f"{len(judgement.exceeded)} of {len(judgement.verdicts)} limits exceeded: {files}"


def _lines(verdict: Verdict) -> tuple[str, str]:
    outcome = "within  " if verdict.within else "EXCEEDED"
    return f"{outcome}  {verdict.limit}  ({verdict.subject})", f"          {verdict.sentence}"
