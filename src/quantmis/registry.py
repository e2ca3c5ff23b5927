"""Names at the edge: where a file or a flag is read, a name such as `ternary(sparsity=0.9)` becomes an object.

Inside the library functions take objects. A registry maps names to the classes that make them; third parties add
theirs through an entry point (group `quantmis.quantizers` or `quantmis.attacks`). An unknown name lists what
exists and suggests the nearest.
"""

import ast
import difflib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from quantmis.errors import UserError, require

LONGEST = 1000
"""Characters of a name with its parameters; a longer one is no name."""

SHOWN = 100
NEAR, WORD = 2000, 100
"""Names that are compared with a misspelled one, and the characters of a word that can be misspelled."""

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Map the names that users write to the frozen dataclasses that they mean.

    `kind` is the word of error messages ("quantizer"); `group` is the entry-point group of third parties; `shorthand`
    says what shorter names stand for, in any case of their letters, `hints` what to do about names that mean nothing.
    """

    def __init__(
        self, kind: str, group: str, shorthand: Mapping[str, str] | None = None, hints: Mapping[str, str] | None = None
    ):
        self._kind, self._group, self._shorthand, self._hints = kind, group, shorthand or {}, hints or {}
        self._own: dict[str, type[Any]] = {}

    def add(self, cls: C) -> C:
        """Register a class under its `name`; a class decorator."""
        self._own[cls.name] = cls
        return cls

    def names(self) -> list[str]:
        """Return every known name, third parties' included, in alphabetical order."""
        return sorted({*self._own, *(point.name for point in self._points())})

    def find(self, name: str) -> type[T]:
        """Return the class behind a bare name; `UserError` with the nearest names where there is none."""
        if name in self._own:
            return self._own[name]
        points = [point for point in self._points() if point.name == name]
        if not points:
            hint = self._hints.get(name.lower()) or suggestion(name, [*self.names(), *self._shorthand])
            raise UserError(f"unknown {self._kind} {name!r}", hint=hint)
        return self._loaded(points[0])

    def parse(self, spelled: str) -> T:
        """Make the object that `name` or `name(parameter=value, ...)` describes; a value may itself be such a name."""
        hint = "write a name, or name(parameter=value), such as ternary(sparsity=0.9)"
        require(len(spelled) <= LONGEST, f"cannot read the {self._kind} {spelled[:WORD]!r} and what follows", hint=hint)
        whole = self._shorthand.get(spelled.strip().lower(), spelled)
        try:
            return self._build(ast.parse(whole.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two where it is nested
            raise UserError(f"cannot read the {self._kind} {spelled!r}", hint=hint) from error

    def _build(self, node: ast.expr) -> T:
        function, words = (node.func, node.keywords) if isinstance(node, ast.Call) else (node, [])
        if isinstance(node, ast.Call) and node.args:
            raise ValueError("parameters are given by name")
        cls = self.find(ast.unparse(function))
        return self._construct(cls, {str(word.arg): self._value(word.value) for word in words})

    def _value(self, node: ast.expr) -> Any:
        """Return what a parameter is set to: another registered object, or a number, a word, a list."""
        is_object = isinstance(node, ast.Name | ast.Call | ast.Attribute)
        return self._build(node) if is_object else ast.literal_eval(node)

    def _construct(self, cls: type[T], arguments: dict[str, Any]) -> T:
        signature = inspect.signature(cls)
        try:
            signature.bind(**arguments)
            return TypeAdapter(cls).validate_python(arguments)
        except (TypeError, ValidationError) as error:
            parameters = ", ".join(map(str, signature.parameters.values()))
            name = cls.name  # pyright: ignore[reportAttributeAccessIssue]
            raise UserError(
                f"{self._kind} {name}: {_why(error)}", hint=f"its parameters: {parameters or 'none'}"
            ) from error

    def _loaded(self, point: EntryPoint) -> type[T]:
        """Return the class that a third party's entry point names; `UserError` for one that cannot be imported."""
        owner = f" of {point.dist.name}" if point.dist is not None else ""
        hint = f"it is the entry point {point.value!r}{owner}; repair or uninstall that package"
        plugin: Any
        try:
            plugin = point.load()
        except Exception as error:  # whatever a third party's module does when it is imported
            raise UserError(f"the {self._kind} {point.name!r} cannot be loaded: {error}", hint=hint) from error
        good = isinstance(plugin, type) and is_dataclass(plugin) and hasattr(plugin, "name")
        if not good:
            raise UserError(f"the {self._kind} {point.name!r} is no dataclass with a name but {plugin!r}", hint=hint)
        return cast("type[T]", plugin)

    def _points(self) -> Iterable[EntryPoint]:
        return entry_points(group=self._group)


def _why(error: TypeError | ValidationError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def spelling(thing: Any) -> str:
    """Write a registered object as users write it: its name and the parameters that differ from their defaults."""
    words = ((field, getattr(thing, field.name)) for field in fields(thing) if field.init and field.repr)
    arguments = [f"{field.name}={_spell(value)}" for field, value in words if value != field.default]
    return f"{thing.name}({', '.join(arguments)})" if arguments else thing.name


def _spell(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return spelling(value) if hasattr(value, "name") else repr(value)


def suggestion(name: str, names: Iterable[str]) -> str:
    """Say which known names are nearest to a misspelled one, and all that exist.

    >>> suggestion("lirra", ["lira", "rmia"])
    "did you mean 'lira'? known: lira, rmia"
    """
    names = list(names)
    near = _near(name, names)
    question = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{question}known: {', '.join(names[:SHOWN])}{rest}"


def _near(name: str, names: list[str]) -> list[str]:
    """Return the names that are nearest; the time it takes is bounded, whatever a file calls its columns."""
    if len(name) > WORD:
        return []
    short = [each for each in names[:NEAR] if len(each) <= WORD]
    return difflib.get_close_matches(name, short, n=2, cutoff=0.5)
