"""From an audit file to what is audited: the task, the samples, the target."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantmis.audit.config.entities import entities_of
from quantmis.audit.config.functions import Maker, called, function, require_takes
from quantmis.audit.config.sections import AuditFile
from quantmis.audit.config.target import target_of
from quantmis.audit.config.texts import own_tokenizer, texts_of, tokenizer_of
from quantmis.audit.config.training import Training
from quantmis.data.paths import inside
from quantmis.data.samples import Samples
from quantmis.data.secrets import read_secrets
from quantmis.data.sources import read as read_samples
from quantmis.data.sources import read_beside, require_fitting
from quantmis.errors import require
from quantmis.models import Recipe, Task
from quantmis.models.secrets import Secrets
from quantmis.models.sources import Model, transformer
from quantmis.models.task import Train
from quantmis.models.tokenizers import tokenizer_at

__all__ = ["samples_of", "secrets_of", "target_of", "task_of", "tokenizer_of"]


def task_of(file: AuditFile, folder: Path) -> Task:
    """Return the task that the file describes; where it trains nothing, the task has no recipe."""
    make, name = _maker(file.model, folder)
    recipe = None if file.training is None else _recipe(file.training, folder)
    model = file.model
    declared = None if file.training is None else file.training.certificate
    certificate = None if declared is None else declared.as_certificate()
    named = model.name or name
    return Task(make, model.loss, recipe, named, model.outputs, model.samples_at_once, certificate)  # pyright: ignore[reportArgumentType]


def _recipe(training: Training, folder: Path) -> Recipe | Train:
    if training.function is None:
        return Recipe(**training.fields_given())
    return function(training.function, folder, "training.function")


def _maker(model: Model, folder: Path) -> tuple[Callable[[], Any], str]:
    """Return what makes a fresh model, and what to call it."""
    if model.function is None:
        maker = transformer(model, folder)
        return maker, f"{model.folder or maker.source}, {maker.head}"
    make = function(model.function, folder, "model.function")
    require_takes(make, model.arguments)
    return Maker(make, model.arguments, model.function), model.function


def samples_of(file: AuditFile, folder: Path) -> Samples:
    """Return the samples that the file names; the column that marks members is no feature."""
    data, target = file.data, file.target
    require_fitting(data)
    if file.kind is not None:
        texts = texts_of(file, folder, target is None, None if target is None else target.column)
        own = own_tokenizer(file, folder)
        words: dict[str, Any] = {"longest": data.longest, "loss_on": data.loss_on, "neighbours": data.neighbours}
        words |= read_beside(data, folder)
        return task_of(file, folder).samples(texts, tokenizer=own, **words)
    if data.function is not None:
        return _called(function(data.function, folder, "data.function"), data.function)
    by_column = target is not None and target.column is not None
    require(
        data.smiles is None or not by_column,
        "target.column does not go with data.smiles: rows that repeat a molecule are removed",
        hint='list members by the ids of [data] id = "..." in a file, or, without it, by canonical SMILES',
    )
    return read_samples(data, folder, [] if target is None or target.column is None else [target.column])


def fitted_of(file: AuditFile) -> tuple[str, ...]:
    """Return what reading the data fits on all samples, members among them, a phrase each."""
    data = file.data
    descriptors = data.smiles is not None and data.fingerprint.startswith("descriptors")
    phrases = {
        'the mean and deviation of columns (data.scale = "standard")': data.scale != "none",
        'the mean and deviation of the target (data.target_scale = "standard")': data.target_scale != "none",
        "the mean and deviation of descriptors of molecules": descriptors,
    }
    return tuple(phrase for phrase, is_fitted in phrases.items() if is_fitted)


def secrets_of(file: AuditFile, folder: Path, samples: Samples | None = None) -> Secrets | None:
    """Return the secrets that the file names, read by the tokenizer of the trained model, and entities of `samples`."""
    if file.secrets is None or file.target is None:
        return None
    named, own = file.secrets.file, own_tokenizer(file, folder)
    read = () if named is None else read_secrets(inside(folder, named, "secrets.file"), drawn=file.secrets.alternatives)
    task = task_of(file, folder)
    place = own or transformer(file.model, folder).place
    found = () if samples is None else entities_of(file, folder, samples, tokenizer_at(place))
    return task.secrets((*read, *found), tokenizer=own)


def _called(function: Callable[[], Any], spelled: str) -> Samples:
    returned = called(function, spelled, "data.function")
    if isinstance(returned, Samples):
        return returned
    good = isinstance(returned, tuple) and len(returned) == 2
    require(good, f"{spelled} returned {type(returned).__name__}", hint="return x, y or quantmis.Samples(x, y)")
    return Samples(*returned)
