"""What a statement about an audit says: an in-toto Statement v1 with a predicate of quantmis's own.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. Subjects are files of weights by their SHA-256;
the predicate holds the numbers, the policy with its verdict, and the digests of what they were computed from. Within
one version of the predicate's type a field never changes its meaning.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from quantmis.errors import UserError, require
from quantmis.tensor_files import strict_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:quantmis:privacy-audit:"
PREDICATE_TYPE = f"{PREDICATE}v1"
FILE, TENSORS, CODES = "sha256", "quantmisTensors", "quantmisFingerprint"
"""The SHA-256 of a file's bytes, of the tensors in it, and of the codes that a quantizer made of them."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
AGAIN = "make the statement again with quantmis attest"


class _Part(BaseModel):
    """Take the names of in-toto, written like this: validUntil."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, allow_inf_nan=False)


class Subject(_Part):
    """Hold what weights are called, and their digests by kind."""

    name: Annotated[str, Field(min_length=1)]
    digest: Annotated[dict[str, Sha256], Field(min_length=1)]


class PolicyRecord(_Part):
    """Hold the policy that the audit was held against: the SHA-256 of its file, and what it limits."""

    name: str
    sha256: Sha256
    limits: dict[str, Any]


class Outcome(_Part):
    """Hold the verdict on one limit, in the words of the gate."""

    limit: str
    about: str
    asked: str
    found: str
    within: bool
    version: str | None = None
    reason: str = ""


class Predicate(_Part):
    """Hold what was measured, and what a policy makes of it.

    `accepted`: the digests of the subjects that keep to every limit of the policy. `measures`: every number by
    subject of the audit, version and name. `evidence`: the SHA-256 of results.json and of each loss table.
    """

    tool: dict[str, str]
    issued_on: AwareDatetime
    valid_until: AwareDatetime
    audit: dict[str, Any]
    policy: PolicyRecord | None = None
    outcomes: list[Outcome] = []
    accepted: list[Sha256] = []
    measures: dict[str, dict[str, dict[str, dict[str, Any]]]]
    evidence: dict[str, Sha256]


class Statement(_Part):
    """Hold a whole statement."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: Annotated[list[Subject], Field(min_length=1)]
    predicate_type: str = PREDICATE_TYPE
    predicate: Predicate

    def to_bytes(self) -> bytes:
        """Return the statement as JSON in one order, after the library of in-toto has found nothing wrong with it."""
        try:
            from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
            from in_toto_attestation.v1.statement import Statement as InToto
        except ImportError as error:
            raise UserError(f"statements need {error.name}", hint="pip install 'quantmis[attest]'") from error
        content = self.model_dump(mode="json", by_alias=True)
        subjects = [ResourceDescriptor(name=each.name, digest=dict(each.digest)).pb for each in self.subject]
        InToto(subjects, self.predicate_type, content["predicate"]).validate()
        return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def parse(payload: bytes, source: str) -> Statement:
    """Return the statement that a payload is; `UserError` for that of another tool, or of another version."""
    content = strict_json(payload, f"the statement in {source}")
    kind = content.get("predicateType") if isinstance(content, dict) else None
    require(
        isinstance(kind, str) and content.get("_type") == STATEMENT_TYPE,
        f"{source} holds no in-toto Statement v1",
        hint=AGAIN,
    )
    require(str(kind).startswith(PREDICATE), f"{source} is the statement of another tool, about {kind}", hint=AGAIN)
    newer = "another version of quantmis made it: upgrade, or make the statement again"
    require(kind == PREDICATE_TYPE, f"{source} has a predicate of type {kind}; {PREDICATE_TYPE} is read", hint=newer)
    try:
        return Statement.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{source} is no statement that quantmis writes: {place}: {first['msg']}", hint=AGAIN
        ) from error


def require_in_time(statement: Statement, now: datetime, source: str) -> None:
    """Raise `UserError` for a statement that is no longer valid, or was made in the future."""
    predicate = statement.predicate
    until, made = (
        f"{each.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for each in (predicate.valid_until, predicate.issued_on)
    )
    require(now <= predicate.valid_until, f"{source} has expired: it was valid until {until}", hint="audit again")
    require(
        now >= predicate.issued_on, f"{source} was made in the future: {made}", hint="is this machine's clock right?"
    )
