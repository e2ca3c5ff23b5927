"""`quantmis gate DIR --policy FILE.toml`, `quantmis gate --attestation FILE --key PUB --weights FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.errors import require

EXCEEDED = 1


def gate(
    folder: Annotated[Path | None, typer.Argument(help="The folder of an audit.", metavar="DIR")] = None,
    policy: Annotated[Path | None, typer.Option(help="The limits, a TOML file.", metavar="FILE.toml")] = None,
    form: Annotated[str, typer.Option("--format", help="text, github, json, junit or sarif.")] = "text",
    weights: Annotated[
        Path | None, typer.Option(help="The file of weights that ships: it must be the one that was audited.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a policy to begin with.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of policies, for editors.")] = False,
    attestation: Annotated[
        Path | None, typer.Option(help="A statement of quantmis attest, instead of the folder of an audit.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="The public key or certificate of its signer, a PEM file.", metavar="PUB")
    ] = None,
    identity: Annotated[str, typer.Option(help="Whom Sigstore must have signed it for.")] = "",
    issuer: Annotated[str, typer.Option(help="The URL of who vouches for that identity.")] = "",
) -> None:
    """Hold the audit in DIR against the limits of a policy: exit code 0 within them, 1 exceeded, 2 could not run.

    Limits are held against the cautious end of each interval, so that too little evidence exceeds them. With
    --attestation no audit is needed: the weights must be those that a trusted signer says are within every limit.
    """
    if attestation is not None or key is not None or identity or issuer:
        output, within = _covered(folder, attestation, (key, identity, issuer), weights, policy, form)
    else:
        from quantmis.gate import running

        sheet = running.sheet(example, schema)
        output, within = running.run(folder, policy, form, weights) if sheet is None else (sheet, True)
    print(output, end="")  # noqa: T201
    if not within:
        raise typer.Exit(EXCEEDED)


def _covered(
    folder: Path | None,
    attestation: Path | None,
    trusted: tuple[Path | None, str, str],
    weights: Path | None,
    policy: Path | None,
    form: str,
) -> tuple[str, bool]:
    """Hold weights against a statement; return what to print, and whether they are covered."""
    from datetime import UTC, datetime

    from quantmis.attestation.covered import Signer, covered, written

    example = "quantmis gate --attestation attestation.json --key signer.pub --weights model.gguf"
    require(attestation is not None and weights is not None, "a statement is held against weights", hint=example)
    require(folder is None, "give the folder of an audit or a statement, not both", hint=example)
    assert attestation is not None  # noqa: S101 for the type checker
    assert weights is not None  # noqa: S101 for the type checker
    coverage = covered(attestation, Signer(*trusted), weights, datetime.now(UTC), policy)
    return written(coverage, form), coverage.within
