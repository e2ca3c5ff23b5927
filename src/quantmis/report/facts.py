"""Facts of an audit that are no measures: who made it, on what, how it tested itself, what it cost.

Each is a sentence read off the document, or the reason why there is none with what would give it.
"""

from collections.abc import Callable

from quantmis.measures.quantized_weights import QUANTIZED_WEIGHTS
from quantmis.report import words
from quantmis.report.reading import lead
from quantmis.results import BlindBaseline, Results, TargetResult
from quantmis.stats import Unmeasured

Fact = Callable[[Results], "str | Unmeasured"]
A_MINUTE = 60
AGAIN = "a new training, quantizer or attack makes another audit; the store of this one trains nothing twice"


def auditor(results: Results) -> str | Unmeasured:
    """Say who audited, as declared."""
    declared = results.config.auditor
    if declared is None:
        return Unmeasured("not declared: [auditor] in the audit file names who audits")
    return f"{words.listing([words.clean(each, 200) for each in declared.values()])} (declared)"


def release_context(results: Results) -> str | Unmeasured:
    """Say who gets the weights and under which terms, as declared."""
    declared = results.config.release_context
    if declared is None:
        return Unmeasured("not declared: [release] recipients and terms in the audit file say it")
    said = [f"{name}: {words.clean(value, 300)}" for name, value in declared.items()]
    return f"{'; '.join(said)} (declared)"


def tests(results: Results) -> str:
    """Say when and to what extent the attacks were run."""
    config = results.config
    models = {
        "as-is": "no other model",
        "indicator": f"{config.replicates} models",
        "shadow": f"{config.shadows} models",
    }
    begun = words.moment(results.environment.started)
    counts = (
        f"{len(results.versions)} versions, {results.data.samples:,} records divided, {models[config.depth]} trained"
    )
    return f"{begun}; {counts}; attacks: {words.some([words.clean(each) for each in config.attacks], most=12)}"


def digests(results: Results) -> str:
    """Name the data and the weights by their digests."""
    data, target = f"data SHA-256 {results.data.digest}", results.target
    if not isinstance(target, TargetResult):
        return f"{data}; no weights were given"
    return f"{data}; weights SHA-256 {target.file or target.digest}"


def data_to_weights(results: Results) -> str | Unmeasured:
    """Give the records that a model was trained on by the number of weights that are quantized."""
    counts = [each for record in lead(results).versions if isinstance(each := record[QUANTIZED_WEIGHTS], int | float)]
    members = _members(results)
    if not counts or not members:
        return Unmeasured("no version says how many weights it has")
    ratio = words.significant(members / max(counts))
    return f"{members:,} records to {max(counts):,.0f} quantized weights: {ratio} records a weight, others not counted"


def _members(results: Results) -> int:
    target = results.target
    return (
        target.members
        if isinstance(target, TargetResult) and results.config.depth == "as-is"
        else (results.data.members_per_model)
    )


def several_attacks(results: Results) -> str | Unmeasured:
    """Say that the strongest of several attacks counts."""
    names = [words.clean(each) for each in results.config.attacks]
    if len(names) < 2:
        return Unmeasured("a single attack was run: [audit] attacks = [...] names more")
    return f"{len(names)} attacks, the strongest chosen on one half of the records and measured on the other"


def blind_baseline(results: Results) -> str | Unmeasured:
    """Say how well a classifier does that never sees the model; a reason where it tells members apart."""
    target = results.target
    blind = target if isinstance(target, Unmeasured) else target.blind
    if not isinstance(blind, BlindBaseline):
        return Unmeasured(f"{blind.reason}: [target] in the audit file names members and non-members of one model")
    said = f"AUC {words.number(blind.auc)} by {words.clean(blind.method)}, 0.5 is a coin"
    return Unmeasured(f"members differ from non-members by themselves: {said}") if blind.differs else said


def controls(results: Results) -> str | Unmeasured:
    """Say how many tests of the audit itself passed; a reason where one failed or none was run."""
    failed = [words.clean(each.name) for each in results.controls if each.passed is False]
    passed = sum(each.passed is True for each in results.controls)
    if failed or not passed:
        return Unmeasured(f"failed: {words.listing(failed)}" if failed else "none was run")
    return f"{passed} tests of the audit with a known answer passed"


def cost(results: Results) -> str:
    """Say what the audit took, and when it has to be made again."""
    seconds = sum(results.environment.seconds.values())
    took = f"{seconds:,.0f} s" if seconds < A_MINUTE else f"{seconds / A_MINUTE:,.0f} minutes"
    declared = results.config.auditor or {}
    often = (
        f"repeated every {words.clean(declared['repeat_after_days'])} days (declared); "
        if ("repeat_after_days" in declared)
        else ""
    )
    return f"{took} on {words.clean(results.environment.machine, 100)}; {often}{AGAIN}"


FACTS: dict[str, Fact] = {
    "auditor": auditor,
    "release_context": release_context,
    "tests": tests,
    "digests": digests,
    "data_to_weights": data_to_weights,
    "several_attacks": several_attacks,
    "blind_baseline": blind_baseline,
    "controls": controls,
    "cost": cost,
}
"""Facts by the names that framework files call them."""
