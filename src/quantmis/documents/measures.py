"""The numbers of one version as a flat table: a name, a number with its interval, or the reason why there is none.

The names are the columns of the CSV file, the keys of report.json, the metrics of the bill of materials and those in
MLflow, so that one number is called the same everywhere.
"""

from collections.abc import Iterator

from quantmis.report.reading import attacker, shown
from quantmis.results import AttackMetrics, AttackResult, Measured, VersionResult, UnresolvedAt
from quantmis.stats import Estimate, Unmeasured

FORMS = ("adaptive", "transfer")
FIELDS = ("auc", "advantage", "balanced_accuracy", "epsilon_low")

MEANINGS = {
    "attacker_is_right": "how often the strongest attack says rightly whether a record was trained on; 0.5 is a coin",
    "change": "how much more often the strongest attack is right than against full precision, paired",
    "utility": "what the version is worth on samples that no model was trained on",
    "perplexity": "of a language model: exp of the mean loss of a token of held-out texts, lower is better",
    "utility_change": "the utility minus that of full precision, paired",
    "security_upper_bound": "an upper bound on membership inference security, given by the strongest attack",
    "security": "membership inference security by theory, under the assumption of its documentation",
    "indicator": "the rate r_Q of the theory; it orders versions and is no probability",
}


def traits(record: VersionResult) -> dict[str, float | Unmeasured]:
    """Return the numbers that were counted and have no interval."""
    return {
        "bits_per_weight": record.bits_per_weight,
        "sparsity": record.sparsity,
        "distortion": record.distortion,
    }


def headline(record: VersionResult) -> dict[str, Measured]:
    """Return the numbers that do not belong to a single attack."""
    told = {
        "attacker_is_right": attacker(record),
        "change": record.change,
        "utility": record.utility,
        "utility_change": record.utility_change,
        "security_upper_bound": record.security_upper_bound,
        "security": record.security,
        "indicator": record.indicator,
    }
    return told | ({} if shown(record) is record.utility else {"perplexity": shown(record)})


def by_attack(record: VersionResult) -> dict[str, Measured]:
    """Return the numbers of every attack in both forms, such as `lira.adaptive.auc` and `lira.adaptive.tpr_at_0.01`."""
    return {
        f"{attack}.{form}.{name}": found
        for attack, result in record.attacks.items()
        for form in FORMS
        for name, found in _of(result, form)
    }


def _of(result: AttackResult, form: str) -> Iterator[tuple[str, Measured]]:
    found: AttackMetrics | Unmeasured = getattr(result, form)
    if isinstance(found, Unmeasured):
        yield "auc", found
        return
    yield from ((field, getattr(found, field)) for field in FIELDS)
    yield from ((f"tpr_at_{rate.fpr:g}", _plain(rate)) for rate in found.tpr)


def _plain(rate: Estimate | UnresolvedAt) -> Measured:
    return Unmeasured(rate.reason) if isinstance(rate, UnresolvedAt) else rate


def plain(quantity: float | Measured) -> dict[str, float | str]:
    """Return a number with its interval, or the reason why there is none, under the keys of results.json."""
    if isinstance(quantity, Unmeasured):
        return {"reason": quantity.reason}
    if not isinstance(quantity, Estimate):
        return {"value": quantity}
    numbers: dict[str, float | str] = {"value": quantity.value, "low": quantity.low, "high": quantity.high}
    return numbers | {"level": quantity.level} | ({"reason": quantity.reason} if quantity.reason else {})
