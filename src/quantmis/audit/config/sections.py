"""The sections of an audit file, and how one is read: every key is known, or refused beside the nearest known one."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantmis.audit.config.words import explained
from quantmis.audit.options import DEPTHS
from quantmis.audit.execution.work import CALIBRATE_ON
from quantmis.data.sources import Data
from quantmis.errors import UserError, require
from quantmis.models.engine import ENGINES
from quantmis.models.hugging_face import CAUSAL_LM
from quantmis.models.sources import Model
from quantmis.registry import suggestion

LARGEST = 10**6
SHOWN = 200


def OneOf(*words: str) -> Any:  # noqa: N802 it stands where a type does
    """Tell editors which words there are; whoever takes them refuses others with the nearest."""
    return Field(json_schema_extra={"enum": list(words)})


class Section(BaseModel):
    """Refuse keys that mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Training(Section):
    """Hold the fields of `quantmis.Recipe`, or the function that trains a model."""

    function: str | None = None
    """`module:train`, a function train(model, samples, generator) that returns the trained model."""
    epochs: int | None = None
    """Passes over the samples of one model; 30."""
    batch_size: int | None = None
    """Samples of one step; 32."""
    learning_rate: float | int | None = None
    """The learning rate; 0.001."""
    optimizer: Annotated[str | None, OneOf("adam", "adamw", "sgd")] = None
    """adam, adamw or sgd; adam."""
    momentum: float | int | None = None
    """The momentum of sgd; 0.9."""
    weight_decay: float | int | None = None
    """The weight decay; 0."""
    schedule: Annotated[str | None, OneOf("constant", "cosine", "linear")] = None
    """What becomes of the learning rate: constant, cosine or linear; constant."""
    warmup_steps: int | None = None
    """Steps over which the learning rate rises; 0."""
    clip_norm: float | int | None = None
    """The largest norm of a gradient; without limit."""
    label_smoothing: float | int | None = None
    """The label smoothing of the training objective; 0."""
    max_steps: int | None = None
    """Steps after which training ends, whatever the epochs."""
    lora_rank: int | None = None
    """Of language models: the rank of the differences that alone are learnt."""
    lora_alpha: float | int | None = None
    """What these differences are scaled by, over the rank; twice the rank."""

    def given(self) -> dict[str, Any]:
        """Return the recipe's fields that were given."""
        return self.model_dump(exclude={"function"}, exclude_none=True)

    @model_validator(mode="after")
    def _one(self) -> "Training":
        if self.function is not None and self.given():
            raise ValueError(f"a function trains in its own way: remove {', '.join(self.given())}")
        return self


Name = Annotated[str, Field(pattern=r"\S")]


class Elsewhere(Section):
    """Say where a version is that was quantized elsewhere, and what it is called: one of weights, function or table."""

    name: Name
    """What the version is called in the report."""
    weights: str | None = None
    """A state dict in safetensors, or a file of another tool: GGUF, GPTQ, compressed-tensors, bitsandbytes, ONNX."""
    function: str | None = None
    """`module:name`, a function from inputs to outputs."""
    table: str | None = None
    """The losses of every sample: `.npz` (array `losses`, in the order of the data), or a column `loss` of `.csv` or
    `.parquet`, with a column `sample` of the ids of `[data] id` or of row numbers where they are in another order."""
    rename: dict[str, str] = Field(default_factory=dict)
    """From the names in the file of weights to those of the model."""
    like: str | None = None
    """The quantizer of this audit that it resembles: the attacker's own models go through that one."""

    @model_validator(mode="after")
    def _one(self) -> "Elsewhere":
        if sum(each is not None for each in (self.weights, self.function, self.table)) != 1:
            raise ValueError("give one of weights, function or table")
        return self


class Target(Section):
    """Say where the weights of the trained model are, and who was a member."""

    weights: str
    """The weights in safetensors: a file, or the folder of a model or adapter of transformers; or a quantized file:
    GGUF, GPTQ, compressed-tensors, bitsandbytes, torchao or ONNX."""
    members: str | int | float
    """A file of row numbers or ids, a line each (`.txt`), or of whole numbers (`.npy`); with `column`, the value there
    that marks members; of texts, the name of a file in `[data] texts`."""
    non_members: str | int | float
    """The same for samples that the model was not trained on."""
    column: str | None = None
    """The column of the data file that says who was a member; it is no feature."""
    accuracy: float | int | None = None
    """The accuracy (R^2 of real targets) that is known of the model; an audit that measures another is refused."""
    overlap: Literal["refuse", "drop"] = "refuse"
    """What to do about samples that are members and non-members at once."""
    confounded: Literal["refuse", "report"] | None = None
    """What to do where members can be told from non-members by themselves; by default texts alone are refused."""
    name: Name | None = None
    """What the model is called in the report."""
    rename: dict[str, str] = Field(default_factory=dict)
    """What the names of a quantized file are called in the model."""
    like: str | None = None
    """The quantizer of this audit that a quantized file resembles: shadow models go through it."""
    versions: list[Elsewhere] = Field(default_factory=list)
    """Versions that were quantized elsewhere."""

    @model_validator(mode="after")
    def _once(self) -> "Target":
        names = [each.name for each in self.versions]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two versions are called {twice[0]!r}: name each version differently")
        return self


