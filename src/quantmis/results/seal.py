"""The digest by which a document that was edited by hand is told from one that is as it was written.

It is no signature: whoever edits a document can seal it again. It finds what was changed by mistake, by a tool, or by
somebody who did not think of it; `quantmis verify` also computes the numbers again from the tables.
"""

import hashlib
import json
from typing import Any

from quantmis.results.document import Results


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
