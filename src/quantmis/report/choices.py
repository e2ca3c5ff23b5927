"""The choice in short: the few versions that a decision is most likely between, and why each of them."""

from collections.abc import Sequence

from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.report import words
from quantmis.report.cells import Cell, Notes, rights
from quantmis.report.price import bargains
from quantmis.report.reading import attacker, baseline, lead, leaders, least_exposed, metric, most_useful, rates_digits
from quantmis.report.tables import ReportTable, assemble, measured, utilities, utility_heading
from quantmis.results import Results, VersionResult

MOST_LEADERS = 3


def choices(results: Results, notes: Notes) -> ReportTable:
    """Return the versions that a decision is most likely between: least exposed, best at no price, full precision."""
    reasons, view = _reasons(results), lead(results)
    records = [view.version(name) for name in reasons]
    columns = [
        ("An attacker is right", rights([attacker(record) for record in records], notes, rates_digits(view))),
        (utility_heading(records), utilities(records, notes)),
        measured(BITS_PER_WEIGHT, records, notes),
        ("Why it is here", [Cell(why) for why in reasons.values()]),
    ]
    about = "" if view is results else ": versions of this very model"
    return assemble(f"The choice in short{about}", "Version", list(map(words.title, reasons)), columns)


def _reasons(results: Results) -> dict[str, str]:
    """Return why each chosen version was chosen."""
    view = lead(results)
    least, best, whole = least_exposed(view), bargains(results), baseline(view)
    reasons: dict[str, list[str]] = {}
    for place, record in enumerate(most_useful(least or leaders(view))[:MOST_LEADERS]):
        useful = "the most useful: " if len(least) > 1 and place == 0 else ""
        reasons[record.name] = [useful + _standing(view, least)]
    for record in most_useful(best)[:1]:
        why = "gives away less than full precision and keeps"
        keep = f"its {words.plainly(metric(view.versions))}, as far as the data tell"
        reasons.setdefault(record.name, []).append(f"{why} {keep}")
    if whole is not None:
        reasons[whole.name] = ["for comparison"]
    return {name: ", and ".join(why) for name, why in reasons.items()}


def _standing(results: Results, least: Sequence[VersionResult]) -> str:
    if not least:
        alone = baseline(results) is None
        return f"cannot be told apart from {'any other version' if alone else 'full precision'} by what it gives away"
    if [record.name for record in least] != [record.name for record in leaders(results)]:
        return "gives away less than full precision"
    return "gives away least" if len(least) == 1 else f"one of the {len(least)} least exposed"
