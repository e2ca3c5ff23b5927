"""What was computed before, asked for by everything that it is a function of.

A computation is named by its kind and by the digests of its inputs: loss tables, the attacker's own models, settings.
Whoever keeps entries, as the store of an audit does, adds the code behind the kind; `anew` keeps nothing. What comes
back is parsed from the entry, whether it was computed now or earlier, so that both are the same to the last bit.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from quantmis.analysis.settings import AnalysisSettings
from quantmis.evidence import Evidence
from quantmis.registry import spelling
from quantmis.stats import Unmeasured
from quantmis.tables import LossTable
from quantmis.tensor_files import entry

T = TypeVar("T")
Kind = Literal["version", "release set", "control", "figures"]


@dataclass(frozen=True, eq=False)
class Entry:
    """Hold what was computed as JSON and, where numbers are many, as arrays."""

    text: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


@runtime_checkable
class Recall(Protocol):
    """Return what `parse` reads from the entry of a computation, which is computed where it is not known."""

    def __call__(
        self, kind: Kind, inputs: Sequence[str], compute: Callable[[], Entry], parse: Callable[[Entry], T]
    ) -> T:
        """Return the value; `inputs` names everything that it is a function of, besides the code."""
        ...


def anew(kind: Kind, inputs: Sequence[str], compute: Callable[[], Entry], parse: Callable[[Entry], T]) -> T:
    """Compute what is asked for."""
    return parse(compute())


def table_inputs(table: LossTable) -> list[str]:
    """Return what tells a loss table from any other."""
    traits = json.dumps([asdict(each) for each in table.traits])
    return [table.name, table.about, table.digest(), hashlib.sha256(traits.encode()).hexdigest()]


def models_input(models: Evidence | Unmeasured | None) -> str:
    """Return what tells the attacker's own models from others, or why there are none."""
    if not isinstance(models, Evidence):
        return "the table's own" if models is None else f"none: {models.reason}"
    digest = hashlib.sha256()
    for name, array in models.arrays().items():
        plain = np.ascontiguousarray(array)
        digest.update(entry(name, plain.dtype.str, plain.shape, plain.nbytes))
        digest.update(plain.data)
    return digest.hexdigest()


def settings_input(settings: AnalysisSettings) -> str:
    """Return what numbers depend on of the settings, the release sets aside."""
    attacks = [spelling(each) for each in settings.attacks]
    numbers = (settings.shadows, settings.replicates, settings.seed, settings.level, settings.canaries)
    return json.dumps([attacks, *numbers])


def ids_input(ids: np.ndarray | None) -> str:
    """Return what tells the names of samples from others."""
    return "" if ids is None else hashlib.sha256(json.dumps(ids.tolist(), default=str).encode()).hexdigest()
