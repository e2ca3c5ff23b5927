"""What a user's function or object is, as a hash: its code, the values it holds, and everything of theirs it refers to.

Two things of one hash do the same. A function counts with its defaults, what it closes over and the globals that it
names; a partial with its arguments; an object with its state and its class; a module of the user's with its file and
all of theirs that it imports. What is installed counts by its name and version. Files that a function reads by itself
are the one thing that is not seen.
"""

import dataclasses
import functools
import hashlib
import inspect
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from quantmis.audit.execution.user_modules import file_of, is_own, source_files
from quantmis.models.weights import raw_bytes

ATOMS = (type(None), type(...), type(NotImplemented), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
OF_CLASSES = frozenset(
    [
        *("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__"),
        *("__annotations__", "__annotate__", "__annotations_cache__", "__annotate_func__", "__parameters__"),
        *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__orig_bases__"),
        *("__abstractmethods__", "__slotnames__", "_abc_impl"),
    ]
)
"""Attributes that every class has, and that say nothing about what it does."""

WITHOUT_CONTENT = (type(threading.Lock()), type(threading.RLock()), threading.local, weakref.ref)
BUILTIN = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType)


def code_hash(thing: Any) -> str:
    """Return the hash of what `thing` is; something whose content cannot be read has another in every process."""
    return _Reader().hash(thing)


