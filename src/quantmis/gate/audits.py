"""The limits on the audit itself: whether its numbers count at all. The blind baseline and the controls come first."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from quantmis.gate.policy import Policy
from quantmis.gate.verdict import AUDIT, Bench, Verdict, with_interval
from quantmis.measures.gain_over_constant_guess import GAIN_OVER_CONSTANT_GUESS
from quantmis.report.certified import REFUTED
from quantmis.report.words import clean, listing
from quantmis.results import BlindBaseline, Results, TargetResult
from quantmis.shipped import Shipped
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.names import same_name

DEPTHS = ("as-is", "indicator", "shadow")
A_DAY = 86400


def audit_limits(results: Results, policy: Policy, now: datetime, ships: Shipped | None = None) -> Iterator[Verdict]:
    """Hold the limits of `policy` on evidence against the audit."""
    bench = Bench(AUDIT, None, policy.evidence.level_at_least)
    yield from _blind(bench, results, policy)
    yield from _learned(bench, results, policy.evidence.hardly_learned)
    yield from _certificate(bench, results)
    yield _controls(bench, results, policy.evidence.failed_controls_at_most)
    yield from _depth(bench, results, policy)
    yield from _age(bench, results, policy.evidence.age_in_days_at_most, now)
    yield from _weights(bench, results, policy.evidence.weights)
    yield from _ships(bench, results, policy.versions, ships)


def _blind(bench: Bench, results: Results, policy: Policy) -> Iterator[Verdict]:
    """Ask always, where one model was given, whether its members can be told without it."""
    if isinstance(results.target, Unmeasured):
        return
    limit, blind = "evidence.blind_baseline", results.target.blind
    requirement = "members not to be told from non-members without the model"
    if isinstance(blind, Unmeasured):
        yield bench.state(limit, requirement, "not measured", within=False, reason=blind.reason)
    else:
        confounded = "the two sets differ in distribution, and every number about this model may show just that"
        yield bench.state(limit, requirement, _how_well(blind), not blind.differs, confounded)
    auc = blind if isinstance(blind, Unmeasured) else blind.auc
    yield from bench.hold(f"{limit}_at_most", "at most", policy.evidence.blind_baseline_at_most, auc)


def _how_well(blind: BlindBaseline) -> str:
    auc = (
        f"AUC {with_interval(blind.auc)}"
        if isinstance(blind.auc, Estimate)
        else f"AUC not measured ({blind.auc.reason})"
    )
    return f"{'told apart' if blind.differs else 'not told apart'} by {clean(blind.method)}: {auc}"


def _learned(bench: Bench, results: Results, rule: str) -> Iterator[Verdict]:
    """Ask always whether what was audited is better than a constant guess: else it gives nothing away, or is another.

    That its owner knows what it is worth, and the audit measured just that, is enough.
    """
    target = results.target
    is_stated = isinstance(target, TargetResult) and target.stated is not None
    records = target.versions if isinstance(target, TargetResult) and target.versions else results.versions
    over = records[0][GAIN_OVER_CONSTANT_GUESS]
    if rule == "allow" or is_stated or isinstance(over, Unmeasured):
        return
    requirement, outcome = "better than a constant guess beyond doubt", f"{with_interval(over)} above the guess"
    why = "a model that learned nothing gives nothing away; or it was not trained on these columns in this order"
    yield bench.state("evidence.hardly_learned", requirement, outcome, over.low > 0, why)


def _certificate(bench: Bench, results: Results) -> Iterator[Verdict]:
    """Ask always, where a guarantee was counted or declared, that no attack refutes it."""
    if results.certificate is None:
        return
    doubts = [clean(each.text, 200) for each in results.warnings if each.code == REFUTED]
    requirement = "the certified epsilon not to be refuted by an attack"
    outcome = "refuted" if doubts else f"epsilon {results.certificate.epsilon:g}, not refuted"
    yield bench.state("evidence.certificate", requirement, outcome, not doubts, listing(doubts))


def _controls(bench: Bench, results: Results, most: int) -> Verdict:
    failed = [f"{clean(each.name)} on {clean(each.version)}" for each in results.controls if each.passed is False]
    passed = sum(each.passed is True for each in results.controls)
    requirement = f"at most {most} failed"
    outcome = f"{len(failed)} failed, {passed} passed"
    limit = "evidence.failed_controls_at_most"
    if not failed and not passed:
        return bench.state(limit, requirement, outcome, within=False, reason="the audit was not tested by any control")
    return bench.state(limit, requirement, outcome, len(failed) <= most, listing(failed))


def _depth(bench: Bench, results: Results, policy: Policy) -> Iterator[Verdict]:
    limits, config = policy.evidence, results.config
    if limits.depth is not None:
        deep = DEPTHS.index(config.depth) >= DEPTHS.index(limits.depth)
        yield bench.state("evidence.depth", f"at least {limits.depth}", config.depth, deep)
    if limits.shadows_at_least is not None:
        least = limits.shadows_at_least
        yield bench.state(
            "evidence.shadows_at_least", f"at least {least}", str(config.shadows), config.shadows >= least
        )


def _age(bench: Bench, results: Results, most: float | None, now: datetime) -> Iterator[Verdict]:
    if most is None:
        return
    limit, requirement, started = "evidence.age_in_days_at_most", f"at most {most:g} days", results.environment.started
    try:
        began = datetime.fromisoformat(started)
    except ValueError:
        yield bench.state(limit, requirement, "not known", within=False, reason=f"{clean(started)!r} is no date")
        return
    began = began if began.tzinfo else began.replace(tzinfo=UTC)
    days = (now - began).total_seconds() / A_DAY
    reason = "it begins in the future" if days < 0 else ""
    yield bench.state(limit, requirement, f"{days:.1f} days, begun {clean(started)}", 0 <= days <= most, reason)


def _weights(bench: Bench, results: Results, digest: str | None) -> Iterator[Verdict]:
    if digest is None:
        return
    limit, requirement = "evidence.weights", _digest(digest)
    if not isinstance(results.target, TargetResult):
        why = results.target.reason
        yield bench.state(limit, requirement, "no weights were audited", within=False, reason=why)
        return
    audited_digest = results.target.digest
    reason = "other weights were audited than those that are asked for"
    yield bench.state(limit, requirement, clean(audited_digest, 80), _digest(audited_digest) == requirement, reason)


def _ships(bench: Bench, results: Results, judged: Sequence[str] | None, ships: Shipped | None) -> Iterator[Verdict]:
    """Ask whether the file that ships was audited, and as something that is judged."""
    if ships is None:
        return
    limit, requirement = "--weights", f"{clean(ships.name, 80)} to be what was audited"
    if not isinstance(results.target, TargetResult):
        yield bench.state(limit, requirement, "no weights were audited", within=False, reason=results.target.reason)
        return
    same, copies = _same(results.target, ships), _copies(results.target, ships)
    if same is None and not copies:
        file = results.target.file or "not known; they came from no file"
        reason = f"other weights were audited: SHA-256 of the file {file}, of its tensors {results.target.digest}"
        yield bench.state(limit, requirement, f"SHA-256 {ships.file}", within=False, reason=reason)
        return
    agree = judged is None or any(_stands_for(each, results.target, copies, same) for each in judged)
    outcome = same or f"the same bytes as {listing([clean(name) for name in copies])}"
    yield bench.state(limit, requirement, outcome, agree, "the policy judges versions that have other files")


def _copies(target: TargetResult, ships: Shipped) -> list[str]:
    """Return the versions that were read from a file of the same bytes."""
    return [name for name, digest in target.files.items() if digest == ships.file]


def _stands_for(judged: str, target: TargetResult, copies: Sequence[str], same: str | None) -> bool:
    """Return whether a judged version is in the file, or is made by the audit from the weights in it."""
    if any(same_name(name, judged) for name in target.files):
        return any(same_name(name, judged) for name in copies)
    return same is not None


def _same(target: TargetResult, ships: Shipped) -> str | None:
    """Return in what a file is that of the model itself, None where it is another."""
    if ships.file == target.file:
        return "the same bytes"
    return "the same tensors" if ships.tensors is not None and ships.tensors == target.digest else None


def _digest(text: str) -> str:
    return text.lower().removeprefix("sha256:")
