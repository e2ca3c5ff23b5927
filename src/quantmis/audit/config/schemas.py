"""The JSON schemas of the files that people write and read, for editors and for other programs."""

from typing import Any

from quantmis import results
from quantmis.audit.config.sections import AuditFile
from quantmis.audit.config.tables import TablesFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by what they describe."""
    schemas = {
        "audit": AuditFile.model_json_schema(),
        "tables": TablesFile.model_json_schema(),
        "results": results.json_schema(),
    }
    titles = {
        "audit": "An audit file of quantmis",
        "tables": "An audit file of loss tables",
        "results": "The results of an audit by quantmis",
    }
    return {name: {"$schema": DIALECT, **schema, "title": titles[name]} for name, schema in schemas.items()}
