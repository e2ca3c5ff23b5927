"""What a group depends on beside its arguments: files that were read, folders listed, environment variables asked for.

A function can open a file, load a module by a name that it makes up, or ask for a variable, and no hash of its code
shows it. So Python is asked to tell of them (PEP 578) while models are tried and trained, and what it tells is stored
with the group as digests. A group is used again only where all of them are the same. Not seen are files that libraries
open below Python (safetensors, HDF5, Arrow), what other processes and the network answer, the clock, and variables that
libraries ask for.
"""

import collections.abc
import functools
import hashlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

import jaxtyping

from quantmis.audit.execution.user_modules import file_of, is_own, is_own_file, source_files

FILE, FOLDER, VARIABLE = "file", "folder", "variable"
ABSENT, CHANGED = "absent", "changed while it was read"
OURS = str(Path(__file__).parents[2]) + os.sep
SYSTEM = ("/etc/", "/usr/", "/proc/", "/sys/", "/dev/", "/run/", sys.prefix + os.sep, sys.base_prefix + os.sep)
WRITING = os.O_WRONLY | os.O_RDWR
MAPPED = ("joblib_memmapping_folder", "loky")
"""Parts of the names of files by which joblib hands arguments to its processes."""

HERE = __file__
MAPPINGS = ("<frozen os", "<frozen _collections_abc", os.__file__, collections.abc.__file__)
WRAPPERS = ("<@beartype", str(Path(jaxtyping.__file__).parent))
"""Where functions stand that others are called through: those of `os.environ`, and those that check types."""

BLOCK = 2**20
Digests = Mapping[str, str]


