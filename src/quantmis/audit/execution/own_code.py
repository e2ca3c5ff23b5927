"""The hash of our own code that decides a number: of the modules behind it, without docstrings and words of messages.

What a module imports of ours counts too, however far away. A name that a package only passes on leads to the module
that defines it, so that what one quantizer depends on is not what all depend on. Imports are read from the text, those
inside functions included.
"""

import ast
import functools
import hashlib
import json
import platform
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from quantmis.files import private_folder, write_atomically

HOME = Path(__file__).parents[2]
PACKAGE = HOME.name
WORDS = (["message"], ["hint"])
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


@contextmanager
def remembered(file: Path) -> Generator[None]:
    """Take what was read of our sources before from `file`, and put there what is read inside.

    A source is told by its bytes, so that one that was edited is read anew. A file that does not verify is not used.
    """
    before = _remembered(file)
    _BEFORE.update(before)
    yield
    if any(key not in before for key in _BEFORE):
        sources = {key: [list(each.named), each.decisive] for key, each in _BEFORE.items()}
        private_folder(file.parent)
        write_atomically(file, json.dumps({"sources": sources, "checksum": _checksum(sources)}).encode())


_BEFORE: dict[str, _Source] = {}
"""What is known of sources, by the digest of their bytes, of this module and of Python, which reads them."""


def _remembered(file: Path) -> dict[str, _Source]:
    try:
        record = json.loads(file.read_bytes())
        sources = record["sources"]
        if record["checksum"] != _checksum(sources):
            return {}
        return {
            key: _Source(tuple((base, name) for base, name in named), str(decisive))
            for key, (named, decisive) in sources.items()
        }
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def _checksum(sources: Any) -> str:
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()


@functools.cache
def _reader() -> bytes:
    return Path(__file__).read_bytes() + platform.python_version().encode()


@functools.cache
def _read(file: Path) -> _Source:
    content = file.read_bytes()
    key = hashlib.sha256(_reader() + content).hexdigest()
    if key not in _BEFORE:
        tree = ast.parse(content)
        ours = tuple(each for each in _named(tree) if each[0].partition(".")[0] == PACKAGE)
        _BEFORE[key] = _Source(ours, _decisive(tree))
    return _BEFORE[key]


def _named(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


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
    return _decisive(ast.parse(source))


def _decisive(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [each for each in body if not _is_docstring(each)]
        for words in _words_of(node):
            _silence(words)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _words_of(node: ast.AST) -> list[Any]:
    """Return the parts of a node that are words for people, if it says anything if it comes to that."""
    if isinstance(node, ast.Raise):
        return [node]
    if isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] in WORDS:
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    guards = name.lstrip("_").startswith("require")
    return [*node.args[1 if guards else 0 :], *node.keywords] if guards or name in SPEAKING else []


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _silence(words: ast.AST) -> None:
    """Empty all texts below a node, in place."""
    for node in ast.walk(words):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.JoinedStr):
            node.values = []
