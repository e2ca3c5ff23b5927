"""What the verdict holds against its own numbers: failed checks, sets that differ, attacks that were not tried."""

from quantmis.report import words
from quantmis.report.price import recommended
from quantmis.report.reading import (
    COIN,
    about_model,
    adaptive,
    attacker,
    baseline,
    lead,
    lead_attack,
    rate_at,
    smallest_rate,
)
from quantmis.report.words import listing, percent, reach, some, title
from quantmis.results import BlindBaseline, Control, Results, TargetResult
from quantmis.stats import Estimate, Unmeasured


def failed_controls(results: Results) -> str | None:
    """Warn before anything else that the audit failed its own checks."""
    failed = [control for control in results.controls if control.passed is False]
    if not failed:
        return None
    which = some([_failure(control) for control in failed], most=3)
    return f"Do not rely on this audit: it failed its own check {which}. What follows may be wrong."


def _failure(control: Control) -> str:
    name, version = words.plainly(control.name), title(control.version)
    number = words.number(control.found)
    return f"“{name}” on {version} (expected {words.clean(control.expected, 200)}, found {number})"


def blind(results: Results) -> BlindBaseline | None:
    """Return what can be told of the given members and non-members without any model, where that was measured."""
    target = results.target
    blind_baseline = target.blind if isinstance(target, TargetResult) else None
    return blind_baseline if isinstance(blind_baseline, BlindBaseline) else None


def confounded(results: Results) -> str | None:
    """Warn where the members and non-members that were given differ without any model."""
    blind_baseline = blind(results)
    if blind_baseline is None or not blind_baseline.differs:
        return None
    area = (
        f" (AUC {words.number(blind_baseline.auc)}; 0.5 is a coin)" if isinstance(blind_baseline.auc, Estimate) else ""
    )
    return (
        "The members and non-members that were given differ from each other: a classifier that never saw the model "
        f"tells them apart{area}. Every figure about this very model may show that difference instead of what the "
        "model remembers."
    )


def hinted(results: Results) -> str | None:
    """Say where a classifier that never saw the model beats a coin though it does not tell the sets apart."""
    blind_baseline = blind(results)
    right = None if blind_baseline is None or blind_baseline.differs else blind_baseline.balanced_accuracy
    if not isinstance(right, Estimate) or right.low <= COIN:
        return None
    return (
        f"A classifier that never saw the model is right {_share(right)} of the time about who was a member, more "
        "often than a coin; its ranking of the records does not show it. So members and non-members may differ a "
        "little by themselves, and figures about this very model may show some of that."
    )


def understated(results: Results) -> str | None:
    """Say why the exposure is probably larger than measured, where the audit found that its attacks were weak."""
    codes, config, target = {finding.code for finding in results.warnings}, results.config, results.target
    why: list[str] = []
    if config.depth == "as-is":
        why.append("attackers who train models of their own usually find more, and their attacks were not tried")
    if "QM002" in codes:
        why.append(f"only {config.shadows} shadow models were trained (QM002)")
    if "QM012" in codes and isinstance(target, TargetResult):
        size = f"{results.data.members_per_model:,} samples each and this model on {target.members:,}"
        why.append(f"the models that attack were trained on {size} (QM012)")
    return f"The exposure is probably larger than measured here: {listing(why)}." if why else None


def hardly_learned(results: Results) -> str | None:
    """Repeat the finding that the models hardly learned: what learned nothing gives nothing away."""
    texts = [finding.text for finding in results.warnings if finding.code == "QM010"]
    return words.clean(texts[0], 400) if texts else None


def knows_nothing(results: Results) -> str | None:
    """Repeat the finding that versions are no better than a constant guess."""
    texts = [finding.text for finding in results.warnings if finding.code == "QM020"]
    return words.clean(texts[0], 400) if texts else None


def most_exposed(results: Results) -> str | None:
    """Say how many members an attacker finds who hardly ever accuses a non-member: averages hide the most exposed."""
    view = lead(results)
    attack, fpr, whole = lead_attack(view), _smallest_rate(view), baseline(view)
    records = [*([whole] if whole else []), *recommended(results)]
    rates = {record.name: rate for record in records if (rate := rate_at(adaptive(record, str(attack)), fpr))}
    if not rates:
        return None
    (first, rate), *others = rates.items()
    shares = [f"{_share(rate)} of the members against {title(first)}"]
    shares += [f"{_share(rate)} against {title(name)}" for name, rate in others]
    alarm, coin = f"With one false alarm in {1 / fpr:,.0f}", f"a coin finds {words.probability(fpr)}"
    return f"{alarm}, {words.clean(str(attack))} finds {listing(shares)}; {coin}."


def _smallest_rate(results: Results) -> float:
    outcomes = [adaptive(record, str(lead_attack(results))) for record in results.versions]
    return max((smallest_rate(each) for each in outcomes), default=1.0)


def _share(rate: Estimate) -> str:
    digits = words.places(100 * reach(rate), most=1)
    low, high = (percent(each, digits) for each in (rate.low, rate.high))
    return f"{percent(rate.value, digits)} ({low.removesuffix(' %')} to {high})"


def unmeasured(results: Results) -> str | None:
    """Name the versions of which nobody can say how often an attacker is right, and why."""
    reasons = {
        record.name: right.reason for record in results.versions if isinstance(right := attacker(record), Unmeasured)
    }
    if not reasons:
        return None
    names = some([title(name) for name in reasons])
    why = some(list(dict.fromkeys(words.clean(reason, 200) for reason in reasons.values())), most=3)
    return f"How often an attacker is right about {names} was not measured: {why}."


def no_better_than_a_coin(results: Results) -> str | None:
    """Name the versions against which every attack failed, and say that this proves nothing."""
    failed = [record for record in results.versions if _reaches_coin(attacker(record))]
    if not failed:
        return None
    names = some([title(record.name) for record in failed])
    coin = f"Against {names} our attacks did not do measurably better than a coin"
    return f"{coin}, which proves nothing about attacks that we did not try."


def _reaches_coin(right: Estimate | Unmeasured) -> bool:
    return isinstance(right, Estimate) and right.low <= COIN


def no_control(results: Results) -> str | None:
    """Say that the audit was not put to the test itself where none of its controls was run."""
    if any(control.passed is not None for control in results.controls):
        return None
    return "None of the audit's own checks was run, so nothing shows that it would have noticed a leak."


def about_what(results: Results) -> str | None:
    """Say whether the figures are about the weights that will ship or about models trained like them."""
    if results.config.depth == "as-is":
        return "The figures are about this very model, and no other model was trained."
    if about_model(results) is None:
        return (
            "The figures are about models trained in this way on data like these. The weights that will ship were not "
            "themselves attacked."
        )
    return None


def reservation(results: Results) -> str | None:
    """Say what the numbers are: what the attacks that were run achieved, no promise about others."""
    level = percent(results.config.level)
    attacks = some([words.clean(name) for name in results.config.attacks], most=6)
    return (
        f"A coin is right 50 % of the time. Every figure is what the attacks that we ran achieved ({attacks}); "
        f"“at most” is the upper end of its {level} interval. A better attack may exist, "
        "so the figures say how much is given away at least."
    )
