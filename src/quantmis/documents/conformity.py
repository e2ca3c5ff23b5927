"""What an audit answers to the expectations of regulators and standards, as one page: each by its paragraph.

The worst-off record stands first, then subpopulations; then which attacks were run and which not, by whom, when and
on what; then a table for each framework. The page draws no conclusion.
"""

from dataclasses import dataclass

from quantmis.documents.source import Source, audited
from quantmis.report import exposed, tested
from quantmis.report.expectations import ExpectationRow, rows, summary
from quantmis.report.facts import FACTS, auditor, tests
from quantmis.report.framework import Framework
from quantmis.report.html import fill
from quantmis.report.reading import lead
from quantmis.report.words import moment
from quantmis.results import Results
from quantmis.stats import Unmeasured

HEADINGS = {
    "auditor": "Who audited",
    "tests": "When, and to what extent",
    "release_context": "Who gets the weights, under which terms",
    "digests": "On which data and weights",
    "data_to_weights": "Training data to parameters",
    "blind_baseline": "What the records alone tell",
    "controls": "Tests of the audit itself",
    "cost": "What it took, and when it is repeated",
}


@dataclass(frozen=True)
class AttackRow:
    """Hold a kind of attack as people read of it: what the attacker holds and does, and whether it was run."""

    name: str
    holds: str
    method: str
    was_run: bool
    command: str


@dataclass(frozen=True)
class FrameworkSection:
    """Hold a framework, the sentence that sums it up, and its rows."""

    framework: Framework
    summary: str
    rows: list[ExpectationRow]


def render(source: Source) -> bytes:
    """Return the page as HTML in UTF-8."""
    return page(source).encode()


def page(source: Source) -> str:
    """Return the page as text."""
    results = source.results
    view = lead(results)
    return fill(
        "conformity.html",
        results,
        about=audited(results)[0].about if audited(results) else "",
        sections=sections(source),
        attacks=list(_attacks(results)),
        outside=tested.said_outside(),
        when=moment(results.environment.started),
        by=_declared(results),
        extent=tests(results),
        facts={heading: _said(FACTS[name](results)) for name, heading in HEADINGS.items()},
        samples=exposed.samples(view, {}),
        by_chance=exposed.by_chance(view),
        without_samples=exposed.without_samples(view),
        classes=exposed.classes(view, {}),
        broken=source.broken,
        digest=source.digest,
    )


def sections(source: Source) -> list[FrameworkSection]:
    """Return every framework with its rows."""
    results = source.results
    return [FrameworkSection(each, summary(each, results), rows(each, results)) for each in source.every_framework]


def _attacks(results: Results) -> list[AttackRow]:
    run, missed = tested.executed(results), tested.omitted(results)
    return [
        AttackRow(each.name, each.holds, each.method, each in run, each.command)
        for each in tested.KINDS
        if each in run or each in missed
    ]


def _declared(results: Results) -> str:
    return _said(auditor(results))


def _said(fact: str | Unmeasured) -> str:
    return fact.reason if isinstance(fact, Unmeasured) else fact
