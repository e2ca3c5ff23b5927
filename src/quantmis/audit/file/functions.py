"""Functions that an audit file names as `module:name`, looked for beside the file first."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.registry import suggestion


def function(spelled: str, folder: Path, key: str) -> Callable[..., Any]:
    """Return the function that `module:name` means; modules beside the audit file are found first."""
    module, colon, name = spelled.partition(":")
    require(colon and module and name, f'{key}: expected "module:name", got {spelled!r}')
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        home = importlib.import_module(module)
    except ImportError as error:
        hint = f"modules are looked for beside the audit file, in {folder.resolve()}, and among those installed"
        raise UserError(f"{key}: cannot import {module!r}: {error}", hint=hint) from error
    require(hasattr(home, name), f"{key}: {module} has no {name!r}", hint=suggestion(name, _public(home)))
    return getattr(home, name)


def _public(module: Any) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]


class Maker:
    """Make models with arguments; a class, so that other processes can have it too."""

    def __init__(self, make: Callable[..., Any], arguments: dict[str, Any]):
        self._make, self._arguments = make, arguments
        self.__module__ = make.__module__

    def __call__(self) -> Any:
        """Return a fresh model."""
        return self._make(**self._arguments)


def require_takes(make: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Raise `UserError` unless `function` takes `arguments` by name."""
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise UserError(f"model.function: {error}", hint="model.arguments are given to it by name") from error
