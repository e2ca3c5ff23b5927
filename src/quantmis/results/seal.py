"""The digest by which a document that was edited by hand is told from one that is as it was written.

It is no signature: whoever edits a document can seal it again. It finds what was changed by mistake, by a tool, or by
somebody who did not think of it; `quantmis verify` also computes the numbers again from the tables. Every audit seals
its document, so one without a seal is not as it was written either.
"""

import hashlib
import json
from typing import Any, Literal

from quantmis.results.document import Results

Sealing = Literal["intact", "broken", "missing"]
SAID: dict[Sealing, str] = {
    "intact": "",
    "broken": "results.json was edited: it does not have the digest that it was sealed with",
    "missing": "results.json has no seal, and every audit writes one: it was removed, or no audit wrote this document",
}
"""What each state of a seal means, in a sentence without its full stop."""


def sealed(results: Results) -> Results:
    """Return the document with its digest in `environment.seal`."""
    digest = seal(results.model_dump_json(exclude_none=True).encode())
    return results.model_copy(update={"environment": results.environment.model_copy(update={"seal": digest})})


def seal(document: bytes) -> str:
    """Return the SHA-256 of a document without its seal: of its JSON in one order, without spaces."""
    content: dict[str, Any] = json.loads(document)
    content["environment"].pop("seal", None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sealing(results: Results, document: bytes) -> Sealing:
    """Return the state of the seal of `results`, which were read from the bytes `document`."""
    if not results.environment.seal:
        return "missing"
    return "intact" if seal(document) == results.environment.seal else "broken"
