"""SARIF 2.1.0, for pages of code scanning: a limit is a rule, and one that is exceeded a result at the policy.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/. Limits that are kept are results of the kind `pass`, which such pages
do not show. The fingerprint is of the limit and of what it is about, so that an exceeded limit stays one alert.
"""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from quantmis.gate.formats.text import summary
from quantmis.gate.verdict import Judgement, Verdict
from quantmis.report.words import clean

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
NAME = "quantmis gate"
LONG = 1000


def write(judgement: Judgement) -> str:
    """Write one run with a rule for each limit and a result for each verdict."""
    rules = list(dict.fromkeys(each.limit for each in judgement.verdicts))
    run = {
        "tool": {"driver": {"name": NAME, "rules": [_rule(each) for each in rules]}},
        "results": [_result(each, rules.index(each.limit), judgement.policy) for each in judgement.verdicts],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notes(judgement)}],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(limit: str) -> dict[str, Any]:
    return {"id": limit, "shortDescription": {"text": f"The limit {clean(limit, LONG)} of the policy is kept."}}


def _result(verdict: Verdict, rule: int, policy: str) -> dict[str, Any]:
    kind = {"kind": "pass", "level": "none"} if verdict.within else {"kind": "fail", "level": "error"}
    identity = hashlib.sha256(f"{verdict.limit}\0{verdict.about}\0{verdict.version}".encode(errors="replace"))
    place = {"artifactLocation": {"uri": _uri(policy)}, "region": {"startLine": 1}}
    return {
        "ruleId": verdict.limit,
        "ruleIndex": rule,
        **kind,
        "message": {"text": f"{verdict.subject}: {verdict.sentence}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"quantmisVerdict/v1": identity.hexdigest()},
    }


def _uri(policy: str) -> str:
    path = Path(policy)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="replace")


def _notes(judgement: Judgement) -> list[dict[str, Any]]:
    texts = [summary(judgement), *judgement.notes]
    return [{"level": "note", "message": {"text": clean(text, LONG)}} for text in texts]
