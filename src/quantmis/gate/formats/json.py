"""The verdicts for programs. Names stand in it as the audit wrote them, escaped as JSON escapes them."""

import json
from dataclasses import asdict

from quantmis.gate.verdict import Judgement

SCHEMA_VERSION = 1


def write(judgement: Judgement) -> str:
    """Write one JSON object; within one `schema_version` a field never changes its meaning."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "within": judgement.within,
        "results": judgement.results,
        "policy": judgement.policy,
        "verdicts": [asdict(verdict) for verdict in judgement.verdicts],
        "notes": list(judgement.notes),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
