"""Judge the results of an audit by a policy: a pure function of both, and of the time."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from quantmis.errors import require
from quantmis.gate.audits import audit_limits
from quantmis.gate.policy import Policy
from quantmis.gate.releases import release_limits
from quantmis.gate.verdict import Bench, Judgement, Verdict
from quantmis.gate.versions import Among, version_limits
from quantmis.registry import suggestion
from quantmis.report.words import clean, listing
from quantmis.results import THIS_MODEL, TRAINING_ALGORITHM, Results, ResultSubject, subjects
from quantmis.shipped import Shipped
from quantmis.tables.names import same_name


def judge(
    results: Results,
    policy: Policy,
    now: datetime,
    source: str = "results.json",
    rules: str = "the policy",
    ships: Shipped | None = None,
) -> Judgement:
    """Hold every limit of `policy` against `results`, the audit's own first; `now` is the time to judge its age at.

    `ships`: the file of weights that is to be released, which must be the one that was audited.

    Raises `UserError` for a version that the audit does not hold.
    """
    measured = subjects(results)
    excluded = {name for name, each in results.attacks.items() if not each.bounds_security}
    names = _versions(policy, measured)
    judged = [subject for subject in measured if _is_judged(subject, policy)]
    verdicts = [
        *audit_limits(results, policy, now, ships),
        *(
            verdict
            for subject in judged
            for verdict in _subject_limits(subject, _asked_of(subject, names, policy, judged), policy, excluded)
        ),
        *(verdict for subject in judged if not subject.reason for verdict in release_limits(subject, policy)),
    ]
    notes = [
        f"{subject.about} was not judged: {clean(subject.reason, 300)}" for subject in measured if subject not in judged
    ]
    notes += _made_elsewhere(names, judged, policy)
    return Judgement(source, rules, tuple(verdicts), tuple(notes))


def _is_judged(subject: ResultSubject, policy: Policy) -> bool:
    return not subject.reason if policy.about is None else subject.about in policy.about


def _asked_of(
    subject: ResultSubject, names: Sequence[str], policy: Policy, judged: Sequence[ResultSubject]
) -> list[str]:
    """Return the versions to judge a subject by: those made elsewhere are of this model alone."""
    elsewhere = _elsewhere(judged) if policy.about is None and subject.about == TRAINING_ALGORITHM else set[str]()
    return [name for name in names if name not in elsewhere]


def _elsewhere(judged: Sequence[ResultSubject]) -> set[str]:
    """Return the names that this model has and its algorithm, measured too, has not: no shadow model went there."""
    names = {subject.about: {record.name for record in subject.versions} for subject in judged}
    return names.get(THIS_MODEL, set()) - names[TRAINING_ALGORITHM] if TRAINING_ALGORITHM in names else set()


def _made_elsewhere(names: Sequence[str], judged: Sequence[ResultSubject], policy: Policy) -> list[str]:
    elsewhere = [clean(name) for name in names if policy.about is None and name in _elsewhere(judged)]
    about = "made elsewhere, and so judged for this model alone: no shadow model can be put through what made it"
    return [f"{listing(elsewhere)}: {about}"] if elsewhere else []


def _versions(policy: Policy, measured: Sequence[ResultSubject]) -> list[str]:
    """Return the names of the versions to judge, as the audit writes them."""
    measured_names = list(dict.fromkeys(record.name for subject in measured for record in subject.versions))
    if policy.versions is None:
        return measured_names
    names = list[str]()
    for spelling in policy.versions:
        matches = [name for name in measured_names if same_name(name, spelling)]
        message = f"the audit holds no version {clean(spelling)!r}"
        require(matches, message, hint=suggestion(clean(spelling), [clean(name) for name in measured_names]))
        names += matches
    return list(dict.fromkeys(names))


def _subject_limits(
    subject: ResultSubject, names: Sequence[str], policy: Policy, excluded: Collection[str]
) -> Iterator[Verdict]:
    by_name = {record.name: record for record in subject.versions}
    among = Among(subject.versions, subject.ranking, excluded)
    for name in names:
        bench = Bench(subject.about, name, policy.evidence.level_at_least)
        if name in by_name:
            yield from version_limits(bench, by_name[name], among, policy)
        else:
            why = subject.reason or f"the audit holds this version, but did not measure it for {subject.about}"
            yield bench.state("version", "to be measured", "not measured", within=False, reason=why)
    if not names:
        bench = Bench(subject.about, None, policy.evidence.level_at_least)
        yield bench.state("version", "to be measured", "no version", within=False, reason=subject.reason)
