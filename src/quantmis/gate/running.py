"""What the command `quantmis gate` does."""

import json
from datetime import UTC, datetime
from pathlib import Path

from quantmis import results
from quantmis.errors import UserError, require
from quantmis.gate.formats import FORMATS
from quantmis.gate.judge import judge
from quantmis.gate.policy import EXAMPLE, json_schema, read
from quantmis.registry import suggestion
from quantmis.results import Results
from quantmis.results.files import contents
from quantmis.results.seal import SAID, sealing
from quantmis.shipped import shipped


def sheet(example: bool, schema: bool) -> str | None:
    """Return the example of a policy or the JSON schema of policies, where one was asked for."""
    if example:
        return EXAMPLE
    return json.dumps(json_schema(), indent=1) + "\n" if schema else None


def run(folder: Path | None, policy: Path | None, form: str, weights: Path | None = None) -> tuple[str, bool]:
    """Judge the audit in `folder`; return what to print, and whether every limit is kept.

    `weights`: the file that ships, which must be the one that was audited.
    """
    require(form in FORMATS, f"unknown format {form!r}", hint=suggestion(form, FORMATS))
    if folder is None or policy is None:
        message = "the gate needs the folder of an audit and a policy"
        raise UserError(message, hint="quantmis gate DIR --policy policy.toml; --example prints a policy to begin with")
    rules, audited = read(policy), untouched(folder)
    ships = None if weights is None else shipped(weights)
    judgement = judge(audited, rules, datetime.now(UTC), str(folder), str(policy), ships)
    return FORMATS[form](judgement), judgement.within


def untouched(folder: Path) -> Results:
    """Read the audit in `folder`; `UserError` where its document is not as the audit wrote it.

    Numbers that were edited say nothing of a model, so they are neither within limits nor beyond them.
    """
    document, source = contents(folder)
    audited = results.parse(document, source)
    state = sealing(audited, document)
    require(state == "intact", SAID[state], hint=f"quantmis verify {folder} says what was changed; run the audit again")
    return audited
