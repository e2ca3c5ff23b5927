"""`quantmis attest DIR --key KEY`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.options import Folder


def attest(
    folder: Folder,
    key: Annotated[Path | None, typer.Option(help="The private key that signs, a PEM file.", metavar="KEY")] = None,
    sigstore: Annotated[
        bool, typer.Option("--sigstore", help="Sign by Sigstore, as who you are; it needs the network.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option(help="The limits that the audit is held against.", metavar="FILE.toml")
    ] = None,
    days: Annotated[int, typer.Option(help="How many days the statement is valid.")] = 365,
    out: Annotated[Path | None, typer.Option(help="Where to write it; by default DIR/attestation.json.")] = None,
) -> None:
    """Write a signed statement of the audit in DIR, about the weights that were audited (in-toto, DSSE).

    It holds the numbers, the policy and its verdict. quantmis gate --attestation holds weights against it.
    """
    from quantmis.gate.attesting import StatementRequest, attest

    request = StatementRequest(folder, key, sigstore, policy, days, out)
    statement = attest(request)
    accepted = len(statement.predicate.accepted) > 0
    verdict = "no policy" if policy is None else f"{policy.name}: {'accepted' if accepted else 'NOT accepted'}"
    print(f"statement: {request.path.resolve()}, {len(statement.subject)} subjects, {verdict}")  # noqa: T201
