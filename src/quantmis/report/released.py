"""What several versions give away together, for the report: sentences and tables of the release sets."""

from collections.abc import Sequence
from dataclasses import dataclass

from quantmis.joint import DESCRIPTIONS, OF_ONE_ATTACK
from quantmis.measures import measures_shown
from quantmis.measures.auc import AUC
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_gain import RELEASE_GAIN
from quantmis.measures.release_strongest_alone import RELEASE_STRONGEST_ALONE
from quantmis.measures.release_without import RELEASE_WITHOUT, LeftOut
from quantmis.report import words
from quantmis.report.cells import Cell, Notes, areas, column_of, differences, rates, rights
from quantmis.report.reading import rate, rate_at
from quantmis.report.tables import Column, ReportTable, assemble, without_empty
from quantmis.results import AttackMetrics, ReleaseResult, Results, ResultSubject, subjects
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.metrics import FALSE_POSITIVE_RATES

FEW = 4
"""Versions of a set that are named one by one."""


@dataclass(frozen=True)
class ReleaseSection:
    """Hold what is said of one release set: what it is, in a sentence or two, and its two tables."""

    title: str
    sentences: tuple[str, ...]
    left_out: ReportTable | None
    attacks: ReportTable


@dataclass(frozen=True)
class ReleasedTogether:
    """Hold the release sets of one subject: all of them in a table, and each by itself."""

    about: str
    table: ReportTable
    sets: tuple[ReleaseSection, ...]


def released(results: Results, notes: Notes) -> list[ReleasedTogether]:
    """Return what the release sets of each subject give away, the very model first; none where there are no sets."""
    return [_subject(each, notes) for each in subjects(results) if each.releases]


def _subject(subject: ResultSubject, notes: Notes) -> ReleasedTogether:
    sets, measures = subject.releases, measures_shown("release")
    columns = [
        (measure.title, _cells(measure.unit, [each[measure] for each in sets], notes, measure is not RELEASE_GAIN))
        for measure in measures
    ]
    columns += [("Strongest joint attack", [Cell(words.clean(each.strongest_attack) or words.NONE) for each in sets])]
    columns += [("Strongest alone", [Cell(_alone(each) or words.NONE) for each in sets])]
    caption = f"Versions of {subject.about} that are released together"
    table = assemble(caption, "Released together", [called(each, subject) for each in sets], columns)
    return ReleasedTogether(subject.about, table, tuple(_section(each, subject, notes) for each in sets))


def _alone(release: ReleaseResult) -> str:
    """Return the attack and the version that a gain is held against, in words."""
    end = f" on {words.BASELINE}"
    names = [
        f"{each.removesuffix(end)} on {words.title(words.BASELINE)}" if each.endswith(end) else each
        for each in release.strongest_alone.split(", ")
    ]
    return words.clean(", ".join(names), 120)


def _cells(unit: str, values: Sequence[Estimate | Unmeasured], notes: Notes, is_accuracy: bool) -> list[Cell]:
    return rights(values, notes) if is_accuracy else column_of(unit, values, notes)  # pyright: ignore[reportArgumentType]


def called(release: ReleaseResult, subject: ResultSubject) -> str:
    """Return what a release set is called: all versions, or the names of some."""
    if len(release.versions) == len(subject.versions):
        return f"all {len(release.versions)} versions"
    return words.some([words.title(name) for name in release.versions], FEW)


def _section(release: ReleaseResult, subject: ResultSubject, notes: Notes) -> ReleaseSection:
    sentences = filter(None, (gain_sentence(release, called(release, subject)), adds_most(release)))
    return ReleaseSection(
        words.capital(called(release, subject)), tuple(sentences), _left_out(release, notes), _attacks(release, notes)
    )


def gain_sentence(release: ReleaseResult, name: str) -> str | None:
    """Say how often an attacker is right who has all versions of a set, and what having all of them gains."""
    right, alone, gain = (release[each] for each in (RELEASE_ATTACK_ACCURACY, RELEASE_STRONGEST_ALONE, RELEASE_GAIN))
    if isinstance(right, Unmeasured) or isinstance(alone, Unmeasured) or isinstance(gain, Unmeasured):
        return None
    digits = words.places(100 * words.reach(right), most=1)
    value, low, high = rate(right, digits)
    first = f"Whoever has {name} is right {value} of the time ({low.removesuffix(' %')} to {high})"
    single = f"with the strongest of them alone {rate(alone, digits)[0]}"
    change = points(gain)
    if gain.low > 0:
        return f"{first}, {single}: together they give away more than any of them does, by {change} percentage points."
    if gain.high < 0:
        return (
            f"{first}, {single}: the joint attacks are weaker here than one on the strongest version ({change} points)."
        )
    return f"{first}, {single}: nothing shows that they give away more together ({change} percentage points)."


