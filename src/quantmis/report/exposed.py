"""Who is exposed, and the very model beside the models trained like it: further tables of the report.

Samples appear by their identifier alone, never by their contents.
"""

from collections.abc import Sequence

from quantmis.measures import measures_shown
from quantmis.measures.exposure_by_class import EXPOSURE_BY_CLASS
from quantmis.measures.most_exposed_samples import MOST_EXPOSED_SAMPLES, SampleExposure
from quantmis.measures.quantized_weights import QUANTIZED_WEIGHTS
from quantmis.report import words
from quantmis.report.cells import Cell, Notes, Quantity, areas, decimals, rights
from quantmis.report.cells import numbers as column
from quantmis.report.price import recommended
from quantmis.report.reading import (
    COIN,
    about_model,
    attacker,
    baseline,
    numbers,
    ordered,
    places,
    rates_digits,
)
from quantmis.report.tables import ReportTable, assemble, measured, numbered, without_empty
from quantmis.results import Control, Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

MOST_CLASSES = 40
MORE = Unmeasured("this version was not among those measured")


def compared(results: Results) -> list[VersionResult]:
    """Return the versions that exposure is shown for: full precision and those that the choice is between."""
    whole, by_name = baseline(results), {record.name: record for record in results.versions}
    candidates = [by_name[each.name] for each in recommended(results) if each.name in by_name]
    return [*([whole] if whole else []), *candidates] or results.versions[:1]


LONGEST_NAME = 40


def by_class(results: Results) -> dict[str, dict[int, Quantity]]:
    """Return the AUC within each class by version; versions where classes were not measured are left out."""
    return {
        record.name: {each.label: each.auc for each in classes}
        for record in compared(results)
        if not isinstance(classes := record[EXPOSURE_BY_CLASS], Unmeasured)
    }


def shown_classes(results: Results) -> list[int]:
    """Return the classes there is room for, the most exposed in full precision, in ascending order."""
    first = next(iter(by_class(results).values()), {})
    order = sorted(first, key=lambda label: -_value(first[label]))
    return sorted(order[:MOST_CLASSES])


def _value(quantity: Quantity) -> float:
    return quantity.value if isinstance(quantity, Estimate) else -1.0


def classes(results: Results, notes: Notes) -> ReportTable:
    """Return the AUC of the lead attack within each class."""
    aucs, labels = by_class(results), shown_classes(results)
    count = len(next(iter(aucs.values()), {}))
    of = "" if len(labels) == count else f"; the {len(labels)} most exposed of {count} classes"
    columns = [
        (f"AUC, {words.title(name)}", areas([of_class.get(label, MORE) for label in labels], notes))
        for name, of_class in aucs.items()
    ]
    caption = f"How well members of a class are told from its non-members{of}"
    return assemble(caption, "Class", [class_name(results, label) for label in labels], columns)


def class_name(results: Results, label: int) -> str:
    """Return what a class is called: its name where that is known, else its number."""
    names = results.data.class_names
    return words.clean(names[label], LONGEST_NAME) if 0 <= label < len(names) else str(label)


def samples(results: Results, notes: Notes) -> ReportTable:
    """Return the samples that the versions give away most, by identifier."""
    exposures = {
        record.name: {each.id: each for each in exposed}
        for record in compared(results)
        if not isinstance(exposed := record[MOST_EXPOSED_SAMPLES], Unmeasured)
    }
    rows = {key: each.sample for listed in exposures.values() for key, each in listed.items()}
    digits = decimals([each.exposure for listed in exposures.values() for each in listed.values()])
    has_ids = any(key != str(row) for key, row in rows.items())
    columns = [("Row in the data", [Cell(str(row)) for row in rows.values()])] * has_ids + [
        (f"Exposure, {words.title(name)}", [_exposure(listed.get(key), digits) for key in rows])
        for name, listed in exposures.items()
    ]
    caption = "How often a model that was trained on the sample scores it above a model that was not: 0.5 is a coin"
    return assemble(caption, "Sample" if has_ids else "Row in the data", [words.clean(key) for key in rows], columns)


def _exposure(sample: SampleExposure | None, digits: int) -> Cell:
    if sample is None:
        return Cell("not among its most exposed")
    three = (sample.exposure.value, sample.exposure.low, sample.exposure.high)
    clear = words.clear(sample.exposure, max(1, digits), apart=COIN)
    value, low, high = (words.fixed(each, clear) for each in three)
    return Cell(value, f"{low} to {high}")


def by_chance(results: Results) -> bool:
    """Return whether none of the samples that are listed is exposed beyond what chance allows."""
    listed = [record[MOST_EXPOSED_SAMPLES] for record in compared(results)]
    return all(each.exposure.low <= COIN for rows in listed if not isinstance(rows, Unmeasured) for each in rows)


