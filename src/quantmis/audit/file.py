"""The audit file: a whole audit in one readable TOML file. Paths are relative to the file.

[data]
file = "people.csv"               # or .parquet, .npz; or: images = "folder"; or: function = "my_module:load"
target = "income"

[model]
function = "my_module:MyModel"    # a torch.nn.Module class, or a function; or: transformers = "sequence-classification"
loss = "cross_entropy"

[training]                        # the fields of quantmis.Recipe, or: function = "my_module:train"
epochs = 40

[audit]                           # the options of quantmis.audit
quantizers = ["sign", "uniform(bits=4)"]
shadows = 64
"""

import importlib
import inspect
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, model_validator

from quantmis.data.samples import Samples
from quantmis.data.sources import Data, require_fitting
from quantmis.data.sources import read as read_samples
from quantmis.errors import UserError, require
from quantmis.models import Recipe, Task
from quantmis.models.sources import Model, transformer
from quantmis.models.task import Train
from quantmis.registry import suggestion

LARGEST = 10**6


class Section(BaseModel):
    """Refuse keys that mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(Section):
    """Hold the fields of `quantmis.Recipe`, or the function that trains a model."""

    function: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | int | None = None
    optimizer: str | None = None
    momentum: float | int | None = None
    weight_decay: float | int | None = None
    schedule: str | None = None
    warmup_steps: int | None = None
    clip_norm: float | int | None = None
    label_smoothing: float | int | None = None
    max_steps: int | None = None

    def given(self) -> dict[str, Any]:
        """Return the recipe's fields that were given."""
        return self.model_dump(exclude={"function"}, exclude_none=True)

    @model_validator(mode="after")
    def _one(self) -> "Training":
        if self.function is not None and self.given():
            raise ValueError(f"a function trains in its own way: remove {', '.join(self.given())}")
        return self


class Options(Section):
    """Hold the options of `quantmis.audit`."""

    quantizers: list[str] | None = None
    attacks: list[str] | None = None
    shadows: int = 64
    replicates: int | None = None
    held_out: float = 1 / 3
    seed: int = 0
    level: float = 0.95
    checkpoint_every: int | None = None
    keep_weights: bool = False
    canaries: int = 0
    engine: str = "auto"
    executor: str = "local"


class AuditFile(Section):
    """Hold an audit file as it was written."""

    data: Data
    model: Model
    training: Training = Training()
    audit: Options = Options()


def read(path: Path) -> AuditFile:
    """Read and check an audit file; `UserError` names the key and the nearest known one."""
    try:
        content = path.read_bytes()
        require(
            len(content) <= LARGEST, f"{path} is larger than a megabyte", hint="data belong into files of their own"
        )
        return AuditFile.model_validate(tomllib.loads(content.decode()))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint="name an audit file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML: {error}", hint="see https://toml.io; strings stand in quotes") from error
    except pydantic.ValidationError as error:
        raise _explained(path, error) from error


def task_of(file: AuditFile, folder: Path) -> Task:
    """Return the task that the file describes."""
    training = file.training
    recipe: Recipe | Train = (
        Recipe(**training.given())
        if training.function is None
        else _function(training.function, folder, "training.function")
    )
    make, name = _maker(file.model, folder)
    return Task(make, file.model.loss, recipe, file.model.name or name)


def _maker(model: Model, folder: Path) -> tuple[Callable[[], Any], str]:
    """Return what makes a fresh model, and what to call it."""
    if model.function is None:
        made = transformer(model, folder)
        return made, f"{model.folder or made.source}, {made.head}"
    make = _function(model.function, folder, "model.function")
    _require_takes(make, model.arguments)
    return _Maker(make, model.arguments) if model.arguments else make, model.function


def samples_of(file: AuditFile, folder: Path) -> Samples:
    """Return the samples that the file names."""
    require_fitting(file.data)
    if file.data.function is not None:
        return _called(_function(file.data.function, folder, "data.function"), file.data.function)
    return read_samples(file.data, folder)


class _Maker:
    """Make models with arguments; a class, so that other processes can have it too."""

    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any]):
        self._function, self._arguments = function, arguments
        self.__module__ = function.__module__

    def __call__(self) -> Any:
        """Return a fresh model."""
        return self._function(**self._arguments)


def _require_takes(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise UserError(f"model.function: {error}", hint="model.arguments are given to it by name") from error


def _called(function: Callable[[], Any], spelled: str) -> Samples:
    returned = function()
    if isinstance(returned, Samples):
        return returned
    good = isinstance(returned, tuple) and len(returned) == 2
    require(good, f"{spelled} returned {type(returned).__name__}", hint="return x, y or quantmis.Samples(x, y)")
    return Samples(*returned)


def _function(spelled: str, folder: Path, key: str) -> Callable[..., Any]:
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


def _explained(path: Path, error: pydantic.ValidationError) -> UserError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return UserError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}")
    *section, key = map(str, first["loc"])
    known = _sections()[section[0]].model_fields if section else AuditFile.model_fields
    return UserError(f"{path}: unknown key {where}", hint=suggestion(key, known))


def _sections() -> dict[str, type[BaseModel]]:
    return {"data": Data, "model": Model, "training": Training, "audit": Options}
