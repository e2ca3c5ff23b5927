"""The records of results.json about one version: what was measured, with its interval, or why it was not."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar, cast, overload

from pydantic import Field, GetJsonSchemaHandler, SerializeAsAny, field_serializer, field_validator
from pydantic_core import CoreSchema

from quantmis.errors import UserError
from quantmis.measures import Measure, Number, Record, Subject, measures_of
from quantmis.registry import suggestion
from quantmis.stats import Estimate, Unmeasured

T = TypeVar("T")
R = TypeVar("R", bound="MeasuredRecord")
Measured = Estimate | Unmeasured


class MeasuredRecord(Record):
    """Hold values of measures by name, each checked as its declaration says.

    `record["utility"]`, or `record[UTILITY]`, is the value of that measure or, where the document has none, the reason
    why; `UserError` for a name that no measure has.
    """

    subject: ClassVar[Subject]
    measures: dict[str, SerializeAsAny[Any]] = Field(default_factory=dict)

    @field_validator("measures", mode="before")
    @classmethod
    def _declared(cls, values: Any) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise ValueError("expected measures by name")  # noqa: TRY004 pydantic takes ValueError for what is wrong
        measures = measures_of(cls.subject)
        unknown = [name for name in values if name not in measures]
        if unknown:
            raise ValueError(f"unknown measure {unknown[0]!r}: {suggestion(str(unknown[0]), measures)}")
        return {name: measures[name].parse(values[name]) for name in measures if name in values}

    @field_serializer("measures", mode="wrap")
    def _as_plain(self, values: dict[str, Any], write: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what is None: only what has no number, or is a bound, has a reason."""
        return _without_none(write(values))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe each measure by its declaration."""
        whole = handler.resolve_ref_schema(handler(schema))
        if "measures" in whole.get("properties", {}):
            whole["properties"]["measures"] = {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"description": each.sentence} for name, each in measures_of(cls.subject).items()},
            }
        return whole

    @overload
    def __getitem__(self, measure: Measure[T]) -> T | Unmeasured: ...
    @overload
    def __getitem__(self, measure: str) -> Any: ...
    def __getitem__(self, measure: Measure[Any] | str) -> Any:
        """Return the value of a measure, or of the one of that name."""
        if isinstance(measure, Measure):
            return self.measures.get(measure.name, measure.absent)
        if measure not in (measures := measures_of(self.subject)):
            raise UserError(f"there is no measure {measure!r}: {suggestion(measure, measures)}")
        return self.measures.get(measure, measures[measure].absent)

    def numbers(self) -> Iterator[tuple[str, Number]]:
        """Yield every plain number of the record by the name of its column, in the order of the measures."""
        for name, measure in measures_of(self.subject).items():
            if name in self.measures:
                yield from measure.columns(self.measures[name])

    def with_measures(self: R, **values: Any) -> R:
        """Return the record with other values of some measures."""
        return self.model_copy(update={"measures": {**self.measures, **values}})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _without_none(each) for name, each in fields.items() if each is not None}
    return [_without_none(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


class Curve(Record):
    """Hold points of a ROC curve for drawing; the numbers are beside it, with intervals."""

    fpr: list[float]
    tpr: list[float]


class AttackMetrics(MeasuredRecord):
    """Hold what one attack achieved against one version."""

    subject: ClassVar[Subject] = "attack"
    roc: Curve


class AttackResult(Record):
    """Hold one attack in both forms.

    `adaptive`: the attacker's own models went through the same quantizer as the target. `transfer`: they are full
    precision; its failure may be a mere shift of scores rather than privacy, so the adaptive number leads.
    """

    adaptive: AttackMetrics | Unmeasured
    transfer: AttackMetrics | Unmeasured


class ReleaseResult(MeasuredRecord):
    """Hold what several versions give away together: the `versions` of a release set.

    `strongest_attack` gave the joint attack accuracy, `strongest_alone` is the attack and the version that the gain is
    held against; two names where the halves of the samples chose differently. `attacks`: what each joint attack
    achieved.
    """

    subject: ClassVar[Subject] = "release set"
    versions: list[str]
    strongest_attack: str = ""
    strongest_alone: str = ""
    attacks: dict[str, AttackMetrics | Unmeasured] = Field(default_factory=dict[str, AttackMetrics | Unmeasured])

    @property
    def name(self) -> str:
        """What the set is called: the names of its versions."""
        return " + ".join(self.versions)


class VersionResult(MeasuredRecord):
    """Hold everything that was measured about one version.

    `untouched` names the layers left in full precision; `distinct` is how many different quantized models there were
    among the `models`; `table` is the path of the loss table, relative to `results.json`, `table_digest` the SHA-256 of
    its arrays. `utility_metric` names what the measure `utility` is measured in. `strongest_attack` gave the upper
    bound on security and the attack accuracy; it is empty where there is none.
    """

    subject: ClassVar[Subject] = "version"
    name: str
    untouched: list[str]
    models: int
    distinct: int
    table: str
    table_digest: str = ""
    utility_metric: str
    strongest_attack: str = ""
    attacks: dict[str, AttackResult]
