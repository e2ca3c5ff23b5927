"""The hash of our own code that decides a number: of the modules behind it, without docstrings and words of messages.

What a module imports of ours counts too, however far away. A name that a package only passes on leads to the module
that defines it, so that what one quantizer depends on is not what all depend on. Imports are read from the text, those
inside functions included.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).parents[2]
PACKAGE = HOME.name
WORDS = ("message", "hint")
SPEAKING = ("print", "warn", "UserError", "users_errors")
"""Functions whose arguments are words for people, as are all but the first of those that are called `require`."""


def own_code(*modules: str) -> str:
    """Return the hash of the code behind modules of ours, by their names; others are left to who knows them."""
    digest = hashlib.sha256()
    for name in sorted(_behind(frozenset(filter(_is_ours, modules)))):
        digest.update(f"{name}:{_read(_file(name)).decisive}\n".encode())
    return digest.hexdigest()


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE and _file(module).is_file()


@functools.cache
def _behind(modules: frozenset[str]) -> set[str]:
    """Return the names of modules and of all that they import of ours."""
    found, waiting = set[str](), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules of ours that a module uses, each where it is defined."""
    return tuple(dict.fromkeys(home for base, name in _read(_file(module)).named for home in _defined(base, name)))


class _Source(NamedTuple):
    """Hold what a source imports of ours, modules with the names taken from there, and the hash of what decides."""

    named: tuple[tuple[str, str | None], ...]
    decisive: str


@functools.cache
def _read(file: Path) -> _Source:
    source = file.read_bytes()
    nodes = list(ast.walk(ast.parse(source)))
    whole = [(alias.name, None) for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    ]
    ours = tuple((base, name) for base, name in [*whole, *parts] if base.partition(".")[0] == PACKAGE)
    return _Source(ours, decisive(source))


def _defined(base: str, name: str | None) -> Iterator[str]:
    """Yield the module that `from base import name` leads to, through packages that pass the name on."""
    if name is not None and _file(f"{base}.{name}").is_file():
        yield f"{base}.{name}"
        return
    file = _file(base)
    is_package = file.name == "__init__.py"
    passed_on = [each for each in _read(file).named if each[1] == name] if name and is_package else []
    if not passed_on:
        yield base
    for each in passed_on:
        yield from _defined(*each)


def _file(module: str) -> Path:
    place = HOME.parent.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def decisive(source: str | bytes) -> str:
    """Return the hash of a source without what no number depends on: comments, docstrings, the words of messages.

    >>> decisive("def half(x): return x / 2") == decisive("def half(x): return x / 2  # so")
    True
    >>> decisive("def half(x): return x / 2") == decisive("def half(x): return x / 3")
    False
    """
    tree = _WithoutWords().visit(ast.parse(source))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Take docstrings and the words of messages out of a source."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Leave docstrings out of a block, those of attributes too."""
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_words(each)]  # pyright: ignore[reportAttributeAccessIssue]
        return super().generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Leave the words of an error out."""
        _silence([node])
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """Leave out words that get the name of such."""
        if [getattr(each, "id", "") for each in node.targets] in ([each] for each in WORDS):
            _silence([node.value])
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Leave out the words of a call that says something if it comes to that."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in SPEAKING:
            _silence([*node.args, *node.keywords])
        elif name.lstrip("_").startswith("require"):
            _silence([*node.args[1:], *node.keywords])
        return self.generic_visit(node)


def _is_words(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _silence(nodes: Iterable[ast.AST]) -> None:
    """Empty all texts below some nodes, in place."""
    for node in (below for each in nodes for below in ast.walk(each)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.JoinedStr):
            node.values = []