class Options(Section):
    """Hold the options of `quantmis.audit`."""

    quantizers: list[str] | None = None
    """Quantizers as `quantmis list quantizers` writes them; full precision is always measured."""
    attacks: list[str] | None = None
    """Attacks as `quantmis list attacks` writes them; by default those of the depth."""
    depth: Annotated[str | None, OneOf(*DEPTHS)] = None
    """as-is trains nothing, indicator a few models, shadow tens of models."""
    shadows: int | None = None
    """How many models the attacks have to learn from, an even number."""
    replicates: int | None = None
    """How many of the models the indicator compares, an even number."""
    held_out: float = 1 / 3
    """The share of the samples that no model is trained on."""
    seed: int = 0
    """The same seed gives the same result."""
    level: float = 0.95
    """The confidence level of every interval."""
    checkpoint_every: int | None = None
    """Epochs after which a model on its way is a candidate of the indicator too."""
    keep_weights: bool = False
    """Whether to keep the weights of the models that were trained."""
    canaries: int = 0
    """How many wrongly labelled copies to train on; of a causal-lm, random texts at each of a few counts."""
    calibrate_on: Annotated[str, OneOf(*CALIBRATE_ON)] = "held_out"
    """What quantizers that look at data are shown."""
    engine: Annotated[str, OneOf("auto", *ENGINES)] = "auto"
    """How models are trained; auto takes the fastest."""
    executor: Annotated[str, OneOf("local", "ray")] = "local"
    """Where: on this machine, or on the Ray cluster of RAY_ADDRESS."""
    address: str = "auto"
    """The address of the Ray cluster; auto is that of RAY_ADDRESS."""
    memory: float = 1.0
    """GiB that a group of models may use while it trains."""

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
    """causal-lm for a language model; left out for everything else."""
    data: Data
    """The samples: inputs and targets."""
    model: Model
    """What makes a fresh model, and its loss."""
    training: Training | None = None
    """How a model is trained; without it nothing is."""
    target: Target | None = None
    """The very model that is to ship, and who was trained on."""
    audit: Options = Options()
    """What to measure."""

    @model_validator(mode="before")
    @classmethod
    def _language(cls, content: Any) -> Any:
        model = content.get("model") if isinstance(content, dict) and content.get("kind") == CAUSAL_LM else None
        if not isinstance(model, dict):
            return content
        for key, value in CAUSAL.items():
            if model.get(key, value) != value:
                raise ValueError(f"model.{key} of a causal-lm is {value!r}, not {model[key]!r}: leave it out")
        return {**content, "model": {**model, **CAUSAL}}

    @model_validator(mode="after")
    def _texts(self) -> "AuditFile":
        if self.kind is not None and self.data.texts is None:
            raise ValueError('a causal-lm reads texts: data.texts = ["train.txt", "test.txt"]')
        return self


def read(path: Path) -> AuditFile:
    """Read and check an audit file; `UserError` names the key and the nearest known one."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read {path}: {why}", hint="name an audit file; quantmis init writes one") from error
    require(len(content) <= LARGEST, f"{path} is larger than a megabyte", hint="data belong into files of their own")
    try:
        return AuditFile.model_validate(tomllib.loads(content.decode("utf-8-sig")))
    except pydantic.ValidationError as error:
        raise explained(path, error, AuditFile) from error
    except (ValueError, RecursionError) as error:  # of tomllib, also for bytes that are no text and endless numbers
        hint = "see https://toml.io; strings stand in quotes"
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:SHOWN]
        raise UserError(f"{path} is no TOML: {why}", hint=hint) from error


def require_recipe(file: AuditFile, options: Options) -> None:
    """Raise `UserError` where models would be trained by a recipe that nobody wrote down."""
    trains = options.shadows or options.replicates or options.depth in ("indicator", "shadow")
    needed = trains or file.target is None
    require(
        file.training is not None or not needed,
        "models are to be trained, and nothing says how: there is no section [training]",
        hint="write [training] with the fields of your recipe, such as epochs = 40 (empty: quantmis's own), or "
        'audit a trained model as it is: [target], without shadows and with depth = "as-is"',
    )
