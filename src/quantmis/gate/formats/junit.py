"""JUnit test cases, for CI systems that show them: a limit is a test, and one that is exceeded fails."""

from itertools import groupby
from xml.etree import ElementTree

from quantmis.gate.formats.text import summary
from quantmis.gate.verdict import Judgement, Verdict


def write(judgement: Judgement) -> str:
    """Write a test suite for everything that was judged, and a test case a verdict."""
    root = ElementTree.Element("testsuites", {"name": "quantmis gate", **_counts(list(judgement.verdicts))})
    for subject, verdicts in groupby(judgement.verdicts, key=lambda verdict: verdict.subject):
        _suite(root, subject, list(verdicts))
    if judgement.notes:
        notes = ElementTree.SubElement(root, "testsuite", {"name": "not judged", **_counts([]), "errors": "0"})
        ElementTree.SubElement(notes, "system-out").text = "\n".join([*judgement.notes, summary(judgement)])
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, subject: str, verdicts: list[Verdict]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", {"name": subject, **_counts(verdicts), "skipped": "0"})
    for verdict in verdicts:
        case = ElementTree.SubElement(suite, "testcase", {"name": verdict.limit, "classname": subject, "time": "0"})
        if verdict.within:
            ElementTree.SubElement(case, "system-out").text = verdict.sentence
        else:
            message = {"message": verdict.sentence, "type": "exceeded"}
            ElementTree.SubElement(case, "failure", message).text = verdict.sentence


def _counts(verdicts: list[Verdict]) -> dict[str, str]:
    failed = sum(not verdict.within for verdict in verdicts)
    return {"tests": str(len(verdicts)), "failures": str(failed), "errors": "0"}
