"""What an audit answers to the questions of a data-protection impact assessment, as Markdown.

An answer claims no more than its interval: a record that chance allows is not called exposed, classes that the
intervals do not tell apart are not ordered, and a change is written with its unit.
"""

from collections.abc import Callable

from quantmis.documents.markdown import bits, forgotten, plain, share, table, together
from quantmis.documents.source import audited
from quantmis.measures import NOT_IN_DOCUMENT, Measure
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.epsilon_lower_bound import EPSILON_LOWER_BOUND
from quantmis.measures.exposure_by_class import EXPOSURE_BY_CLASS
from quantmis.measures.extractable import EXTRACTABLE
from quantmis.measures.most_exposed_samples import MOST_EXPOSED_SAMPLES
from quantmis.measures.secrets_exposure import SECRETS_EXPOSURE
from quantmis.measures.secrets_written import SECRETS_WRITTEN
from quantmis.measures.utility_change import UTILITY_CHANGE
from quantmis.report import tested, words
from quantmis.report.cautions import hinted
from quantmis.report.certified import guaranteed, refuted
from quantmis.report.price import difference
from quantmis.report.reading import COIN, adaptive, attacker, lead_attack, metric, rate_at, smallest_rate
from quantmis.results import Results, ResultSubject, VersionResult
from quantmis.stats import Estimate, Unmeasured

MOST_SHOWN = 5
RARE = 0.02
"""False alarms that are rarer than this are called rare."""

DRAWN_OUT = (EXTRACTABLE, SECRETS_WRITTEN, SECRETS_EXPOSURE)
"""What says how much of the contents of the training data comes out."""


def right(results: Results) -> str:
    """Say how often an attacker is right about each version."""
    return "\n\n".join(_right(subject) for subject in audited(results))


def _right(subject: ResultSubject) -> str:
    rows = [
        [plain(words.title(record.name)), share(attacker(record)), bits(record)] for _, record, _ in subject.ordered
    ]
    head = [f"Version of {subject.about}", "The strongest attack is right", "Bits per weight"]
    return f"A coin is right 50 % of the time.\n\n{table(head, rows)}"


def few_false_alarms(results: Results) -> str:
    """Say how many members are found by an attacker who hardly ever accuses a non-member."""
    return _each(results, _rate_sentence)


def _rate_sentence(record: VersionResult, name: str) -> str:
    metrics = adaptive(record, name)
    if isinstance(metrics, Unmeasured):
        return _why(metrics)
    fpr = smallest_rate(metrics)
    resolved = rate_at(metrics, fpr)
    if resolved is None:
        return "not measured: too few records that no model was trained on"
    often = f"{share(resolved)} of the members, with false alarms on {words.probability(fpr)} of the others"
    if fpr <= RARE:
        return often
    return f"not measured for so rare false alarms; the rarest that the records resolve: {often}"


def groups_of_people(results: Results) -> str:
    """Say how exposed the classes are, as far as the intervals tell."""
    return _each(results, lambda record, _: _classes(record))


def _classes(record: VersionResult) -> str:
    exposures = record[EXPOSURE_BY_CLASS]
    if isinstance(exposures, Unmeasured):
        return _why(exposures)
    aucs = [(each.label, each.auc) for each in exposures if isinstance(each.auc, Estimate)]
    if not aucs:
        return "not measured for any class"
    aucs.sort(key=lambda each: -each[1].value)
    selection = aucs if len(aucs) <= MOST_SHOWN else [*aucs[: MOST_SHOWN - 1], aucs[-1]]
    listing = "; ".join(f"class {label} {plain(words.number(auc))}" for label, auc in selection)
    if max(auc.low for _, auc in aucs) <= min(auc.high for _, auc in aucs):
        return f"the intervals do not tell the classes apart; AUC, where 0.5 is a coin: {listing}"
    return f"some more than others; AUC, where 0.5 is a coin, from the most exposed class to the least: {listing}"


def single_records(results: Results) -> str:
    """Say how exposed the most exposed records are."""
    return _each(results, lambda record, _: _records(record))


def _records(record: VersionResult) -> str:
    exposures = record[MOST_EXPOSED_SAMPLES]
    if isinstance(exposures, Unmeasured):
        return _why(exposures)
    beyond = [each for each in exposures if each.exposure.low > COIN]
    if not beyond:
        return f"no record is shown to stand out beyond what chance allows, with {record.models} models"
    listing = "; ".join(f"record {plain(each.id, 60)} {share(each.exposure)}" for each in beyond[:MOST_SHOWN])
    return f"a model trained on it stands out, more often than chance allows: {listing}"


def gained(results: Results) -> str:
    """Say what quantizing changes against full precision."""
    return _each(results, lambda record, _: _change(record))


