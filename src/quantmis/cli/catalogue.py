"""The tables that `quantmis list` prints."""

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.models import LOSSES, Recipe
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.quantizers.base import installed
from quantmis.registry import suggestion
from quantmis.shorthand import SHORTHAND

REGISTRIES = {"quantizers": QUANTIZERS, "attacks": ATTACKS, "losses": LOSSES}


SINGULAR = {"quantizers": "quantizer", "attacks": "attack", "losses": "loss"}
HEAD = ("parameters", "what it does")
QUANTIZERS_HEAD = ("parameters", "levels", "needs", "installed", "what it does")


def catalogue(what: str) -> Table:
    """Return a table of the quantizers, attacks, losses or recipes that exist; `UserError` for another word."""
    if what == "recipes":
        return _table("recipe", HEAD, [("training", Recipe)])
    if what not in REGISTRIES:
        raise UserError(f"there is no list of {what!r}", hint=suggestion(what, [*REGISTRIES, "recipes"]))
    registry = REGISTRIES[what]
    head = QUANTIZERS_HEAD if what == "quantizers" else HEAD
    return _table(SINGULAR[what], head, [(name, _class_or_error(registry, name)) for name in registry.names()])


def shorter_names() -> Table:
    """Return a table of the shorter names of quantizers and what they stand for."""
    table = Table("shorter name", "the quantizer", box=None, pad_edge=False, header_style="bold")
    for name, whole in SHORTHAND.items():
        table.add_row(name, escape(whole))
    return table


def _class_or_error(registry: Any, name: str) -> Any:
    """Return the class of a name, or what is wrong with the one that a third party registered."""
    try:
        return registry.find(name)
    except UserError as error:
        return error


def _table(title: str, head: tuple[str, ...], classes: list[tuple[str, Any]]) -> Table:
    table = Table(Column(title, overflow="fold"), box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for name, cls in classes:
        cells = {"what it does": str(cls)} if isinstance(cls, UserError) else _cells(cls)
        table.add_row(*map(escape, (name, *(cells.get(column, "") for column in head))))
    return table


def _cells(cls: Any) -> dict[str, str]:
    quantizer = issubclass(cls, Quantizer)
    return {
        "parameters": ", ".join(_parameter(each) for each in fields(cls) if each.init),
        "levels": cls.levels_per_weight if quantizer else "",
        "needs": _needs(cls) if quantizer else "",
        "installed": ("yes" if installed(cls) else "no") if quantizer else "",
        "what it does": _first_sentence(cls),
    }


def _needs(cls: type[Quantizer]) -> str:
    """Say what a quantizer needs beside weights: data to look at, randomness, a library."""
    looks = cls.needs_calibration and not cls.needs_supervision
    wants = {
        "labels, members": cls.needs_supervision,
        "calibration": looks,
        "a seed": cls.needs_generator,
        f"[{cls.extra}]": cls.library,
    }
    return ", ".join(word for word, is_needed in wants.items() if is_needed)


def _parameter(field: "Field[Any]") -> str:
    return f"{field.name}" if field.default is MISSING else f"{field.name}={field.default!r}"


def _first_sentence(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
