"""Judge the results of an audit by a policy: a pure function of both, and of the time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from quantmis.errors import require
from quantmis.gate.audits import audit_limits
from quantmis.gate.names import same_name
from quantmis.gate.policy import About, Policy
from quantmis.gate.shipped import Shipped
from quantmis.gate.verdict import Bench, Judgement, Verdict
from quantmis.gate.versions import Among, version_limits
from quantmis.registry import suggestion
from quantmis.report.words import clean, listing
from quantmis.results import VersionResult, Ranking, Results
from quantmis.stats import Unmeasured


@dataclass(frozen=True)
class Subject:
    """Hold the versions of this model or of this procedure, as far as they were measured."""

    about: About
    records: Sequence[VersionResult]
    ranking: Ranking | Unmeasured
    why: str = ""


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
    subjects = [_this_model(results), _this_procedure(results)]
    names = _versions(policy, subjects)
    judged = [subject for subject in subjects if _is_judged(subject, policy)]
    verdicts = [
        *audit_limits(results, policy, now, ships),
        *(
            verdict
            for subject in judged
            for verdict in _subject_limits(subject, _asked_of(subject, names, policy, judged), policy)
        ),
    ]
    notes = [
        f"{subject.about} was not judged: {clean(subject.why, 300)}" for subject in subjects if subject not in judged
    ]
    notes += _made_elsewhere(names, judged, policy)
    return Judgement(source, rules, tuple(verdicts), tuple(notes))


def _this_model(results: Results) -> Subject:
    found = results.this_model
    if isinstance(found, Unmeasured):
        return Subject("this model", [], found, found.reason)
    return Subject("this model", *found)


def _this_procedure(results: Results) -> Subject:
    if results.config.depth == "as-is":
        why = "an as-is audit trains no models, and so measures this model alone"
        return Subject("this procedure", [], Unmeasured(why), why)
    return Subject("this procedure", results.quantizers, results.ranking)


def _is_judged(subject: Subject, policy: Policy) -> bool:
    return not subject.why if policy.about is None else subject.about in policy.about


def _asked_of(subject: Subject, names: Sequence[str], policy: Policy, judged: Sequence[Subject]) -> list[str]:
    """Return the versions to judge a subject by: those made elsewhere are of this model, and of no procedure."""
    elsewhere = _elsewhere(judged) if policy.about is None and subject.about == "this procedure" else set[str]()
    return [name for name in names if name not in elsewhere]


def _elsewhere(judged: Sequence[Subject]) -> set[str]:
    """Return the names that this model has and the procedure, measured too, has not: no shadow model went there."""
    held = {subject.about: {record.name for record in subject.records} for subject in judged}
    return held.get("this model", set()) - held["this procedure"] if "this procedure" in held else set()


def _made_elsewhere(names: Sequence[str], judged: Sequence[Subject], policy: Policy) -> list[str]:
    found = [clean(name) for name in names if policy.about is None and name in _elsewhere(judged)]
    about = "made elsewhere, and so judged for this model alone: no shadow model can be put through what made it"
    return [f"{listing(found)}: {about}"] if found else []


def _versions(policy: Policy, subjects: Sequence[Subject]) -> list[str]:
    """Return the names of the versions to judge, as the audit writes them."""
    known = list(dict.fromkeys(record.name for subject in subjects for record in subject.records))
    if policy.versions is None:
        return known
    names = list[str]()
    for asked in policy.versions:
        found = [name for name in known if same_name(name, asked)]
        message = f"the audit holds no version {clean(asked)!r}"
        require(found, message, hint=suggestion(clean(asked), [clean(name) for name in known]))
        names += found
    return list(dict.fromkeys(names))


def _subject_limits(subject: Subject, names: Sequence[str], policy: Policy) -> Iterator[Verdict]:
    by_name = {record.name: record for record in subject.records}
    among = Among(subject.records, subject.ranking)
    for name in names:
        bench = Bench(subject.about, name, policy.evidence.level_at_least)
        if name in by_name:
            yield from version_limits(bench, by_name[name], among, policy)
        else:
            why = subject.why or f"the audit holds this version, but did not measure it for {subject.about}"
            yield bench.state("version", "to be measured", "not measured", within=False, reason=why)
    if not names:
        bench = Bench(subject.about, None, policy.evidence.level_at_least)
        yield bench.state("version", "to be measured", "no version", within=False, reason=subject.why)