def adds_most(release: ReleaseResult) -> str | None:
    """Say which version adds most to what the others give away, where one can be shown to add anything."""
    exclusions = release[RELEASE_WITHOUT]
    contributions = [] if isinstance(exclusions, Unmeasured) else [(each.version, each.adds) for each in exclusions]
    adding = [(name, adds) for name, adds in contributions if isinstance(adds, Estimate) and adds.low > 0]
    if not contributions:
        return None
    if not adding:
        return "No single version can be shown to add to what the others give away: leaving one out would not help."
    name, adds = max(adding, key=lambda pair: pair[1].value)
    return f"Leaving out {words.title(name)} would help most: it adds {points(adds)} percentage points to the others."


def points(change: Estimate) -> str:
    """Write a difference of shares in points with its interval."""
    scaled = words.scaled(change, 100)
    digits = words.clear(scaled, words.places(words.reach(scaled), most=2))
    value, low, high = (words.fixed(each, digits) for each in (scaled.value, scaled.low, scaled.high))
    return f"{value} ({low} to {high})"


def _left_out(release: ReleaseResult, notes: Notes) -> ReportTable | None:
    exclusions = release[RELEASE_WITHOUT]
    if isinstance(exclusions, Unmeasured):
        return None
    columns: list[Column] = [
        ("With all others, an attacker is right", rights([each.attack_accuracy for each in exclusions], notes)),
        ("It adds, points", differences([each.adds for each in exclusions], notes)),
        ("Meaning", [Cell(_meaning(each)) for each in exclusions]),
    ]
    caption = "What is left when one version is not released; the intervals of what each adds hold together"
    return assemble(caption, "Left out", [words.title(each.version) for each in exclusions], columns)


def _meaning(exclusion: LeftOut) -> str:
    if isinstance(exclusion.adds, Unmeasured) or exclusion.adds.low <= 0 <= exclusion.adds.high:
        return "nothing shown to be added"
    return "adds to what the others give away" if exclusion.adds.low > 0 else "the attack is weaker with it"


def _attacks(release: ReleaseResult, notes: Notes) -> ReportTable:
    outcomes = list(release.attacks.values())
    aucs = [each if isinstance(each, Unmeasured) else each[AUC] for each in outcomes]
    columns: list[Column] = [("AUC", areas(aucs, notes))]
    columns += [
        (
            f"Members found at {words.probability(fpr)} false alarms",
            rates([_rate(each, fpr) for each in outcomes], notes),
        )
        for fpr in FALSE_POSITIVE_RATES
        if any(isinstance(_rate(each, fpr), Estimate) for each in outcomes)
    ]
    names = [words.clean(name) for name in release.attacks]
    return without_empty(assemble("The attacks on all of them at once", "Joint attack", names, columns))


def _rate(outcome: AttackMetrics | Unmeasured, fpr: float) -> Estimate | Unmeasured:
    if isinstance(outcome, Unmeasured):
        return outcome
    return rate_at(outcome, fpr) or Unmeasured("not resolvable at this rate")


def joint_words(results: Results) -> dict[str, str]:
    """Return what the joint attacks of an audit do, by name."""
    names = dict.fromkeys(name for subject in subjects(results) for each in subject.releases for name in each.attacks)
    return {name: DESCRIPTIONS.get(name, DESCRIPTIONS[OF_ONE_ATTACK]) for name in names}


def together(results: Results) -> str | None:
    """Say of the first release set that gives away more than the strongest of its versions how much that is."""
    for subject in subjects(results):
        for release in subject.releases:
            gain = release[RELEASE_GAIN]
            if isinstance(gain, Estimate) and gain.low > 0:
                return gain_sentence(release, f"{called(release, subject)} of {subject.about}")
    return None
