"""What is left, in each version, of records that a model was made to forget: sentences and the table of the report.

That something *comes back* is said of a version only where the AUC is above a coin and has risen against full
precision, on the same records, by an interval that holds for all versions together; and where a model is known that was
trained without the records, only where they are told better than by that model, quantized alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quantmis.measures import Measure
from quantmis.measures.forget_auc import FORGET_AUC
from quantmis.measures.forget_auc_before import FORGET_AUC_BEFORE
from quantmis.measures.forget_auc_beyond_retrained import FORGET_AUC_BEYOND_RETRAINED
from quantmis.measures.forget_auc_change import FORGET_AUC_CHANGE
from quantmis.measures.forget_auc_retained import FORGET_AUC_RETAINED
from quantmis.measures.forget_extracted import FORGET_EXTRACTED
from quantmis.measures.forget_extraction import FORGET_EXTRACTION
from quantmis.measures.forget_quality import FORGET_QUALITY
from quantmis.measures.forget_quality_retrained import FORGET_QUALITY_RETRAINED
from quantmis.measures.forget_utility import FORGET_UTILITY
from quantmis.measures.forget_utility_change import FORGET_UTILITY_CHANGE
from quantmis.measures.retained_utility import RETAINED_UTILITY
from quantmis.report import words
from quantmis.report.cells import Cell, Notes, areas, cell, column_of, numbers, rates
from quantmis.report.reading import COIN, lead
from quantmis.report.tables import Column, ReportTable, assemble, without_empty
from quantmis.results import BlindBaseline, Results, TargetResult, VersionResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.interval import for_all

NEAR = 0.6
"""The AUC below which an interval must lie for the records to be called forgotten."""

MOST_NAMED = 3
AREAS = (FORGET_AUC, FORGET_AUC_RETAINED, FORGET_AUC_BEFORE)
CHANGES = (FORGET_AUC_CHANGE, FORGET_AUC_BEYOND_RETRAINED, FORGET_UTILITY_CHANGE)
QUALITIES = (FORGET_QUALITY, FORGET_QUALITY_RETRAINED)
UTILITIES = (RETAINED_UTILITY, FORGET_UTILITY)
ORDER: tuple[Measure[object], ...] = (
    FORGET_AUC, FORGET_AUC_CHANGE, FORGET_AUC_BEFORE, FORGET_AUC_BEYOND_RETRAINED, FORGET_AUC_RETAINED, FORGET_QUALITY,
    FORGET_QUALITY_RETRAINED, FORGET_EXTRACTED, FORGET_UTILITY, FORGET_UTILITY_CHANGE, RETAINED_UTILITY,
)  # fmt: skip  # pyright: ignore[reportAssignmentType]


@dataclass(frozen=True)
class ForgottenSection:
    """Hold what the report says of what was to be forgotten: sentences, the table of versions, that of texts."""

    records: int
    sentences: tuple[str, ...]
    table: ReportTable
    texts: ReportTable | None


def forgotten(results: Results, notes: Notes) -> ForgottenSection | None:
    """Return what is left of what was to be forgotten; None where nothing was."""
    target, records = results.target, lead(results).versions
    if not isinstance(target, TargetResult) or not target.forget:
        return None
    names = [words.title(record.name) for record in records]
    columns = [(each.title, _cells(each, records, notes)) for each in ORDER if _is_known(each, records)]
    caption = "Records that were to be forgotten, beside records of the same classes that the model never saw"
    table = without_empty(assemble(caption, "Version", names, columns))
    told = [sentence for rule in (comes_back, utility_comes_back, _differ) if (sentence := rule(results))]
    return ForgottenSection(target.forget, tuple(told), table, _texts(records, names, notes))


def _is_known(measure: Measure[object], records: Sequence[VersionResult]) -> bool:
    return any(measure.name in record.measures for record in records)


def _cells(measure: Measure[object], records: Sequence[VersionResult], notes: Notes) -> list[Cell]:
    values = [record[measure] for record in records]
    if measure in AREAS:
        return areas(values, notes)  # pyright: ignore[reportArgumentType]
    if measure in CHANGES:
        return numbers(values, notes)  # pyright: ignore[reportArgumentType]
    if measure in QUALITIES:
        return [cell(each, notes, words.significant) for each in values]  # pyright: ignore[reportArgumentType]
    is_share = measure in UTILITIES and words.is_share(records[0].utility_metric)
    return rates(values, notes) if is_share else column_of(measure.unit, values, notes)  # pyright: ignore[reportArgumentType]


def _texts(records: Sequence[VersionResult], names: Sequence[str], notes: Notes) -> ReportTable | None:
    """Return how likely texts are sampled, by the number of tries."""
    values = [record[FORGET_EXTRACTION] for record in records]
    known = [each for each in values if not isinstance(each, Unmeasured)]
    if not known:
        return None
    columns: list[Column] = []
    for index, tries in enumerate(each.tries for each in known[0]):
        for field, who in (("forget", "forgotten"), ("never_seen", "never seen")):
            column = [each if isinstance(each, Unmeasured) else getattr(each[index], field) for each in values]
            columns.append((f"{who}, {'one try' if tries == 1 else f'{tries} tries'}", rates(column, notes)))
    caption = "How likely the second half of a text is sampled at least once, given its first half"
    return assemble(caption, "Version", names, columns)


def comes_back(results: Results) -> str | None:
    """Say whether the records are forgotten in full precision, and in which versions more of them shows."""
    records = lead(results).versions
    whole = records[0][FORGET_AUC] if records else Unmeasured("")
    if not isinstance(whole, Estimate):
        return None
    changes = sum(isinstance(record[FORGET_AUC_CHANGE], Estimate) for record in records)
    back = [record for record in records[1:] if is_back(record, changes)]
    first = _status(whole, words.title(records[0].name))
    if not changes:
        return f"{first}."
    if not back:
        return f"{first}; of no other version can be shown that more comes back."
    verb = "more shows" if whole.low > COIN else "comes back"
    listed = [_risen(record, whole) for record in back[:MOST_NAMED]]
    others = f" and {len(back) - MOST_NAMED} others" if len(back) > MOST_NAMED else ""
    return f"{first}; {verb} in {'; '.join(listed)}{others}."


def is_back(record: VersionResult, versions: int) -> bool:
    """Whether a version, one of so many `versions`, can be shown to bring back what was to be forgotten."""
    auc, change, beyond = record[FORGET_AUC], record[FORGET_AUC_CHANGE], record[FORGET_AUC_BEYOND_RETRAINED]
    if isinstance(auc, Unmeasured) or isinstance(change, Unmeasured):
        return False
    more = FORGET_AUC_BEYOND_RETRAINED.name not in record.measures or (isinstance(beyond, Estimate) and beyond.low > 0)
    return auc.low > COIN and for_all(change, versions).low > 0 and more


def _status(whole: Estimate, name: str) -> str:
    """Say of the version that all are compared with whether the records are forgotten there."""
    number = f"AUC {_number(whole)} against records never seen"
    if whole.low > COIN:
        return f"Not forgotten in {name}: {number}"
    if whole.high < COIN:
        return f"In {name} the model does worse on what was to be forgotten than on records never seen: {number}"
    if whole.high <= NEAR:
        return f"Forgotten in {name}: {number}"
    return f"Nothing shows in {name} that what was to be forgotten is remembered, and it may be: {number}"


def _number(auc: Estimate) -> str:
    digits = words.clear(auc, max(2, words.places(words.reach(auc))), apart=COIN)
    value, low, high = (words.fixed(each, digits) for each in (auc.value, auc.low, auc.high))
    return f"{value} ({low} to {high})"


def _risen(record: VersionResult, whole: Estimate) -> str:
    auc = record[FORGET_AUC]
    assert isinstance(auc, Estimate)  # noqa: S101 for the type checker: it is back
    return f"{words.title(record.name)}: AUC {words.fixed(whole.value, 2)} \N{RIGHTWARDS ARROW} {_number(auc)}"


def utility_comes_back(results: Results) -> str | None:
    """Say in which versions the model knows more of the records than in full precision, beyond doubt."""
    records = lead(results).versions
    changes = [(record, record[FORGET_UTILITY_CHANGE]) for record in records]
    known = [(record, change) for record, change in changes if isinstance(change, Estimate)]
    risen = [record for record, change in known if for_all(change, len(known)).low > 0]
    before = records[0][FORGET_UTILITY] if risen else None
    if not isinstance(before, Estimate):
        return None
    metric = records[0].utility_metric
    listed = [f"{_utility(record[FORGET_UTILITY], metric)} in {words.title(record.name)}" for record in risen]
    first = f"On what was to be forgotten the {words.plainly(metric)} is {_utility(before, metric)}"
    return f"{first} in {words.title(records[0].name)}, {words.some(listed, MOST_NAMED)}."


def _utility(value: Estimate | Unmeasured, metric: str) -> str:
    assert isinstance(value, Estimate)  # noqa: S101 for the type checker: its change was measured
    return words.utility_text(value.value, metric, max(2, words.places(words.reach(value))))


def _differ(results: Results) -> str | None:
    blind = results.target.forget_blind if isinstance(results.target, TargetResult) else None
    if not isinstance(blind, BlindBaseline) or not blind.differs:
        return None
    return (
        "A classifier that never saw the model tells what was to be forgotten from records never seen: the two differ "
        f"by themselves (AUC {words.number(blind.auc)}), and the AUC may show that; changes against full precision do "
        "not."
    )
