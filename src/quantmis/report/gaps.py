"""What was not measured and why: every reason in the document with the places where it stands.

The document is walked as a whole rather than field by field, so that a quantity that a later version adds cannot go
unmeasured in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from quantmis.measures import NOT_IN_DOCUMENT, SUBJECTS, measures_of
from quantmis.measures.canary_exposure import CanaryExposure
from quantmis.measures.exposure_by_class import ClassExposure
from quantmis.measures.tpr_at_fpr import RateAt, UnresolvedAt
from quantmis.report.words import NAME_LIMIT, clean, probability, some, title
from quantmis.results import Agreement, Curve, MeasuredRecord, Results
from quantmis.stats import Estimate, Unmeasured

Path = tuple[str, ...]
MOST_PLACES = 12
WORDS = {
    "tau": "agreement",
    "found": "",
    "target": "this very model",
    "blind": "what the records alone tell",
    "forget_blind": "what the records to be forgotten alone tell",
    "attacks": "",
    "agreement": "",
    "measures": "",
    "attack_accuracy": "how often an attacker is right",
    "attack_accuracy_change": "change against full precision",
    "perplexity": "perplexity",
    "tpr_at_fpr": "members found",
    "releases": "released together",
    "release_attack_accuracy": "how often an attacker with all of them is right",
    "release_strongest_alone": "how often an attacker with the strongest alone is right",
    "release_gain": "what is gained by having all of them",
}
"""Words for the steps of a path that are no measures, and for measures whose title makes sense only over a column."""


@dataclass(frozen=True)
class Gap:
    """Hold a reason and the quantities that have no number because of it, in words."""

    reason: str
    places: tuple[str, ...]


def gaps(results: Results) -> list[Gap]:
    """Return every reason of the document, each once, with all its places."""
    places: dict[str, dict[str, list[str]]] = {}
    for path, reason in _reasons(results, ()):
        version, rest = _split(path)
        what = _words(rest)
        places.setdefault(reason, {}).setdefault(what, []).append(version)
    count = len(results.versions)
    return [Gap(reason, _capped([_place(*each, count) for each in where.items()])) for reason, where in places.items()]


def _capped(places: list[str]) -> tuple[str, ...]:
    rest = len(places) - MOST_PLACES
    return tuple(places) if rest <= 1 else (*places[:MOST_PLACES], f"{rest} further quantities")


def _split(path: Path) -> tuple[str, Path]:
    """Return the version that a quantity is about, empty where it is about none, and the rest of its path."""
    if path[0] == "versions":
        return path[1], path[2:]
    if path[:2] == ("target", "versions"):
        return path[2], ("target", *path[3:])
    return "", path


def _place(what: str, versions: list[str], count: int) -> str:
    if versions == [""]:
        return what
    if len(versions) == count > 1:
        return f"{what}: all {count} versions"
    return f"{what}: {some([title(version) for version in versions], most=8)}"


def _words(path: Path) -> str:
    return ", ".join(filter(None, map(_word, path)))


def _word(step: str) -> str:
    """Return a step of a path in words: a measure by its title, as it is written within a sentence."""
    measures = {name: each for subject in SUBJECTS for name, each in measures_of(subject).items()}
    if step in measures and step not in WORDS:
        heading = measures[step].title
        return heading if heading[1:2].isupper() else heading[:1].lower() + heading[1:]
    return WORDS.get(step, clean(step.replace("_", " ") if step.islower() else step, NAME_LIMIT))


def _reasons(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Unmeasured | Estimate):
        if value.reason:
            yield path, value.reason
        return
    for step, child in _children(value):
        yield from _reasons(child, (*path, step))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Curve):
        return  # thousands of numbers for drawing
    if isinstance(value, BaseModel):
        yield from ((field, getattr(value, field)) for field in type(value).model_fields)
        yield from _absent(value) if isinstance(value, MeasuredRecord) else ()
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((item_name(item, index), item) for index, item in enumerate(value))


def _absent(record: MeasuredRecord) -> Iterator[tuple[str, Unmeasured]]:
    """Yield the measures that have a column in a table, and that the document does not know."""
    for name, measure in measures_of(record.subject).items():
        if measure.shown and name not in record.measures:
            yield name, NOT_IN_DOCUMENT


def item_name(item: Any, index: int) -> str:
    """Return the words for an item of a list, its number where it has no name."""
    if isinstance(item, RateAt | UnresolvedAt):
        return f"at {probability(item.fpr)} false alarms"
    if isinstance(item, Agreement):
        return f"{item.first} and {item.second}"
    if isinstance(item, ClassExposure):
        return f"class {item.label}"
    if isinstance(item, CanaryExposure):
        return f"{item.repeats} times in the training set"
    return getattr(item, "name", str(index))
