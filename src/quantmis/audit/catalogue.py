"""What there is to choose from: `quantmis list`."""

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from rich.markup import escape
from rich.table import Table

from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.models import LOSSES, Recipe
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.quantizers.base import installed
from quantmis.registry import suggestion

REGISTRIES = {"quantizers": QUANTIZERS, "attacks": ATTACKS, "losses": LOSSES}


def catalogue(what: str) -> Table:
    """Return a table of the quantizers, attacks, losses or recipes that exist; `UserError` for another word."""
    if what == "recipes":
        return _table("recipe", [("training", Recipe)])
    if what not in REGISTRIES:
        raise UserError(f"there is no list of {what!r}", hint=suggestion(what, [*REGISTRIES, "recipes"]))
    registry = REGISTRIES[what]
    return _table(what.removesuffix("s"), [(name, registry.find(name)) for name in registry.names()])


def _table(title: str, classes: list[tuple[str, Any]]) -> Table:
    table = Table(title, "parameters", "needs", "what it does", box=None, pad_edge=False, header_style="bold")
    for name, cls in classes:
        parameters = ", ".join(_parameter(each) for each in fields(cls) if each.init)
        table.add_row(*map(escape, (name, parameters, _needs(cls), _first_sentence(cls))))
    return table


def _needs(cls: Any) -> str:
    """Say what a quantizer needs beside weights: data to look at, a library, and whether that is here."""
    if not issubclass(cls, Quantizer):
        return ""
    library = "" if cls.library is None else f"[{cls.extra}]" + ("" if installed(cls) else ", not installed")
    return ", ".join(each for each in ("calibration" if cls.needs_calibration else "", library) if each)


def _parameter(field: "Field[Any]") -> str:
    return f"{field.name}" if field.default is MISSING else f"{field.name}={field.default!r}"


def _first_sentence(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
