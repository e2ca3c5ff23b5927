"""`quantmis schema audit|tables|results`."""

import json
from typing import Annotated

import typer

from quantmis.errors import UserError


def schema(
    what: Annotated[
        str,
        typer.Argument(
            help="audit, tables for one of loss tables, or results for results.json.", metavar="audit|tables|results"
        ),
    ] = "audit",
) -> None:
    """Print the JSON schema of the audit file, for editors, or of results.json."""
    from quantmis.audit.config.schemas import json_schemas
    from quantmis.registry import suggestion

    schemas = json_schemas()
    if what not in schemas:
        raise UserError(f"there is no schema of {what!r}", hint=suggestion(what, schemas))
    print(json.dumps(schemas[what], indent=1))  # noqa: T201
