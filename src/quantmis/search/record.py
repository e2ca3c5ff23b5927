"""What a search found, as a versioned JSON document: `search.json`.

Promise: within one `schema_version` a field never changes its meaning; new fields may be added.
"""

import json
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict

from quantmis.errors import UserError, require
from quantmis.files import content_of, write_atomically
from quantmis.stats import Estimate, Unmeasured

DOCUMENT = "search.json"
SCHEMA_VERSION = 1
LARGEST = 2**28


class Part(BaseModel):
    """Refuse what the schema does not name, and numbers that are infinite or none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Worth(Part):
    """Hold what a version is worth; `change` is its utility less that of full precision.

    `exposure`: the advantage over a coin that is predicted for an attacker with 64 models. `missed`: the limits that
    are missed, each with by how much.
    """

    exposure: Estimate
    utility: Estimate
    change: Estimate
    bits: float
    missed: dict[str, float]


class Candidate(Part):
    """Hold a candidate that was tried, as one line that an audit file takes."""

    number: int
    quantizer: str
    worth: Worth


class Layer(Part):
    """Hold what one layer does: the model with it alone quantized by the probe, and with all but it quantized."""

    layer: str
    weights: int
    alone: Worth
    others: Worth


class Confirmed(Part):
    """Hold a version that was measured again: `searched` on the pairs of the search, None where it was not tried there.

    `again`: the same numbers on trainings and samples that the search never saw. `attacker`: how often the strongest
    attack is right. `missed`: the limits that are missed then, in words. `of_front`: the search proposed it.
    """

    quantizer: str
    searched: Worth | None
    again: Worth
    attacker: Estimate | Unmeasured
    missed: list[str]
    of_front: bool


class Comparison(Part):
    """Hold the winner against the best version that nobody had to search for, `rival`, where both were measured again.

    `advantage_less`: the share of the rival's advantage that the winner does not have. `exposure`: the difference of
    the AUC between twins, and `utility` that of utilities, winner less rival, both paired.
    """

    rival: str
    advantage_less: float
    exposure: Estimate
    utility: Estimate


class SearchRecord(Part):
    """Hold a whole search."""

    schema_version: Literal[1] = SCHEMA_VERSION
    model: str
    metric: str
    seed: int
    trainings: int
    samples_searched: int
    samples_confirmed: int
    space: dict[str, Any]
    points: int
    limits: list[str]
    not_judged: list[str]
    prefer: str
    full_precision: Worth
    candidates: list[Candidate]
    front: list[str]
    probe: str
    layers: list[Layer]
    confirmed: list[Confirmed] = []
    winner: str | None = None
    comparison: Comparison | None = None
    saved: str = ""
    notes: list[str] = []

    @property
    def distinct(self) -> int:
        """The number of different quantizers that were tried."""
        return len({each.quantizer for each in self.candidates})

    def worth_of(self, quantizer: str) -> Worth | None:
        """Return what a candidate was worth in the search, None for one that was not tried."""
        return next((each.worth for each in self.candidates if each.quantizer == quantizer), None)


def write(record: SearchRecord, folder: Path) -> None:
    """Write the document into `folder`, whole or not at all."""
    write_atomically(folder / DOCUMENT, record.model_dump_json(indent=1).encode() + b"\n")


def read(path: Path) -> SearchRecord:
    """Read a document, or that of the folder at `path`; `UserError` where it is missing, damaged or of another kind."""
    path = path / DOCUMENT if path.is_dir() else path
    content, hint = content_of(path, most=LARGEST), "run quantmis search again: nothing is trained twice"
    try:
        version = json.loads(content)["schema_version"]
        require(version == SCHEMA_VERSION, f"{path} has schema version {version}, not {SCHEMA_VERSION}", hint=hint)
        return SearchRecord.model_validate_json(content)
    except (ValueError, KeyError, TypeError, RecursionError, pydantic.ValidationError) as error:
        raise UserError(f"{path} is no record of a search: {str(error)[:200]}", hint=hint) from error
