"""The sections of an audit file, and how one is read: every key is known, or refused beside the nearest known one."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantmis import results
from quantmis.audit.settings import DEPTHS
from quantmis.data.sources import Data
from quantmis.errors import UserError, require
from quantmis.models.hugging_face import CAUSAL_LM
from quantmis.models.sources import Model
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
    lora_rank: int | None = None
    lora_alpha: float | int | None = None

    def given(self) -> dict[str, Any]:
        """Return the recipe's fields that were given."""
        return self.model_dump(exclude={"function"}, exclude_none=True)

    @model_validator(mode="after")
    def _one(self) -> "Training":
        if self.function is not None and self.given():
            raise ValueError(f"a function trains in its own way: remove {', '.join(self.given())}")
        return self


class Elsewhere(Section):
    """Say where a version is that was quantized elsewhere, and what it is called.

    `weights`: a state dict in safetensors, or a file of another tool (GGUF, GPTQ, compressed-tensors, bitsandbytes,
    ONNX), with `rename` from its names to the model's. `function`: `module:name`, from inputs to outputs. `table`: the
    losses of every sample, in the order of the data, as `.npz` (array `losses`) or a column `loss` of `.csv` or
    `.parquet`.
    `like`: the quantizer of this audit that it resembles.
    """

    name: str
    weights: str | None = None
    function: str | None = None
    table: str | None = None
    rename: dict[str, str] = Field(default_factory=dict)
    like: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "Elsewhere":
        if sum(each is not None for each in (self.weights, self.function, self.table)) != 1:
            raise ValueError("give one of weights, function or table")
        return self


class Target(Section):
    """Say where the weights of the trained model are, a file or the folder of a model or adapter, and who was a member.

    `members` and `non_members`: files of row numbers or ids, a line each (`.txt`), or whole numbers (`.npy`); or, with
    `column`, the values in that column of the data file that mark them; or, of texts, the names of files in `[data]
    texts`. `overlap`: "refuse" or "drop" samples in both. `confounded`: "refuse" or "report" sets that differ by
    themselves.
    """

    weights: str
    members: str
    non_members: str
    column: str | None = None
    overlap: Literal["refuse", "drop"] = "refuse"
    confounded: Literal["refuse", "report"] | None = None
    name: str | None = None
    versions: list[Elsewhere] = Field(default_factory=list)


class Options(Section):
    """Hold the options of `quantmis.audit`."""

    quantizers: list[str] | None = None
    attacks: list[str] | None = None
    depth: str | None = None
    shadows: int | None = None
    replicates: int | None = None
    held_out: float = 1 / 3
    seed: int = 0
    level: float = 0.95
    checkpoint_every: int | None = None
    keep_weights: bool = False
    canaries: int = 0
    calibrate_on: str = "held_out"
    engine: str = "auto"
    executor: str = "local"
    address: str = "auto"
    memory: float = 1.0

    @model_validator(mode="after")
    def _known(self) -> "Options":
        if self.depth is not None and self.depth not in DEPTHS:
            raise ValueError(f"unknown depth {self.depth!r}: {suggestion(self.depth, DEPTHS)}")
        return self


CAUSAL = {"transformers": CAUSAL_LM, "loss": "causal_lm"}
"""What the kind causal-lm says of the model."""


class AuditFile(Section):
    """Hold an audit file as it was written; `kind = "causal-lm"` is a language model, whose samples are texts."""

    kind: Literal["causal-lm"] | None = None
    data: Data
    model: Model
    training: Training | None = None
    target: Target | None = None
    audit: Options = Options()

    @model_validator(mode="before")
    @classmethod
    def _language(cls, content: Any) -> Any:
        model = content.get("model") if isinstance(content, dict) and content.get("kind") == CAUSAL_LM else None
        if not isinstance(model, dict):
            return content
        for key, value in CAUSAL.items():
            if model.get(key, value) != value:
                raise ValueError(f"model.{key} of a causal-lm is {value!r}: leave it out")
        return {**content, "model": {**model, **CAUSAL}}

    @model_validator(mode="after")
    def _texts(self) -> "AuditFile":
        if self.kind is not None and self.data.texts is None:
            raise ValueError('a causal-lm reads texts: data.texts = ["train.txt", "test.txt"]')
        return self


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


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of the files that people write and read, by what they describe."""
    return {"audit": AuditFile.model_json_schema(), "results": results.json_schema()}


def _explained(path: Path, error: pydantic.ValidationError) -> UserError:
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")  # a misspelled key is also missing
    where = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return UserError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}")
    *sections, key = first["loc"]
    return UserError(f"{path}: unknown key {where}", hint=suggestion(str(key), _keys([str(each) for each in sections])))


def _keys(sections: list[str]) -> list[str]:
    """Return the keys that are known in a section."""
    if sections[:2] == ["target", "versions"]:
        return list(Elsewhere.model_fields)
    kinds = {"data": Data, "model": Model, "training": Training, "target": Target, "audit": Options}
    return list(kinds[sections[0]].model_fields if sections else AuditFile.model_fields)
