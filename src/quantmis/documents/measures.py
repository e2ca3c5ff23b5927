"""The numbers of one version as a flat table: a name, a number with its interval, or the reason why there is none.

The names are the columns of the CSV file and of data frames, the keys of report.json, the metrics of the bill of
materials and those in MLflow. All are made from the declarations of measures, so that one number is called the same
everywhere.
"""

from quantmis.measures import Number, measures_of
from quantmis.results import ReleaseResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

FORMS = ("adaptive", "transfer")


def meanings() -> dict[str, str]:
    """Return what the measures of a version and of a release set mean, by name."""
    every = {**measures_of("version"), **measures_of("release set")}
    return {name: measure.sentence for name, measure in every.items()}


def counted() -> set[str]:
    """Return the names of the measures that are counted and have no interval."""
    return {name for name, measure in measures_of("version").items() if measure.kind in (int, float)}


def numbers(record: VersionResult) -> dict[str, Number]:
    """Return every number of a version, and of each attack in both forms, such as `lira.adaptive.tpr_at_fpr_0.01`."""
    return {**dict(record.numbers()), **_by_attack(record)}


def of_release(release: ReleaseResult) -> dict[str, Number]:
    """Return every number of versions that are released together, and of each joint attack, such as `stacked.auc`."""
    columns = dict(release.numbers())
    for attack, outcome in release.attacks.items():
        own = [("auc", outcome)] if isinstance(outcome, Unmeasured) else outcome.numbers()
        columns |= {f"{attack}.{name}": number for name, number in own}
    return columns


def _by_attack(record: VersionResult) -> dict[str, Number]:
    columns: dict[str, Number] = {}
    for attack, result in record.attacks.items():
        for form, outcome in zip(FORMS, (result.adaptive, result.transfer), strict=True):
            own = [("auc", outcome)] if isinstance(outcome, Unmeasured) else outcome.numbers()
            columns |= {f"{attack}.{form}.{name}": number for name, number in own}
    return columns


def plain(number: Number) -> dict[str, float | str]:
    """Return a number with its interval, or the reason why there is none, under the keys of results.json."""
    if isinstance(number, Unmeasured):
        return {"reason": number.reason}
    if not isinstance(number, Estimate):
        return {"value": number}
    fields: dict[str, float | str] = {"value": number.value, "low": number.low, "high": number.high}
    return fields | {"level": number.level} | ({"reason": number.reason} if number.reason else {})
