"""What a measure is, declared once.

A measure is a name, a title, a sentence that a non-specialist understands, a unit, a range, which direction is better,
what it is about, where it is shown, and the function of loss tables that computes it. The range checks of results.json,
the words for what could not be measured, the columns of every document and of the report, the glossary, the limits that
a policy can name and the reference page are derived from these fields and from nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, cast, get_args

from pydantic import ConfigDict, TypeAdapter

from quantmis.measures.scored import AttackOutcome, ScoredRelease, ScoredVersion
from quantmis.stats import Estimate, Unmeasured

Unit = Literal[
    "share",
    "share difference",
    "auc",
    "utility",
    "utility difference",
    "perplexity",
    "bits",
    "count",
    "number",
    "lower bound",
]
"""How a value is written: shares in per cent, their differences in percentage points, a utility in its own metric."""

Better = Literal["lower", "higher", "neither"]
Subject = Literal["version", "attack", "release set"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
Place = Literal["ranking", "this model", "theory", "attacks", "release"]
Number = Estimate | Unmeasured | float | int

T = TypeVar("T")
LARGEST = 1e100

NOT_IN_DOCUMENT = Unmeasured("the version of quantmis that made this document did not measure it")


@dataclass(frozen=True, kw_only=True)
class Measure(Generic[T]):
    """Declare one measure.

    `name`: what it is called in results.json, in every column and, with `_at_most` or `_at_least`, in policies.
    `title`: the heading where people read; `sentence`: its meaning for a non-specialist. `kind`: the type of its
    values: `Estimate`, a number that was counted, or a list of records. `span`: the least and the largest value; where
    `bounded`, the ends of its interval lie there too. `better`: which direction protects or is worth more. `subject`:
    whether it is computed of a version, of an attack on one, or of versions released together. `shown`: the tables of
    the report that have a column of it. `order`: its place among the others, low first. `limits`: the directions in
    which a policy may limit it; `chance`: what guessing gives, below which no policy may limit it. `glossary`: whether
    the report explains it. `absent`: why a document may have no value. `compute`: from scored loss tables to a value,
    or the reason why there is none; None where the measure has no meaning for the audit, as perplexity has none for
    images. `numbers`: the plain numbers in a value that is a list, by what is added to the name.
    """

    name: str
    title: str
    sentence: str
    kind: Any
    compute: "Callable[[Any], T | Unmeasured | None]"
    subject: Subject = "version"
    unit: Unit = "number"
    span: tuple[float, float] = (-LARGEST, LARGEST)
    bounded: bool = False
    better: Better = "neither"
    shown: frozenset[Place] = frozenset()
    order: int = 1000
    limits: tuple[Literal["at_most", "at_least"], ...] = ()
    chance: float | None = None
    glossary: bool = True
    absent: Unmeasured = NOT_IN_DOCUMENT
    numbers: Callable[[T], Mapping[str, Number]] | None = None

    @cached_property
    def parse(self) -> Callable[[Any], Any]:
        """Read and check a value of results.json; pydantic's `ValidationError` where it is of another kind."""
        kind: Any = self.kind | Unmeasured
        return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False)).validate_python

    def columns(self, value: "T | Unmeasured") -> Iterator[tuple[str, Number]]:
        """Yield the plain numbers of a value by the names of their columns."""
        if self.numbers is None:
            if not isinstance(value, list):
                yield self.name, cast("Number", value)
        elif isinstance(value, Unmeasured):
            yield self.name, value
        else:
            yield from ((f"{self.name}{end}", number) for end, number in self.numbers(value).items())


VersionMeasure = Callable[[ScoredVersion], T | Unmeasured | None]
AttackMeasure = Callable[[AttackOutcome], T | Unmeasured | None]
ReleaseMeasure = Callable[[ScoredRelease], T | Unmeasured | None]
