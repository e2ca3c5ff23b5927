"""The first sentences of the verdict: which version gives away least, how sure that is, and against what.

Being tied is not transitive, so a version can be of the first rank and still not be told from full precision. What is
said to give away less than full precision is therefore what the paired comparison with it shows, nothing else.
"""

from collections.abc import Sequence

from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.report import words
from quantmis.report.reading import (
    about_model,
    attacker,
    baseline,
    clear_digits,
    exposes,
    leaders,
    least_exposed,
    protects,
    rate,
    rates_digits,
)
from quantmis.report.words import some, title
from quantmis.results import Results, VersionResult
from quantmis.stats import Estimate, Unmeasured


def headline(results: Results) -> str:
    """Say which version gives away least, how often an attacker is right about it, and about full precision."""
    first, least, count = leaders(results), least_exposed(results), len(results.versions)
    if not results.versions:
        return f"No version of {subject(results)} was audited."
    if count == 1:
        record = results.versions[0]
        return f"One version of {subject(results)} was audited, {title(record.name)}: {_rightness([record], results)}."
    if least:
        return f"{_of(results)}, {_leading(least, first)}: {_rightness(least, results)}."
    if not first:
        return f"The audit could not rank the versions of {subject(results)} by what they give away."
    if len(first) == count:
        whole = ", full precision among them," if baseline(results) else ""
        every = f"The {count} versions of {subject(results)}{whole} cannot be told apart by what they give away"
        return f"{every}: {_rightness(first, results)}."
    records = [record for record in [baseline(results)] if record] or first
    return f"{_of(results)}, none gives away measurably less than full precision: {_rightness(records, results)}."


def subject(results: Results) -> str:
    """Return what the versions are versions of: the very weights that were given, or a model trained like them."""
    if results.config.depth == "as-is":
        return "this very model"
    return "the model" if about_model(results) is None else "models trained like it"


def _of(results: Results) -> str:
    """Count the quantized versions; full precision is what they are held against and is not counted."""
    count = len(results.versions) - (baseline(results) is not None)
    if count == 1:
        return f"Of full precision and the one quantized version of {subject(results)}"
    return f"Of {count} {'quantized ' if baseline(results) else ''}versions of {subject(results)}"


def _leading(least: Sequence[VersionResult], first: Sequence[VersionResult]) -> str:
    names, one = some([title(record.name) for record in least]), len(least) == 1
    alike = "" if one else " and cannot be told apart"
    if [record.name for record in least] == [record.name for record in first]:
        return f"{names} {'gives' if one else 'give'} away least{alike}"
    return f"{names} {'gives' if one else 'give'} away less than full precision{alike}"


def _rightness(records: Sequence[VersionResult], results: Results) -> str:
    often = rightness(records, results)
    if often is None:
        return "how often an attacker is right was not measured"
    return f"an attacker who knows everything we tried is {often}{_against_baseline(records, results)}"


def rightness(records: Sequence[VersionResult], results: Results) -> str | None:
    """Say how often an attacker is right about some versions, and how often at most; None where it was not measured."""
    accuracies = [each for each in map(attacker, records) if isinstance(each, Estimate)]
    if not accuracies:
        return None
    ends = (min(accuracies, key=lambda each: each.value), max(accuracies, key=lambda each: each.value))
    digits = max(clear_digits(each, rates_digits(results)) for each in ends)  # one number of decimals for both
    lowest, highest = (rate(each, digits)[0] for each in ends)
    span = lowest if lowest == highest else f"{lowest.removesuffix(' %')} to {highest}"
    return f"right {span} of the time (at most {rate(max(accuracies, key=lambda each: each.high), digits)[2]})"


def _against_baseline(records: Sequence[VersionResult], results: Results) -> str:
    whole = baseline(results)
    if whole is None or whole in records:
        return ""
    right = attacker(whole)
    if isinstance(right, Unmeasured):
        return "; for full precision that was not measured"
    return f", against {rate(right, rates_digits(results))[0]} for full precision"


def gained(results: Results) -> str | None:
    """Say by how much the one least exposed version lowers how often an attacker is right, with the interval."""
    least = least_exposed(results)
    change = least[0][ATTACK_ACCURACY_CHANGE] if len(least) == 1 else None
    if baseline(results) is None or not isinstance(change, Estimate):
        return None
    points = words.scaled(change, -100)
    digits = words.clear(points, words.places(words.reach(points) / 10, most=1))
    value, low, high = (words.fixed(each, digits) for each in (points.value, points.low, points.high))
    return (
        f"Compared on the same models and samples, the attacker is right about {title(least[0].name)} {value} "
        f"percentage points less often than about full precision (between {low} and {high})."
    )


def nothing_gained(results: Results) -> str | None:
    """Say what quantizing does where no version gives away measurably less than full precision."""
    whole = baseline(results)
    others = [record for record in results.versions if record is not whole]
    if whole is None or not others or any(protects(results, record) for record in others):
        return None
    worse = [record for record in others if exposes(results, record)]
    if len(worse) == len(others):
        return "Every quantized version gives away more than full precision does."
    none = "No quantized version gives away measurably less than the model it was made from"
    if not worse:
        said_before = 0 < len(leaders(results)) < len(results.versions)
        return None if said_before else f"{none}."
    return f"{none}; {some([title(each.name) for each in worse])} {_verb(worse, 'give')} away more."


def undecided(results: Results) -> str | None:
    """Name the versions that are tied with the least exposed and yet not told from full precision."""
    least, first = least_exposed(results), leaders(results)
    others = [record for record in first if record not in least and not exposes(results, record)]
    if baseline(results) is None or not least or not others or least != [record for record in first if record in least]:
        return None
    names = some([title(record.name) for record in others])
    them = title(least[0].name) if len(least) == 1 else "them"
    return f"{names} cannot be told apart from {them}, and neither from full precision."


def trained_alike(results: Results) -> str | None:
    """Say the same of models trained like the very model that leads the verdict."""
    return headline(results) if about_model(results) and results.versions else None


def _verb(records: Sequence[VersionResult], plural: str) -> str:
    return plural if len(records) > 1 else f"{plural}s"
