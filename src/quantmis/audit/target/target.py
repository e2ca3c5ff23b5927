"""The very model that somebody is about to ship: its weights, who was trained on, and its quantized versions.

An audit of shadow models measures a *procedure*: what models trained like this give away when quantized like that. A
target is one *model*. Attacks are run on it and on its quantized versions, those that the audit makes and those that
were made elsewhere, with the shadow models as references where there are any.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int
from torch import Tensor, nn

from quantmis.audit.target.weights import (
    Artefact,
    Weights,
    dequantized,
    file_of,
    filled,
    format_of,
    from_file,
    in_memory,
)
from quantmis.data import Samples
from quantmis.data.membership import joined
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.models import CausalLM, Task
from quantmis.models.secrets import Secrets
from quantmis.quantizers import Quantized, formats
from quantmis.tables.forgetting import BEFORE, RETRAINED

OVERLAP = "drop leaves out of both sets what is in both; refuse, the default, names it"
CONFOUNDED = "report audits all the same, and says so first; refuse is the default for texts"
FEWEST = 16
"""Members, and non-members, of which halves choose and halves measure."""


Source = nn.Module | Quantized | Evidence | Artefact | Mapping[str, Tensor] | Callable[[Tensor], Tensor] | str | Path


@dataclass(frozen=True, eq=False)
class Version:
    """Hold a version that was quantized elsewhere.

    `source` is a module, a function from inputs [samples, ...] to outputs, a state dict of dequantized weights, the
    path of one or of a file of another tool (GGUF, GPTQ, ...; an `Artefact` says how its names map to the model's),
    what `quantmis.quantizers` restored, or a loss table (`Evidence`) of one row over all samples. `like` names the
    quantizer of this audit that it resembles: then the attacker's own models go through that one; without it, attacks
    that need them are only run as transfer from full precision.
    """

    source: Source
    like: str | None = None


@dataclass(frozen=True, eq=False)
class Target:
    """Hold the model that is to ship, and which rows of the samples it was trained on.

    `weights`: a trained module, its state dict, or the path of either in safetensors (or as saved by
    `torch.save(model.state_dict(), path)`); or a quantized model: the path of a file of another tool (GGUF, GPTQ, ...;
    an `Artefact` says how its names map to the model's), or what `quantmis.quantizers` made. Then full precision is not
    known: the model as it is given is what all else is compared with, and quantizers of the audit, by default none, are
    applied to its dequantized weights. `like` names the quantizer of the audit that it resembles, for shadow models to
    serve as references. `members` and `non_members`: numbers of rows; rows in neither are not used. `versions`:
    quantized elsewhere, by name. `overlap`: what to do about samples in both sets, "refuse" or "drop", which also drops
    pairs that only look alike. `confounded`: what to do where members can be told from non-members by themselves,
    "refuse" the audit or "report" it; by default texts are refused. `name` is for the report. `utility`: the accuracy
    (or R^2) that is known of the model on non-members, and `members_utility` on members: other weights, columns in
    another order or another encoding show as another number, and are refused; the second shows what the first may not.
    `near_duplicates`: how many members look like a non-member; the audit counts them.

    `forget`: rows that the model was made to forget; members are then what it may remember. `before`: the weights
    before that, and `retrained`: those of a model that was trained without them, both to compare with. `secrets`: what
    a language model is asked for in every version, `task.secrets(file)`.

    Raises `UserError` where sets are too small, or not sets, and where a row is in two of them.
    """

    weights: Weights
    members: Int[np.ndarray, " members"]
    non_members: Int[np.ndarray, " non_members"]
    versions: Mapping[str, Version] = field(default_factory=dict)
    overlap: Literal["refuse", "drop"] = "refuse"
    name: str = ""
    confounded: Literal["refuse", "report"] | None = None
    like: str | None = None
    utility: float | None = None
    near_duplicates: int = 0
    forget: Int[np.ndarray, " forget"] | None = None
    before: Weights | None = None
    retrained: Weights | None = None
    secrets: Secrets | None = None
    members_utility: float | None = None
    mask_lengths: tuple[int, ...] = field(init=False, default=())
    """How long the masks of booleans are that rows were given as."""

    def __init__(
        self,
        weights: Weights,
        members: Any,
        non_members: Any,
        versions: Mapping[str, Version | Source] | None = None,
        overlap: Literal["refuse", "drop"] = "refuse",
        name: str | None = None,
        confounded: Literal["refuse", "report"] | None = None,
        like: str | None = None,
        utility: float | None = None,
        near_duplicates: int = 0,
        forget: Any = None,
        before: Weights | None = None,
        retrained: Weights | None = None,
        secrets: Secrets | None = None,
        members_utility: float | None = None,
    ):
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "members", _rows("members", members))
        object.__setattr__(self, "non_members", _rows("non_members", non_members))
        by_name = {each: _version(source) for each, source in (versions or {}).items()}
        object.__setattr__(self, "versions", by_name)
        object.__setattr__(self, "overlap", overlap)
        object.__setattr__(self, "name", name or _name_of(weights))
        object.__setattr__(self, "confounded", confounded)
        object.__setattr__(self, "like", like)
        object.__setattr__(self, "utility", utility)
        object.__setattr__(self, "near_duplicates", near_duplicates)
        object.__setattr__(self, "forget", None if forget is None else _rows("forget", forget))
        object.__setattr__(self, "before", before)
        object.__setattr__(self, "retrained", retrained)
        object.__setattr__(self, "secrets", secrets)
        object.__setattr__(self, "members_utility", members_utility)
        masks = [rows for rows in map(np.asarray, (members, non_members, forget)) if rows.dtype == np.bool_]
        object.__setattr__(self, "mask_lengths", tuple(len(each) for each in masks))
        both = np.intersect1d(self.members, self.non_members)
        require(
            len(both) == 0,
            f"{len(both)} rows are both members and non-members, the first is row {both[:1].tolist()}",
            hint="a sample was trained on or was not",
        )
        _require_forgettable(self)
        require(overlap in ("refuse", "drop"), f"overlap: expected 'refuse' or 'drop', got {overlap!r}", hint=OVERLAP)
        choices = (None, "refuse", "report")
        require(
            confounded in choices, f"confounded: expected 'refuse' or 'report', got {confounded!r}", hint=CONFOUNDED
        )
        require("identity" not in by_name, "identity is full precision itself", hint="name this version differently")

    @property
    def quantized(self) -> str | None:
        """What kind of quantized model is given, in a word or two; None for one in full precision."""
        if isinstance(self.weights, Quantized):
            return "quantized model"
        file = file_of(self.weights)
        kind = None if file is None else format_of(file.path)
        return None if kind is None else f"{kind} file"

    @property
    def baseline(self) -> str:
        """What the model as it is given is called, which its versions are compared with."""
        return self.quantized or "identity"

    def called(self, quantizer: str) -> str:
        """Return what a quantizer of the audit is called where it is applied to this model."""
        return f"{quantizer} of the {self.quantized}" if self.quantized else quantizer

    def given(self, task: Task) -> nn.Module | Quantized:
        """Return the model as it is given, in evaluation mode, with its record where it is quantized.

        Raises `UserError` where its weights do not fit the model of `task`.
        """
        file = file_of(self.weights)
        if file is not None:
            return from_file(file, task, self.name)
        if isinstance(self.weights, nn.Module):
            return in_memory(self.weights, task)
        if isinstance(self.weights, Mapping):
            return filled(task, self.weights, self.name)
        assert isinstance(self.weights, Quantized)  # noqa: S101 for the type checker
        return self.weights

    def module(self, task: Task) -> nn.Module:
        """Return the model of the task with the weights, dequantized where they are not plain.

        Raises `UserError` where they do not fit.
        """
        file = file_of(self.weights)
        if file is not None and self.quantized:
            rename = file.rename or None
            return formats.restore_into(task.empty(), file.path, rename, rounding=False).model.eval()
        model = self.given(task)
        return dequantized(task, model) if isinstance(model, Quantized) else model

    def refuses_confounded(self, task: Task) -> bool:
        """Whether members that can be told from non-members by themselves are not to be audited."""
        return self.confounded == "refuse" or (self.confounded is None and isinstance(task.loss, CausalLM))

    @property
    def forgotten(self) -> Int[np.ndarray, " forget"]:
        """The rows that the model was made to forget, none where that is not asked."""
        return np.empty(0, dtype=np.int64) if self.forget is None else self.forget

    @property
    def others(self) -> "dict[str, Target]":
        """The models that a model that was made to forget is compared with, by name, each as a target of its own."""
        both = {BEFORE: self.before, RETRAINED: self.retrained}
        return {
            name: Target(weights, self.members, self.non_members, name=name)
            for name, weights in both.items()
            if weights is not None
        }

    def known(self, samples: int) -> Bool[np.ndarray, " samples"]:
        """Return which of the samples are members or non-members."""
        return self.is_member(samples) | self.is_measured(samples)

    def is_member(self, samples: int) -> Bool[np.ndarray, " samples"]:
        """Return which of the samples are members."""
        return _marked(self.members, samples)

    def is_measured(self, samples: int) -> Bool[np.ndarray, " samples"]:
        """Return which of the samples are non-members: those that the utility is measured on."""
        return _marked(self.non_members, samples)

    def groups(self, samples: Samples) -> Int[np.ndarray, " samples"] | None:
        """Return which samples belong together, by their groups or as copies; None where each is by itself.

        Copies that are on both sides are apart: a group is of members, or not.
        """
        together = joined(samples.groups, samples.copies.codes)
        if together is None:
            return None
        apart = 2 * (int(together.max()) + 1) * _marked(self.forgotten, len(samples))
        return 2 * together + self.is_member(len(samples)) + apart


def require_enough(members: np.ndarray, non_members: np.ndarray) -> None:
    """Raise `UserError` where there are too few of either to say anything."""
    _require_many("members", members)
    _require_many("non_members", non_members)


def _require_many(name: str, rows: np.ndarray) -> None:
    require(
        len(rows) >= FEWEST,
        f"{name}: expected at least {FEWEST}, got {len(rows)}",
        hint="hundreds of each give intervals that say something",
    )


def _version(source: Version | Source) -> Version:
    return source if isinstance(source, Version) else Version(source)


def _name_of(weights: Any) -> str:
    if isinstance(weights, str | Path | Artefact):
        return weights.path.name if isinstance(weights, Artefact) else Path(weights).name
    return type(weights).__name__ if isinstance(weights, nn.Module) else "a state dict"


def _rows(name: str, selection: Any) -> Int[np.ndarray, " rows"]:
    rows = np.asarray(selection)
    if rows.size == 0:
        raise UserError(f"{name}: it names no samples", hint=f"at least {FEWEST}; hundreds say something")
    if rows.dtype == np.bool_:
        rows = np.flatnonzero(rows)
    require(
        rows.ndim == 1 and rows.dtype.kind in "iu",
        f"{name}: expected numbers of rows, got {rows.dtype} of shape {rows.shape}",
        hint="row numbers count from 0; a mask of booleans is taken too",
    )
    require(len(np.unique(rows)) == len(rows), f"{name}: a row is named twice")
    require(len(rows) == 0 or rows.min() >= 0, f"{name}: row numbers count from 0, got {rows.min(initial=0)}")
    _require_many(name, rows)
    return np.sort(rows.astype(np.int64))


def _require_forgettable(target: Target) -> None:
    """Raise `UserError` where a sample was to be forgotten and is something else, or is missing where it is needed."""
    if target.forget is None:
        for name in target.others:
            message = f"{name} is given, and nothing says which samples were to be forgotten"
            raise UserError(message, hint="forget names them: numbers of rows, or [target] forget = a file or a column")
        return
    for name, rows, hint in (
        ("members", target.members, "members are the samples that the model may remember: take these out of them"),
        ("non_members", target.non_members, "what was forgotten was trained on once, and non-members never were"),
    ):
        both = np.intersect1d(target.forget, rows)
        message = f"{len(both)} rows were to be forgotten and are {name}, the first is row {both[:1].tolist()}"
        require(len(both) == 0, message, hint=hint)


def _marked(rows: np.ndarray, samples: int) -> Bool[np.ndarray, " samples"]:
    mask = np.zeros(samples, dtype=bool)
    mask[rows] = True
    return mask