def controls(results: Results, notes: Notes) -> tuple[ReportTable, ReportTable]:
    """Return the checks whose right answer is known, and those that have none and are to be read."""
    with_answer = [control for control in results.controls if control.passed is not None or not _is_read(control)]
    checks = [
        ("Outcome", [Cell(outcome(control)) for control in with_answer]),
        ("Version", [Cell(words.title(control.version)) for control in with_answer]),
        ("Expected", [Cell(words.clean(control.expected, 200)) for control in with_answer]),
        ("Found", [_number_cell(control, notes) for control in with_answer]),
    ]
    read = [control for control in results.controls if control not in with_answer]
    comparisons = [
        ("Version", [Cell(words.title(control.version)) for control in read]),
        ("Difference of AUC", column([control.found for control in read], notes)),
        ("Meaning", [Cell(_meaning(control.found)) for control in read]),
    ]
    return (
        assemble(
            "Checks whose right answer is known beforehand", "Check", [_plain(each) for each in with_answer], checks
        ),
        assemble("Comparisons without a right answer", "Comparison", [_plain(each) for each in read], comparisons),
    )


def _is_read(control: Control) -> bool:
    return control.passed is None and not isinstance(control.found, Unmeasured)


def _plain(control: Control) -> str:
    return words.plainly(control.name)


def _number_cell(control: Control, notes: Notes) -> Cell:
    (only,) = column([control.found], notes, apart=COIN)
    return only


def _meaning(difference: Quantity) -> str:
    if isinstance(difference, Unmeasured) or difference.low <= 0 <= difference.high:
        return "not told from noise of the same size"
    return (
        "protects more than noise of the same size"
        if difference.high < 0
        else "protects less than noise of the same size"
    )


def outcome(control: Control) -> str:
    """Return how a check ended, in a word or two."""
    if control.passed is None:
        return "not run"
    return "passed" if control.passed else "failed"


def without_samples(results: Results) -> str:
    """Say why no sample is named, an empty text where some are."""
    return _reason([record[MOST_EXPOSED_SAMPLES] for record in compared(results)])


def without_classes(results: Results) -> str:
    """Say why there is nothing to say of classes, an empty text where there is."""
    return _reason([record[EXPOSURE_BY_CLASS] for record in compared(results)])


def _reason(values: Sequence[object]) -> str:
    reasons = [each.reason for each in values if isinstance(each, Unmeasured)]
    return reasons[0] if reasons and len(reasons) == len(values) else ""


def versions(results: Results, notes: Notes) -> ReportTable | None:
    """Return the versions of the very model beside those of models trained like it; None without such a model."""
    view = about_model(results)
    if view is None:
        return None
    listed, trained = places(view, numbers(results)), {each.name: attacker(each) for each in results.versions}
    records = [place.record for place in listed]
    columns = [
        ("Rank", [Cell(place.rank) for place in listed]),
        (
            "An attacker is right, this very model",
            rights([place.attacker for place in listed], notes, rates_digits(view)),
        ),
        (
            "…, models trained like it",
            rights([trained.get(each.name, MORE) for each in records], notes, rates_digits(results)),
        ),
        *(measured(measure, records, notes) for measure in measures_shown("this model")),
        ("Cannot be told from no.", [Cell(words.ranges(place.tied) or words.NONE) for place in listed]),
    ]
    return without_empty(numbered(f"Versions of this very model, {ordered(records)}", listed, columns))


def theory(results: Results, notes: Notes) -> ReportTable:
    """Return the indicator r_Q and security (MIS) by theory, beside the bound on MIS that the attacks give."""
    listed = places(results)
    records = [place.record for place in listed]
    columns = [
        *(measured(measure, records, notes) for measure in measures_shown("theory")),
        ("Strongest attack", [Cell(_strongest(each)) for each in records]),
    ]
    return numbered("What the theory predicts and what the attacks allow", listed, columns)


def _strongest(record: VersionResult) -> str:
    return words.clean(record.strongest_attack) or words.NONE


def tables_of(results: Results, notes: Notes) -> ReportTable:
    """Return what each version is: its layers, its weights, and the digest of the table of its losses."""
    listed = places(results)
    records = [place.record for place in listed]
    columns = [
        measured(QUANTIZED_WEIGHTS, records, notes),
        ("Left in full precision", [Cell(words.some(each.untouched, 6) or words.NONE) for each in records]),
        ("Models, distinct", [Cell(f"{each.models}, {each.distinct}") for each in records]),
        ("Digest of its losses (SHA-256)", [Cell(each.table_digest[:16] or words.NONE) for each in records]),
    ]
    return numbered("The versions; digests by their first 16 digits", listed, columns)
