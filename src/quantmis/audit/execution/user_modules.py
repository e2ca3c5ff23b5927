"""The source files behind a module of the user's: its own, and those of theirs that it imports, however far away.

What is installed (the standard library, packages) is known by its version and not followed. Imports are read from the
text, so that one inside a function counts, whether or not it has been carried out.
"""

import ast
import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

INSTALLED = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
OURS = ("quantmis", "torch")


def is_own(module: ModuleType) -> bool:
    """Whether a module is the user's: not ours, not torch's, and not installed."""
    if module.__name__.partition(".")[0] in (*OURS, "builtins"):
        return False
    path = file_of(module)
    return is_own_file(path) if path is not None else module.__name__ not in sys.stdlib_module_names


def is_own_file(path: Path) -> bool:
    """Whether a file is the user's."""
    where = str(path.resolve())
    return "site-packages" not in where and not any(where.startswith(home + "/") for home in INSTALLED)


def file_of(module: ModuleType | None) -> Path | None:
    """Return the file that a module was read from, if it still exists."""
    name = getattr(module, "__file__", None)
    return Path(name) if name is not None and Path(name).is_file() else None


def source_files(module: ModuleType) -> dict[Path, bytes]:
    """Return the source files behind a module of the user's, with their contents."""
    contents: dict[Path, bytes] = {}
    path = file_of(module)
    waiting = [] if path is None else [(path, module.__name__)]
    while waiting:
        path, name = waiting.pop()
        if path in contents:
            continue
        contents[path] = path.read_bytes()
        waiting += [(each, imported) for each, imported in _imported(path, name, contents[path]) if is_own_file(each)]
    return contents


def owners(thing: object) -> list[ModuleType]:
    """Return the modules of the user's that define a function or an object, and what it is a partial of."""
    inner = [getattr(thing, name, None) for name in ("func", "_make", "__wrapped__")]
    names = [str(getattr(each, "__module__", None)) for each in (thing, type(thing), *inner) if each is not None]
    modules = [sys.modules[name] for name in dict.fromkeys(names) if name in sys.modules]
    return [module for module in modules if is_own(module)]


def own_modules(module: ModuleType) -> list[ModuleType]:
    """Return those modules behind a module of the user's that are imported, itself included."""
    files = {path.resolve() for path in source_files(module)}
    loaded = [each for each in list(sys.modules.values()) if _file(each) in files]
    return [module, *(each for each in loaded if each is not module and is_own(each))]


def _file(module: object) -> Path | None:
    name = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    return Path(name).resolve() if isinstance(name, str) else None


def _imported(path: Path, name: str, source: bytes) -> Iterator[tuple[Path, str]]:
    """Yield the files that a file imports, with the names of their modules."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for imported in _names(source, package):
        # a package's own file is run before what stands in it
        parts = imported.split(".")
        for length in range(1, len(parts) + 1):
            whole = ".".join(parts[:length])
            file = _find(whole, path.parent)
            if file is not None:
                yield file, whole


def _names(source: bytes, package: str) -> Iterable[str]:
    """Return the names of modules, and of what may be modules, that a source imports; nothing where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
    return [name for name in dict.fromkeys(names) if name and name.partition(".")[0] not in _skipped()]


@functools.cache
def _skipped() -> frozenset[str]:
    return frozenset((*sys.stdlib_module_names, *OURS))


def _find(name: str, beside: Path) -> Path | None:
    """Return the file of a module without importing anything: the loaded one, or the one that an import would find."""
    loaded = file_of(sys.modules.get(name))
    if loaded is not None:
        return loaded
    where: Sequence[str] | None = None
    first, _, rest = name.partition(".")
    spec = PathFinder.find_spec(first) or PathFinder.find_spec(first, [str(beside)])
    for part in rest.split(".") if rest else ():
        where = None if spec is None else spec.submodule_search_locations
        spec = None if spec is None or where is None else PathFinder.find_spec(f"{spec.name}.{part}", list(where))
    file = None if spec is None else spec.origin
    return Path(file) if file is not None and Path(file).is_file() else None
