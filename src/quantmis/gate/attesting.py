"""A statement made of an audit: its numbers, the policy with its verdict, and the weights that the verdict is about."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quantmis.attestation import sigstore
from quantmis.attestation.statement import (
    CODES,
    FILE,
    TENSORS,
    Outcome,
    PolicyRecord,
    Predicate,
    Statement,
    Subject,
)
from quantmis.errors import UserError, require
from quantmis.files import write_atomically
from quantmis.gate.judge import judge
from quantmis.gate.policy import Policy, read
from quantmis.gate.running import untouched
from quantmis.gate.verdict import Judgement
from quantmis.results import Results, TargetResult, VersionResult, subjects
from quantmis.shipped import Shipped, shipped
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.saved import Damaged, read_table

DAYS = 365
NAME = "attestation.json"
NO_WEIGHTS = "there are no weights to make a statement about: the audit was given no trained model"


@dataclass(frozen=True)
class StatementRequest:
    """Hold what is asked for: the audit, the key or Sigstore, the policy, how many days it is valid, where it goes."""

    folder: Path
    key: Path | None = None
    by_sigstore: bool = False
    policy: Path | None = None
    days: int = DAYS
    out: Path | None = None

    def __post_init__(self):
        one = (self.key is not None) != self.by_sigstore
        require(one, "a statement is signed with --key KEY or with --sigstore", hint="give one of them")
        require(1 <= self.days <= 3660, f"--days {self.days}: between 1 and 3660", hint="a year is 365")

    @property
    def path(self) -> Path:
        """Where the statement is written."""
        return self.out or self.folder / NAME


def attest(request: StatementRequest, now: datetime | None = None) -> Statement:
    """Write the signed statement of an audit, whole or not at all, and return what it says."""
    statement = made(request, datetime.now(UTC) if now is None else now)
    if request.key is None:
        content = sigstore.sign(statement)
    else:
        from quantmis.attestation import envelope  # what signs with a key is another package's

        content = envelope.sign(statement.to_bytes(), request.key)
    write_atomically(request.path, content, private=False)
    return statement


def made(request: StatementRequest, now: datetime) -> Statement:
    """Return the statement of an audit; `UserError` for one that was edited, or that was given no weights."""
    results = untouched(request.folder)
    weights = weights_of(results)
    policy = None if request.policy is None else read(request.policy)
    whole = now.replace(microsecond=0)
    predicate = Predicate(
        tool={"name": "quantmis", "version": results.environment.versions.get("quantmis", "")},
        issued_on=whole,
        valid_until=whole + timedelta(days=request.days),
        audit=_audit(results),
        measures={
            each.about: {record.name: _numbers(record) for record in each.versions} for each in subjects(results)
        },
        evidence=_evidence(results, request.folder),
        **({} if policy is None else _judged(results, policy, request, now, weights)),
    )
    codes = _fingerprints(results, request.folder)
    named = [Subject(name=each.name, digest=_digests(each)) for each in weights]
    return Statement(subject=[*named, *codes], predicate=predicate)


def weights_of(results: Results) -> list[Shipped]:
    """Return the files of weights that were audited, the model's own first; `UserError` where none were."""
    target = results.target
    hint = "name them: [target] weights in the audit file"
    require(isinstance(target, TargetResult), NO_WEIGHTS, hint=hint)
    assert isinstance(target, TargetResult)  # noqa: S101 for the type checker
    own = Shipped(target.name, target.file, target.digest)
    return [own, *(Shipped(name, digest, None) for name, digest in target.files.items())]


def _digests(weights: Shipped) -> dict[str, str]:
    kinds = {FILE: weights.file, TENSORS: weights.tensors or ""}
    return {kind: digest for kind, digest in kinds.items() if digest}


def _audit(results: Results) -> dict[str, Any]:
    config, fields = results.config, {"model", "depth", "level", "seed", "attacks", "shadows", "replicates"}
    declared = {"auditor": config.auditor, "release": config.release_context}
    asked = config.model_dump(include=fields)
    return {**asked, **{name: each for name, each in declared.items() if each}, "begun": results.environment.started}


def _numbers(record: VersionResult) -> dict[str, dict[str, Any]]:
    return {name: _plain(number) for name, number in record.numbers()}


def _plain(number: object) -> dict[str, Any]:
    if isinstance(number, Unmeasured):
        return {"reason": number.reason}
    if isinstance(number, Estimate):
        return {"value": number.value, "low": number.low, "high": number.high, "level": number.level}
    return {"value": number}


def _evidence(results: Results, folder: Path) -> dict[str, str]:
    """Return the digests of results.json, and of the arrays of each loss table as results.json has them."""
    records = [record for subject in subjects(results) for record in subject.versions]
    tables = {record.table: record.table_digest for record in records if record.table_digest}
    return {"results.json": shipped(folder / "results.json").file, **tables}


def _judged(
    results: Results, policy: Policy, request: StatementRequest, now: datetime, weights: list[Shipped]
) -> dict[str, Any]:
    """Return the policy, the verdict on each limit, and the weights that keep to all of them, held as the gate does."""
    assert request.policy is not None  # noqa: S101 for the type checker: there is one
    passed = [
        digest
        for each in weights
        if judge(results, policy, now, ships=each).within
        for digest in _digests(each).values()
    ]
    limits = policy.model_dump(mode="json", exclude_defaults=True)
    record = PolicyRecord(name=request.policy.name, sha256=shipped(request.policy).file, limits=limits)
    return {"policy": record, "outcomes": _outcomes(judge(results, policy, now)), "accepted": passed}


def _outcomes(judgement: Judgement) -> list[Outcome]:
    return [
        Outcome(
            limit=each.limit,
            about=each.about,
            version=each.version,
            asked=each.asked,
            found=each.found,
            within=each.within,
            reason=each.reason,
        )
        for each in judgement.verdicts
    ]


def _fingerprints(results: Results, folder: Path) -> list[Subject]:
    """Return the versions that the audit made of the weights by the digests of their codes, where tables are here."""
    target = results.target
    records = (
        results.versions
        if results.config.depth == "as-is" or not isinstance(target, TargetResult)
        else (target.versions)
    )
    files = target.files if isinstance(target, TargetResult) else {}
    made_here = [each for each in records if each.name not in files and (folder / each.table).is_file()]
    return [Subject(name=each.name, digest={CODES: _fingerprint(folder, each)}) for each in made_here]


def _edited(record: VersionResult, why: str, folder: Path) -> UserError:
    hint = f"quantmis verify {folder} says what was changed; run the audit again"
    return UserError(f"the table of {record.name} cannot be vouched for: {why}", hint=hint)


def _fingerprint(folder: Path, record: VersionResult) -> str:
    """Return the digest of the codes of a version; `UserError` where its table is not the one that was measured."""
    try:
        table = read_table(folder / record.table, record.name, "target")
    except Damaged as error:
        raise _edited(record, str(error), folder) from error
    if table.digest() != record.table_digest:
        raise _edited(record, "it is not the one that was measured", folder)
    return table.traits[0].fingerprint
