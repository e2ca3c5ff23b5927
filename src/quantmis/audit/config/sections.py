"""The sections of an audit file, and how one is read: every key is known, or refused beside the nearest known one."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from quantmis.audit.config.reading import content_at, keys_of, validated
from quantmis.audit.config.training import Training
from quantmis.audit.options import AuditOptions, Section, hinted
from quantmis.audit.request import Declared
from quantmis.audit.search_options import SearchOptions
from quantmis.data.entities import AT_MOST
from quantmis.data.secrets import DRAWN
from quantmis.data.sources import Data
from quantmis.errors import require
from quantmis.models.hugging_face import CAUSAL_LM
from quantmis.models.sources import Model

Name = Annotated[str, Field(pattern=r"\S")]


class Elsewhere(Section):
    """Say where a version is that was quantized elsewhere, and what it is called: one of weights, predict or table."""

    name: Name
    """What the version is called in the report."""
    weights: str | None = None
    """A state dict in safetensors, or a file of another tool: GGUF, GPTQ, compressed-tensors, bitsandbytes, ONNX,
    LiteRT."""
    predict: str | None = None
    """`module:name`, a function from inputs [samples, ...] to the outputs of the model, which computes as it runs."""
    table: str | None = None
    """The losses of every sample: `.npz` (array `losses`, in the order of the data), or a column `loss` of `.csv` or
    `.parquet`, with a column `sample` of the ids of `[data] id` or of row numbers where they are in another order."""
    rename: dict[str, str] = Field(default_factory=dict)
    """From the names in the file of weights to those of the model."""
    like: str | None = None
    """The quantizer of this audit that it resembles: the attacker's own models go through that one."""

    @model_validator(mode="after")
    def _one(self) -> "Elsewhere":
        if sum(each is not None for each in (self.weights, self.predict, self.table)) != 1:
            hint = (
                'weights = "model.gguf" is a file, predict = "my_module:int8" a function, table = "losses.csv" losses'
            )
            raise hinted("give one of weights, predict or table", hint)
        return self


class Target(Section):
    """Say where the weights of the trained model are, and who was a member."""

    weights: str
    """The weights in safetensors: a file, or the folder of a model or adapter of transformers, or of a Trainer (its
    last checkpoint, where it holds no model itself; "out/checkpoint-500" names one); or a quantized file: GGUF, GPTQ,
    compressed-tensors, bitsandbytes, torchao, ONNX or LiteRT."""
    members: str | int | float
    """A file of row numbers or ids, a line each (`.txt`), or of whole numbers (`.npy`); with `column`, the value there
    that marks members; of texts, the name of a file in `[data] texts`; of images, that of a folder such as `train`."""
    non_members: str | int | float
    """The same for samples that the model was not trained on."""
    forget: str | int | float | None = None
    """The same for samples that the model was made to forget; members are then those that it may remember."""
    before: str | None = None
    """The weights before the model was made to forget, to compare with."""
    retrained: str | None = None
    """The weights of a model that was trained without the samples to be forgotten, to compare with."""
    column: str | None = None
    """The column of the data file, also of texts, that says who was a member; it is no feature."""
    accuracy: float | int | None = None
    """The accuracy (R^2 of real targets) that is known of the model on samples that it was not trained on; an audit
    that measures another on the non-members is refused."""
    members_accuracy: float | int | None = None
    """The same on samples that it was trained on: what training printed at its end."""
    overlap: Literal["refuse", "drop"] = "refuse"
    """What to do about samples that are members and non-members at once."""
    confounded: Literal["refuse", "report"] | None = None
    """What to do where members can be told from non-members by themselves; by default texts alone are refused."""
    name: Name | None = None
    """What the model is called in the report."""
    base: str | None = None
    """Of an adapter whose base stays quantized (QLoRA): the quantizer that the base runs through, such as
    `bitsandbytes.linear4bit`, or the folder or file of the quantized base."""
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
            raise hinted(f"two versions are called {twice[0]!r}", "name each version differently")
        return self


