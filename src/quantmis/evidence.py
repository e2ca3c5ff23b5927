"""The loss table: the one thing that everything upstream fills and everything downstream reads.

A row is a model (a target, a shadow, a replicate or a checkpoint, after one quantizer). A column is a sample.
An entry of `losses` is the loss of that model at that sample; `member`, of the same shape, says who was trained
on what. An audit fills one table per quantizer over the same rows and columns. Every indicator and every attack
is a pure function of these tables, and every number in a report was returned by such a function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from quantmis.errors import require

NO_TWIN = -1
ROWS = "a row for each model and a column for each sample, in the order of losses; of one model: member[None, :]"
APART = ("named", "label", "groups")
"""The fields that are not one table [models, samples]."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Hold the losses of models (rows) at samples (columns), and who was trained on what.

    `losses`: [models, samples], the loss of each model at each sample, finite. `member`: [models, samples], true
    where the model was trained on the sample. `signal`: [models, samples], a score that is higher for members;
    the negated loss when it is not given. `entropy`: [models, samples], the modified entropy of the predictions
    (Song & Mittal 2021), lower for members, where the task has one. `label`: [samples], the class of each sample,
    where the task has classes. `named`: further signals by name, each [models, samples] and higher for members, such as
    those of language models. `groups`: [samples], which samples belong together, those of one patient, say: they stand
    in one half and count as one draw. Raises `UserError` for other shapes, an empty table, NaN or infinity.

    >>> table = Evidence(np.array([[0.1, 2.0], [1.5, 0.2]]), np.array([[True, False], [False, True]]))
    >>> table.models, table.samples, table.twin.tolist()
    (2, 2, [1, 0])
    >>> table.signals.tolist()
    [[-0.1, -2.0], [-1.5, -0.2]]
    """

    losses: Float[np.ndarray, "models samples"]
    member: Bool[np.ndarray, "models samples"]
    signal: Float[np.ndarray, "models samples"] | None = None
    entropy: Float[np.ndarray, "models samples"] | None = None
    label: Integer[np.ndarray, " samples"] | None = None
    named: Mapping[str, Float[np.ndarray, "models samples"]] = field(default_factory=dict[str, np.ndarray])
    groups: Shaped[np.ndarray, " samples"] | None = None

    def __post_init__(self):
        shape = self.losses.shape
        require(
            len(shape) == 2 and min(shape) > 0,
            f"losses: expected a table [models, samples] with at least one of each, got shape {shape}",
            hint="a single model is a table of one row: losses[None, :]",
        )
        require(
            self.member.dtype == np.bool_,
            f"member: expected booleans, got {self.member.dtype}",
            hint="member.astype(bool)",
        )
        for name, table in (*self._tables(), *self.named.items()):
            require(table.shape == shape, f"{name}: expected shape {shape} like losses, got {table.shape}", hint=ROWS)
            _require_finite(name, table)
        if self.label is not None:
            require(self.label.shape == shape[1:], f"label: expected {shape[1]} labels, got {self.label.shape}")
        if self.groups is not None:
            require(self.groups.shape == shape[1:], f"groups: expected {shape[1]} groups, got {self.groups.shape}")

    @classmethod
    def from_table(cls, source: Any) -> "Evidence":
        """Return the loss table that another framework made: a path (`.npz`, `.csv`, `.parquet`), a frame, or arrays.

        Either arrays `losses` and `member` [models, samples], or columns `model`, `sample`, `loss` and `member` with an
        entry each; `signal`, `entropy`, `label` and `groups` where there are any. Raises `UserError` for anything else.

        >>> Evidence.from_table({"loss": [0.1, 2.0], "member": [True, False]}).losses.tolist()
        [[0.1, 2.0]]
        """
        from quantmis.data.loss_tables import arrays_of  # readers of files stand above the table that they fill

        return cls(**arrays_of(source))

    @property
    def models(self) -> int:
        """The number of rows."""
        return self.losses.shape[0]

    @property
    def samples(self) -> int:
        """The number of columns."""
        return self.losses.shape[1]

    @property
    def signals(self) -> Float[np.ndarray, "models samples"]:
        """The membership signal, higher = more member-like: `signal`, or the negated loss where there is none."""
        return -self.losses if self.signal is None else self.signal

    @cached_property
    def twin(self) -> Int[np.ndarray, " models"]:
        """For each row, the row trained on exactly the samples that it was not trained on; -1 where none was."""
        packed = {np.packbits(row).tobytes(): index for index, row in enumerate(self.member)}
        complements = (np.packbits(~row).tobytes() for row in self.member)
        return np.array([packed.get(key, NO_TWIN) for key in complements])

    def rows(self, index: Any) -> "Evidence":
        """Return the table of the models at `index` (a slice, integers or booleans)."""
        return self._each(lambda table: table[index], self.label, self.groups)

    def columns(self, index: Any) -> "Evidence":
        """Return the table of the samples at `index` (a slice, integers or booleans)."""
        label, groups = (None if each is None else each[index] for each in (self.label, self.groups))
        return self._each(lambda table: table[:, index], label, where_any_is_shared(groups))

    def relabelled(self, member: Bool[np.ndarray, "models samples"]) -> "Evidence":
        """Return the same losses under another membership: the shuffled control."""
        return replace(self, member=member)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that the table holds, by name."""
        apart = {"label": self.label, "groups": self.groups}
        named = {f"named/{name}": signal for name, signal in self.named.items()}
        return {**dict(self._tables()), **named, **{name: each for name, each in apart.items() if each is not None}}

    def _tables(self) -> list[tuple[str, np.ndarray]]:
        tables = ((each.name, getattr(self, each.name)) for each in fields(self) if each.name not in APART)
        return [(name, table) for name, table in tables if table is not None]

    def _each(
        self, part: Callable[[np.ndarray], np.ndarray], label: np.ndarray | None, groups: np.ndarray | None
    ) -> "Evidence":
        tables = {name: part(table) for name, table in self._tables()}
        named_signals = {name: part(table) for name, table in self.named.items()}
        return Evidence(**tables, named=named_signals, label=label, groups=groups)


def where_any_is_shared(groups: np.ndarray | None) -> np.ndarray | None:
    """Return groups, None where each sample is by itself."""
    return None if groups is None or len(np.unique(groups)) == len(groups) else groups


def _require_finite(name: str, table: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(table))
    require(
        len(bad) == 0,
        f"{name}: {len(bad)} entries are NaN or infinite, the first at [model, sample] = "
        f"{bad[0].tolist() if len(bad) else None}",
        hint="a model that diverged must not enter the table; leave its row out",
    )
