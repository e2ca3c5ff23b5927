"""What the training guarantees, from above, beside what attacks show, from below."""

import math
from dataclasses import dataclass, replace

from quantmis.measures.certified_advantage import CERTIFIED_ADVANTAGE
from quantmis.measures.certified_epsilon import CERTIFIED_EPSILON
from quantmis.measures.epsilon_shown import EPSILON_SHOWN
from quantmis.report import words
from quantmis.report.cells import Cell, Notes, column_of
from quantmis.report.reading import attacker, lead
from quantmis.report.tables import ReportTable, assemble
from quantmis.results import CertificateResult, Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

REFUTED = "QM022"
DIGITS, TINY = 10**4, 1e-6


@dataclass(frozen=True)
class CertificateSection:
    """Hold what is said of a certificate: sentences, and a table of the versions."""

    sentences: tuple[str, ...]
    table: ReportTable


def certified(results: Results, notes: Notes) -> CertificateSection | None:
    """Return what is guaranteed and what attacks show of the very model, or of models like it; None without."""
    certificate = results.certificate
    if certificate is None:
        return None
    return CertificateSection(
        (stated(certificate), *_counted(certificate), *_open(certificate)), _table(results, notes)
    )


def guaranteed(results: Results) -> str | None:
    """Say what the training guarantees, how much that is, and what attacks show beside it."""
    certificate = results.certificate
    if certificate is None:
        return None
    return " ".join([stated(certificate), *_open(certificate), _shown(lead(results))])


def refuted(results: Results) -> str | None:
    """Warn where attacks show more than was guaranteed."""
    texts = [words.clean(finding.text) for finding in results.warnings if finding.code == REFUTED]
    return f"The certified epsilon does not hold. {texts[0]}" if texts else None


def stated(certificate: CertificateResult) -> str:
    """Say what is guaranteed, by whom it was counted, and that quantizing keeps it."""
    by = "is counted" if certificate.source != "declared" else "was declared, as counted"
    return (
        f"Differential privacy with epsilon {_at_most(certificate.epsilon)} at delta {certificate.delta:g} "
        f"{by} for every record, by {words.clean(certificate.accountant, 80)}; versions made of the trained weights "
        "alone inherit it."
    )


def _counted(certificate: CertificateResult) -> list[str]:
    if certificate.noise_multiplier is None or certificate.steps is None or certificate.sampling_rate is None:
        return []
    return [
        f"{certificate.steps:,} steps each drew a record with probability "
        f"{words.significant(certificate.sampling_rate)}, clipped its gradient to norm {certificate.clip_norm:g}, and "
        f"added noise of {words.significant(certificate.noise_multiplier)} times that norm."
    ]


def _open(certificate: CertificateResult) -> list[str]:
    uncovered = words.clean("; ".join(certificate.uncovered), 400)
    return [f"Not covered: {uncovered}."] if uncovered else []


def _shown(view: Results) -> str:
    shown = [each[EPSILON_SHOWN] for each in view.versions]
    most = max((each.low for each in shown if isinstance(each, Estimate)), default=None)
    if most is None:
        return "No attack could be held against it."
    return f"The strongest attack of this audit shows that epsilon is at least {words.significant(most)}."


def _table(results: Results, notes: Notes) -> ReportTable:
    records = lead(results).versions
    columns = [
        (CERTIFIED_EPSILON.title, [_number(each[CERTIFIED_EPSILON]) for each in records]),
        ("At least, by attacks", [_lowest(each[EPSILON_SHOWN]) for each in records]),
        ("Advantage at most", [_number(each[CERTIFIED_ADVANTAGE]) for each in records]),
        ("Of the strongest attack", column_of("number", [_advantage(each) for each in records], notes)),
    ]
    names = [words.title(each.name) for each in records]
    return assemble("What is guaranteed, and what attacks show", "Version", names, columns)


def _advantage(record: VersionResult) -> Estimate | Unmeasured:
    """Return the advantage of the strongest attack: how much of the time it is right beyond a coin, doubled."""
    right = attacker(record)
    if isinstance(right, Unmeasured):
        return right
    value, low, high = (max(2 * each - 1, 0.0) for each in (right.value, right.low, right.high))
    return replace(right, value=value, low=low, high=high)


def _number(value: float | Unmeasured) -> Cell:
    return Cell(words.clean(value.reason, 120) if isinstance(value, Unmeasured) else _at_most(value))


def _at_most(value: float) -> str:
    """Write a bound from above, rounded upwards."""
    return f"{math.ceil(value * DIGITS - TINY) / DIGITS:g}"


def _lowest(value: Estimate | Unmeasured) -> Cell:
    return Cell(words.clean(value.reason, 120) if isinstance(value, Unmeasured) else words.significant(value.low))