def _change(record: VersionResult) -> str:
    if record.name == words.BASELINE and record[ATTACK_ACCURACY_CHANGE] != NOT_IN_DOCUMENT:
        return "what the others are held against"
    exposure, utility = record[ATTACK_ACCURACY_CHANGE], record[UTILITY_CHANGE]
    right = _why(exposure) if isinstance(exposure, Unmeasured) else _points(exposure)
    utility_words = _why(utility) if isinstance(utility, Unmeasured) else plain(difference(utility, metric([record])))
    return f"how often the attacker is right changes by {right}; the utility changes by {utility_words}"


def _points(change: Estimate) -> str:
    points = words.scaled(change, 100)
    digits = words.clear(points, words.places(words.reach(points) / 10, most=1))
    value, low, high = (words.fixed(each, digits) for each in (points.value, points.low, points.high))
    return f"{value} percentage points, between {low} and {high}"


def still_forgotten(results: Results) -> str:
    """Say what is left of the records that the model was made to forget."""
    return forgotten(results) or "Not measured: the audit was not told of records that were to be forgotten."


def released_together(results: Results) -> str:
    """Say what several versions give away together."""
    parts = [together(subject) for subject in audited(results)]
    return "\n\n".join(filter(None, parts)) or "Not measured: no versions were attacked together."


def private_training(results: Results) -> str:
    """Say what the training guarantees, where it does, and which epsilon the attacks rule out."""
    parts = [refuted(results), guaranteed(results)]
    return "\n\n".join([*(plain(each) for each in parts if each), _each(results, _epsilon)])


def _epsilon(record: VersionResult, name: str) -> str:
    metrics = adaptive(record, name)
    epsilon = metrics if isinstance(metrics, Unmeasured) else metrics[EPSILON_LOWER_BOUND]
    if isinstance(epsilon, Unmeasured):
        return _why(epsilon)
    return f"epsilon is at least {words.significant(max(0.0, epsilon.low))}"


def trust(results: Results) -> str:
    """Say what the audit's own checks found, and what it warns of."""
    passed = sum(control.passed is True for control in results.controls)
    failed = [control for control in results.controls if control.passed is False]
    lines = [f"{passed} of its own checks with a known answer passed, {len(failed)} failed."]
    lines += [f"- **{plain(each.code)}** {plain(each.text)}" for each in results.warnings]
    return "\n\n".join([lines[0], "\n".join(lines[1:])]).strip()


def blind(results: Results) -> str:
    """Say whether members and others differ without the model."""
    target = results.target
    blind_baseline = target if isinstance(target, Unmeasured) else target.blind
    if isinstance(blind_baseline, Unmeasured):
        return plain(f"Not measured: {blind_baseline.reason}.")
    auc = plain(words.number(blind_baseline.auc))
    if blind_baseline.differs:
        answer = f"Yes: {plain(blind_baseline.method)} tells them apart without the model, AUC {auc}."
        return f"{answer} The figures about this model mix both."
    hint = hinted(results)
    answer = f"Not shown by {plain(blind_baseline.method)}, AUC {auc}, where 0.5 is a coin."
    return f"{answer} {plain(hint)}" if hint else answer


def other_attacks(results: Results) -> str:
    """Say which kinds of attack were tried, with the numbers of those that draw out contents, and which were not."""
    numbers = [line for line in (_contents(each, results) for each in DRAWN_OUT) if line]
    return "\n\n".join([*map(plain, tested.said(results)), "\n".join(numbers)]).strip()


def _contents(measure: Measure[Estimate], results: Results) -> str:
    """Return a measure of contents that the model gives away in every version where it has a number; else nothing."""
    known = [
        f"{plain(words.title(record.name))} of {subject.about} {_content(value, measure)}"
        for subject in audited(results)
        for _, record, _ in subject.ordered
        if isinstance(value := record[measure], Estimate)
    ]
    return f"- {measure.title}: {'; '.join(known)}" if known else ""


def _content(value: Estimate, measure: Measure[Estimate]) -> str:
    return share(value) if measure.unit == "share" else plain(words.number(value))


def _why(missing: Unmeasured) -> str:
    return plain(missing.reason if missing.reason.startswith("not measured") else f"not measured: {missing.reason}")


def _each(results: Results, say: Callable[[VersionResult, str], str]) -> str:
    """Return a line for each version, one for all of those of which the same is to be said."""
    name = str(lead_attack(results))
    return "\n".join(line for subject in audited(results) for line in _lines(subject, lambda record: say(record, name)))


def _lines(subject: ResultSubject, say: Callable[[VersionResult], str]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for _, record, _ in subject.ordered:
        alike.setdefault(say(record), []).append(words.title(record.name))
    every = len(subject.versions)
    return [
        f"- {f'all {every} versions' if len(names) == every > 1 else plain(words.some(names))} of "
        f"{subject.about}: {line}"
        for line, names in alike.items()
    ]
