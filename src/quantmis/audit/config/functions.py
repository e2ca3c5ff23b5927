"""Functions that an audit file names as `module:name`, looked for beside the file first."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.registry import suggestion

LIBRARIES = re.compile(r"site-packages|<frozen|/lib/python3|[\\/]quantmis[\\/]")


def function(spelled: str, folder: Path, key: str) -> Callable[..., Any]:
    """Return the function that `module:name` means; modules beside the audit file are found first."""
    module, colon, name = spelled.partition(":")
    require(colon and module and name, f'{key}: expected "module:name", got {spelled!r}', hint=_with_colon(spelled))
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    home = _imported(module, key, folder)
    require(hasattr(home, name), f"{key}: {module} has no {name!r}", hint=suggestion(name, _public(home)))
    attribute = getattr(home, name)
    kind = type(attribute)
    is_function = callable(attribute) and not any(base.__module__.startswith("torch.nn") for base in kind.__mro__)
    hint = "name the class, or a function: def make(): return MyModel(...)"
    require(is_function, f"{key}: {spelled} is of type {kind.__name__}, no class or function", hint=hint)
    return attribute


def _with_colon(spelled: str) -> str:
    """Write the name of a function as it is meant: a colon stands before its last part."""
    module, _, name = spelled.replace(":", ".").removesuffix(".py").rpartition(".")
    whole = f"{module}:{name}" if module and name else f"{module or name or 'my_module'}:MyModel"
    return f'write "{whole}", the file without .py before the colon'


def _imported(module: str, key: str, folder: Path) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        beside = sorted(each.stem for each in folder.glob("*.py"))
        places = f"modules are looked for beside the audit file, in {folder.resolve()}, and among those installed"
        hint = f"{suggestion(module, beside)}; {places}" if beside else places
        raise UserError(f"{key}: cannot import {module!r}: {error}", hint=hint) from error
    except SyntaxError as error:
        message = f"{key}: {module} is no Python: {error.msg}, line {error.lineno} of {error.filename}"
        raise UserError(message, hint=f"python {module}.py says the same") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{key}: importing {module!r} {_raised(error)}", hint=_where(error)) from error


def _raised(error: BaseException) -> str:
    message = f": {error}" if str(error) else ""
    return f"ended the program{message}" if isinstance(error, SystemExit) else f"raised {type(error).__name__}{message}"


def _where(error: BaseException) -> str:
    """Say on which line of the user's an error arose: the last that is not of a library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if not LIBRARIES.search(each.filename)] or list(frames)
    return f"line {own[-1].lineno} of {own[-1].filename}: {own[-1].line or ''}".rstrip(": ")


def called(call: Callable[[], Any], spelled: str, key: str) -> Any:
    """Return what a function of the user's returns; what it raises becomes a `UserError` that names the line."""
    try:
        return call()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{key}: {spelled} {_raised(error)}", hint=_where(error)) from error


def _public(module: Any) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]


class Maker:
    """Make models with arguments; a class, so that other processes can have it too."""

    def __init__(self, make: Callable[..., Any], arguments: dict[str, Any], spelled: str):
        self._make, self._arguments, self._spelled = make, arguments, spelled
        self.__module__ = make.__module__

    def __call__(self) -> Any:
        """Return a fresh model."""
        return called(lambda: self._make(**self._arguments), self._spelled, "model.function")


def require_takes(make: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Raise `UserError` unless `function` takes `arguments` by name."""
    try:
        signature = inspect.signature(make)
    except ValueError:  # a function of C that does not say
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        hint = "model.arguments are given to it by name: arguments = { width = 64 }"
        raise UserError(f"model.function: {error}", hint=hint) from error
