"""Weights held against a signed statement: whether a signer who is trusted says of these very weights that they pass.

Neither the audit nor its folder is needed. A statement that cannot be believed (another key, expired, of another tool)
is an error; one that says nothing of these weights, or that they exceed a limit, is an answer: they are not covered.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from quantmis.attestation import envelope, sigstore
from quantmis.attestation.statement import FILE, TENSORS, Statement, Subject, parse, require_in_time
from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.shipped import Shipped, shipped

FORMATS = ("text", "json")


@dataclass(frozen=True)
class Signer:
    """Say whom to trust: the holder of a key, or an identity of Sigstore with its issuer."""

    key: Path | None = None
    identity: str = ""
    issuer: str = ""

    def __post_init__(self):
        by_identity = bool(self.identity) and bool(self.issuer)
        whole = bool(self.identity) == bool(self.issuer)
        hint = "--key PUB, or --identity WHO --issuer URL for Sigstore"
        require(whole and (self.key is not None) != by_identity, "say whose signature is trusted", hint=hint)


@dataclass(frozen=True)
class Coverage:
    """Hold whether weights are covered by a statement, and why; `subject`: what the statement calls them."""

    within: bool
    weights: str
    sha256: str
    statement: str
    reason: str
    subject: str = ""


def covered(attestation: Path, signer: Signer, weights: Path, now: datetime, policy: Path | None = None) -> Coverage:
    """Hold a file of weights against a statement; `policy`: the file that it must have been held against.

    Raises `UserError` for a statement that cannot be believed, and for files that cannot be read.
    """
    statement = believed(attestation, signer, now)
    ships = shipped(weights)
    rules = None if policy is None else shipped(policy).file
    subject = next((each for each in statement.subject if _is_same(each, ships)), None)
    reason = _reason(statement, subject, rules)
    name = "" if subject is None else subject.name
    return Coverage(not reason, ships.name, ships.file, str(attestation), reason, name)


def believed(attestation: Path, signer: Signer, now: datetime) -> Statement:
    """Return the statement in a file that a trusted signer made and that is still valid; `UserError` for another."""
    source, content = str(attestation), content_of(attestation, "the statement", envelope.LARGEST)
    if signer.key is None:
        payload = sigstore.verified(content, signer.identity, signer.issuer, source)
    else:
        payload = envelope.verified(envelope.envelope_of(content, source), envelope.public_key(signer.key, now), source)
    statement = parse(payload, source)
    require_in_time(statement, now, source)
    return statement


def _is_same(subject: Subject, ships: Shipped) -> bool:
    tensors = ships.tensors is not None and subject.digest.get(TENSORS) == ships.tensors
    return subject.digest.get(FILE) == ships.file or tensors


def _reason(statement: Statement, subject: Subject | None, policy: str | None) -> str:
    """Return why weights are not covered, an empty text where they are."""
    held = statement.predicate.policy
    if subject is None:
        names = ", ".join(each.name for each in statement.subject)
        return f"the statement is about other weights: {names}"
    if held is None:
        return "the statement holds the audit against no policy: quantmis attest --policy does"
    if policy is not None and held.sha256 != policy:
        return f"the statement holds the audit against another policy, {held.name}"
    if set(subject.digest.values()) & set(statement.predicate.accepted):
        return ""
    exceeded = [each.limit for each in statement.predicate.outcomes if not each.within]
    return f"the policy does not accept them: {', '.join(exceeded) or 'it judges other versions'}"


def written(coverage: Coverage, form: str) -> str:
    """Write a coverage for people or for programs; `UserError` for another format."""
    if form not in FORMATS:
        raise UserError(f"a statement is answered as {' or '.join(FORMATS)}, not as {form}", hint="leave out --format")
    if form == "json":
        return json.dumps(asdict(coverage), indent=1) + "\n"
    if coverage.within:
        return f"covered: {coverage.weights} is {coverage.subject} of {coverage.statement}, within every limit\n"
    return f"NOT COVERED: {coverage.weights}, SHA-256 {coverage.sha256}: {coverage.reason}\n"