@dataclass
class Observed:
    """Hold what was read so far: of each file and folder its state at the time, and the names of variables."""

    files: dict[str, tuple[int, ...]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    written_files: set[str] = field(default_factory=set)

    def digests(self) -> dict[str, str]:
        """Return the digest of each thing that was read, now; one that has changed since has that said of it."""
        read = {path: state for path, state in self.files.items() if path not in self.written_files}
        of_files = {
            _word(FILE, path): _file(path) if _state(path) == state else CHANGED for path, state in read.items()
        }
        of_folders = {_word(FOLDER, path): _folder(path) for path in self.folders}
        return of_files | of_folders | {_word(VARIABLE, name): _variable(name) for name in self.variables}


class _Watch:
    """Hold who is observing; the hook of Python's can be added once and never taken away."""

    active: Observed | None = None
    is_hooked = False
    of_scope: dict[str, Observed]
    busy = threading.local()


_WATCH = _Watch()
_WATCH.of_scope = {}


@contextmanager
def watched(scope: str) -> Generator[Observed]:
    """Observe what this process reads inside; audits of one `scope`, the same functions, share what they observed."""
    if not _WATCH.is_hooked:
        sys.addaudithook(_hook)
        _WATCH.is_hooked = True
    before, observed = _WATCH.active, _WATCH.of_scope.setdefault(scope, Observed())
    _WATCH.active = observed
    try:
        with _variables_told(observed), _modules_told(observed):
            yield observed
    finally:
        _WATCH.active = before


def changes(stored: Digests) -> list[str]:
    """Return what is no longer as it was when a group was computed, in words."""
    now: dict[str, Callable[[str], str]] = {FILE: _file, FOLDER: _folder, VARIABLE: _variable}
    parted = ((word, *word.split(":", 1)) for word in stored)
    return [f"{kind} {name}" for word, kind, name in parted if now[kind](name) != stored[word]]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    observed = _WATCH.active
    if observed is None or event not in EVENTS or getattr(_WATCH.busy, "now", False):
        return
    _WATCH.busy.now = True
    try:
        EVENTS[event](observed, arguments)
    finally:
        _WATCH.busy.now = False


def _opened(observed: Observed, arguments: tuple[Any, ...]) -> None:
    file, mode, flags = (*arguments, None, None)[:3]
    path = _path(file)
    if path is None:
        return
    writes = bool(set(mode) & set("wxa")) if isinstance(mode, str) else bool((flags or 0) & WRITING)
    if not writes:
        observed.files[path] = _state(path)
    elif not observed.files.get(path):  # what was not there is no input: it is read as it is written here
        observed.written_files.add(path)


def _listed(observed: Observed, arguments: tuple[Any, ...]) -> None:
    path = _path(arguments[0] if arguments and arguments[0] is not None else ".")
    if path is not None and not _asking(past=(HERE, *WRAPPERS)).startswith("<frozen"):  # Python looks for modules so
        observed.folders.add(path)


EVENTS: dict[str, Callable[[Observed, tuple[Any, ...]], None]] = {
    "open": _opened,
    "sqlite3.connect": lambda observed, arguments: _opened(observed, (arguments[0], "r")),
    "os.listdir": _listed,
    "os.scandir": _listed,
}


def _path(file: Any) -> str | None:
    """Return the path of what is opened, that of its source for compiled code; None for what does not count."""
    if not isinstance(file, str | bytes | os.PathLike):
        return None
    path = os.path.abspath(os.fsdecode(file))
    if path.endswith(".pyc"):
        try:
            path = source_from_cache(path)
        except ValueError:
            return None
    return path if _counts(path) else None


def _counts(path: str) -> bool:
    own = not path.startswith((OURS, *SYSTEM)) and not any(part in path for part in MAPPED)
    return own and "\0" not in path and is_own_file(Path(path))


def _state(path: str) -> tuple[int, ...]:
    """Return what changes with a file: nothing where it is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _file(path: str) -> str:
    """Return the SHA-256 of a file; a word for one that is missing or no file."""
    try:
        if not os.path.isfile(path):
            return ABSENT
        digest = hashlib.sha256()
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    except OSError as error:
        return str(error.strerror)
    return digest.hexdigest()


def _folder(path: str) -> str:
    """Return the SHA-256 of the names in a folder that people see."""
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith((".", "__pycache__")))
    except OSError:
        return ABSENT
    return hashlib.sha256(json.dumps(names).encode("utf-8", "surrogatepass")).hexdigest()


def _variable(name: str) -> str:
    """Return the SHA-256 of the value of a variable: it may be a secret."""
    value = os.environ.get(name)
    return ABSENT if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _word(kind: str, name: str) -> str:
    return f"{kind}:{name}"


@contextmanager
def _variables_told(observed: Observed) -> Generator[None]:
    """Let `os.environ` tell which variables the user's own code asks for."""
    kind: Any = type(os.environ)
    plain = kind.__getitem__

    @functools.wraps(plain)
    def tells(self: Any, name: Any) -> Any:
        if isinstance(name, str) and _asked_by_own():
            observed.variables.add(name)
        return plain(self, name)

    kind.__getitem__ = tells
    try:
        yield
    finally:
        kind.__getitem__ = plain


def _asked_by_own() -> bool:
    """Whether the code that asks for a variable is the user's, past the functions of Python's that ask for it."""
    return _counts(os.path.abspath(_asking(past=(HERE, *WRAPPERS, *MAPPINGS))))


def _asking(past: tuple[str, ...]) -> str:
    """Return the name of the nearest file on the stack whose name does not begin as one of `past`."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(past):
        frame = frame.f_back
    return frame.f_code.co_filename


@contextmanager
def _modules_told(observed: Observed) -> Generator[None]:
    """Let `importlib.import_module` tell what it returns, since one that is loaded already is opened no more."""
    home: Any = importlib._bootstrap  # pyright: ignore[reportAttributeAccessIssue]
    plain = home._gcd_import

    @functools.wraps(plain)
    def tells(*arguments: Any, **named: Any) -> Any:
        module = plain(*arguments, **named)
        if is_own(module) and file_of(module) is not None:
            observed.files.update({os.path.abspath(path): _state(str(path)) for path in source_files(module)})
        return module

    home._gcd_import = tells
    try:
        yield
    finally:
        home._gcd_import = plain
