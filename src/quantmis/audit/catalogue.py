"""What there is to choose from: `quantmis list`."""

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from rich.table import Table

from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.models import LOSSES, Recipe
from quantmis.quantizers import QUANTIZERS
from quantmis.registry import suggestion

REGISTRIES = {"quantizers": QUANTIZERS, "attacks": ATTACKS, "losses": LOSSES}


def catalogue(what: str) -> Table:
    """Return a table of the quantizers, attacks, losses or recipes that exist; `UserError` for another word."""
    if what == "recipes":
        return _table("recipe field", [("training", Recipe)])
    if what not in REGISTRIES:
        raise UserError(f"there is no list of {what!r}", hint=suggestion(what, [*REGISTRIES, "recipes"]))
    registry = REGISTRIES[what]
    return _table(what.removesuffix("s"), [(name, registry.find(name)) for name in registry.names()])


def _table(title: str, classes: list[tuple[str, Any]]) -> Table:
    table = Table(title, "parameters", "what it does", box=None, pad_edge=False, header_style="bold")
    for name, cls in classes:
        table.add_row(name, ", ".join(_parameter(each) for each in fields(cls) if each.init), _first_sentence(cls))
    return table


def _parameter(field: "Field[Any]") -> str:
    return f"{field.name}" if field.default is MISSING else f"{field.name}={field.default!r}"


def _first_sentence(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