class Secrets(Section):
    """Say which secrets a language model is asked for: what stands before each, and what must not follow."""

    file: str | None = None
    """A .jsonl or .csv file: prefix and secret of each, with alternatives or a pattern of these, and a name."""
    entities: str | None = None
    """A .toml file of patterns by kind, such as names and numbers: what they find in members is asked for."""
    at_most: Annotated[int, Field(ge=1, le=10_000)] = AT_MOST
    """How many entities of each kind are drawn."""
    alternatives: Annotated[int, Field(ge=3, le=100_000)] = DRAWN
    """How many alternatives a secret with a pattern, or an entity, is ranked among; each is read once for every
    version."""

    @model_validator(mode="after")
    def _some(self) -> "Secrets":
        if self.file is None and self.entities is None:
            raise ValueError(
                'name secrets in file = "secrets.jsonl", or patterns of them in entities = "patterns.toml"'
            )
        return self


class Release(Section):
    """Say which versions are published together, so that what they give away jointly is measured, and to whom."""

    sets: list[list[str]] | None = None
    """The names of the versions of each release set; by default all that are audited are one, and `[]` is none."""
    recipients: Name | None = None
    """Who gets the weights, such as "anybody: the weights are published"; documents repeat it as declared."""
    terms: Name | None = None
    """Under which terms they get them, such as the name of a licence; documents repeat it as declared."""

    def declared(self) -> dict[str, str] | None:
        """Return what was declared of recipients and terms."""
        return self.model_dump(include={"recipients", "terms"}, exclude_none=True) or None


class Auditor(Section):
    """Say who audits. Nothing is made of it: documents repeat it as declared."""

    name: Name
    """Who audits, a person or a team."""
    organisation: Name | None = None
    """The organisation they belong to."""
    relation: Name | None = None
    """How they stand to whoever made the model, such as "the team that trained it" or "an outside auditor"."""
    repeat_after_days: Annotated[int, Field(ge=1)] | None = None
    """After how many days the audit is made again, at the latest."""

    def declared(self) -> dict[str, str]:
        """Return what was declared, as words."""
        return {key: str(value) for key, value in self.model_dump(exclude_none=True).items()}


def declared(auditor: Auditor | None, release: Release) -> Declared:
    """Return what a file declares of who audits and who gets the weights."""
    return Declared(None if auditor is None else auditor.declared(), release.declared())


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
    secrets: Secrets | None = None
    """What a causal-lm must not give away."""
    release: Release = Release()
    """What is published together, and to whom."""
    auditor: Auditor | None = None
    """Who audits."""
    audit: AuditOptions = AuditOptions()
    """What to measure."""
    search: SearchOptions = SearchOptions()
    """What `quantmis search` may vary, and what its result must keep to."""

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
    def _released(self) -> "AuditFile":
        if self.audit.release is not None:
            raise ValueError("audit.release: it has a section of its own: [release] with sets = [[...]]")
        return self

    @model_validator(mode="after")
    def _texts(self) -> "AuditFile":
        if self.kind is not None and self.data.texts is None:
            raise ValueError('a causal-lm reads texts: data.texts = ["train.txt", "test.txt"]')
        return self

    @model_validator(mode="after")
    def _secret(self) -> "AuditFile":
        if self.secrets is not None and (self.kind is None or self.target is None):
            raise ValueError('secrets are asked of a language model that is there: kind = "causal-lm" and [target]')
        return self


def read(path: Path) -> AuditFile:
    """Read and check an audit file; `UserError` names the key and the nearest known one."""
    return parsed(content_at(path), path)


def parsed(content: bytes, path: Path) -> AuditFile:
    """Return the audit file that `content` is; `path` names it in errors."""
    return validated(keys_of(content, path), AuditFile, path)


def require_recipe(file: AuditFile, options: AuditOptions) -> None:
    """Raise `UserError` where models would be trained by a recipe that nobody wrote down."""
    trains = options.shadows or options.replicates or options.depth in ("indicator", "shadow")
    needed = trains or file.target is None
    require(
        file.training is not None or not needed,
        "models are to be trained, and nothing says how: there is no section [training]",
        hint="write [training] with the fields of your recipe, such as epochs = 40 (empty: quantmis's own), or "
        'audit a trained model as it is: [target], without shadows and with depth = "as-is"',
    )