class _Reader:
    """Hash values by what they hold, each once, cycles included."""

    def __init__(self):
        self._done: dict[int, tuple[Any, str]] = {}  # the things too: a number may be used again once one is gone
        self._open: list[int] = []

    def hash(self, thing: Any) -> str:
        if type(thing) in ATOMS:
            return _digest(type(thing).__name__, repr(thing))
        if id(thing) in self._open:
            return _digest("around", str(len(self._open) - self._open.index(id(thing))))
        if id(thing) not in self._done:
            self._open.append(id(thing))
            self._done[id(thing)] = thing, _digest(*self._parts(thing))
            self._open.pop()
        return self._done[id(thing)][1]

    def _parts(self, thing: Any) -> Iterator[str]:
        for kinds, read in self._readers():
            if isinstance(thing, kinds):
                yield from read(thing)
                return
        yield from self._object(thing)

    def _readers(self) -> Iterable[tuple[Any, Callable[[Any], Iterable[str]]]]:
        return (
            (types.ModuleType, self._module),
            (types.FunctionType, self._function),
            (types.MethodType, lambda it: ["method", *self._all(it.__self__, it.__func__)]),
            (types.CodeType, self._code),
            (type, self._class),
            (BUILTIN, lambda it: ["builtin", str(it.__qualname__), self._holder(it)]),
            (functools.partial, lambda it: ["partial", *self._all(it.func, it.args, it.keywords)]),
            ((staticmethod, classmethod), lambda it: [type(it).__name__, self.hash(it.__func__)]),
            (property, lambda it: ["property", *self._all(it.fget, it.fset, it.fdel)]),
            (np.ndarray, self._array),
            (torch.Tensor, self._tensor),
            (torch.Generator, lambda it: ["generator", self.hash(it.get_state())]),
            ((set, frozenset), lambda it: [self._name(type(it)), *sorted(map(self.hash, it))]),
            ((tuple, list), lambda it: [self._name(type(it)), *map(self.hash, it), *self._fields(it)]),
            ((dict, types.MappingProxyType), self._mapping),
            (WITHOUT_CONTENT, lambda it: [type(it).__qualname__]),
        )

    def _all(self, *things: Any) -> list[str]:
        return [self.hash(thing) for thing in things]

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        module = sys.modules.get(str(function.__module__))
        if module is not None and not is_own(module):
            yield from ("installed", self.hash(module), function.__qualname__)
            yield from self._all(*(_content(cell) for cell in function.__closure__ or ()))
            return
        yield from ("function", "" if module is None else self.hash(module))
        yield from self._all(function.__code__, function.__defaults__, function.__kwdefaults__, vars(function))
        yield from self._all(*(_content(cell) for cell in function.__closure__ or ()))
        names = dict.fromkeys(_names(function.__code__))
        for name in names:
            if name in function.__globals__:
                value = function.__globals__[name]
                yield from (name, self.hash(value))
                if isinstance(value, types.ModuleType) and is_own(value):
                    yield from self._all(*(vars(value)[each] for each in names if each in vars(value)))

    def _code(self, code: types.CodeType) -> Iterator[str]:
        yield from ("code", code.co_code.hex(), str(code.co_flags))
        yield from self._all(code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_consts)

    def _class(self, kind: type) -> Iterator[str]:
        module = sys.modules.get(kind.__module__)
        yield from ("class", kind.__qualname__, "" if module is None else self.hash(module))
        if module is None or is_own(module):
            yield from self._all(*kind.__bases__)
            own = {name: value for name, value in vars(kind).items() if name not in OF_CLASSES}
            yield self.hash({name: value for name, value in own.items() if not inspect.isdatadescriptor(value)})
            yield self.hash([value for value in own.values() if isinstance(value, property)])

    def _module(self, module: types.ModuleType) -> Iterator[str]:
        """Yield the files behind a module of the user's, else the name and version of an installed one."""
        path = file_of(module)
        if is_own(module) and path is not None:  # by whichever name: what is run as a program is called __main__
            yield from ("files", *sorted(_digest(content.hex()) for content in source_files(module).values()))
            return
        top = sys.modules.get(module.__name__.partition(".")[0])
        yield from ("module", module.__name__, str(getattr(top, "__version__", "")))
        if path is not None and module.__name__.startswith("quantmis."):
            yield _digest(path.read_bytes().hex())

    def _array(self, array: np.ndarray) -> Iterator[str]:
        yield from ("array", str(array.dtype), str(array.shape))
        if array.dtype.hasobject:
            yield from map(self.hash, array.ravel().tolist())
        else:
            yield hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()

    def _tensor(self, tensor: torch.Tensor) -> Iterator[str]:
        yield from (self._name(type(tensor)), str(tensor.dtype), str(tuple(tensor.shape)), str(tensor.requires_grad))
        if tensor.device.type != "meta":
            yield hashlib.sha256(raw_bytes(tensor.detach().cpu().to_dense())).hexdigest()

    def _mapping(self, mapping: Mapping[Any, Any]) -> Iterator[str]:
        yield self._name(type(mapping))
        for key, value in mapping.items():
            yield from self._all(key, value)
        yield from self._fields(mapping)

    def _fields(self, thing: Any) -> Iterator[str]:
        if getattr(thing, "__dict__", None):
            yield self.hash(dict(vars(thing)))

    def _object(self, thing: Any) -> Iterator[str]:
        """Yield the class and state of an object, as its author would have it copied."""
        yield self._name(type(thing))
        if dataclasses.is_dataclass(thing) and type(thing).__module__.startswith("quantmis."):
            yield from self._all(*(getattr(thing, field.name) for field in dataclasses.fields(thing)))
            return
        try:
            state = thing.__reduce_ex__(4)  # pyright: ignore[reportCallIssue]
        except Exception:
            state = _unknowable(type(thing))
        if isinstance(state, str):
            yield state
            return
        parts = [list(part) if isinstance(part, Iterator) else part for part in state]
        yield from self._all(*parts)

    def _name(self, kind: type) -> str:
        return self.hash(kind)

    def _holder(self, function: Any) -> str:
        owner = getattr(function, "__self__", None) or getattr(function, "__objclass__", None)
        return self.hash(owner) if owner is not None else str(getattr(function, "__module__", ""))


@functools.cache
def _unknowable(kind: type) -> str:
    """Return a word for what cannot be read: another in every process, so that nothing stale is taken for it."""
    note = f"note: a {kind.__name__} that your functions refer to cannot be compared with an earlier run's"
    print(f"{note}; finished work is not reused", file=sys.stderr)  # noqa: T201
    return os.urandom(16).hex()


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code refers to, that of the functions inside it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _digest(*words: str) -> str:
    digest = hashlib.sha256()
    for word in words:
        digest.update(len(word).to_bytes(8, "big"))
        digest.update(word.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
