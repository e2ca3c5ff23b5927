"""Where the models of an audit file come from: the keys of its section `[model]`.

function = "module:Name"                     # a torch.nn.Module class, or a function that returns one
transformers = "sequence-classification"     # a model of that library: folder = "my-model", hub = "id", or config = {}
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from quantmis.data.paths import inside
from quantmis.models.hugging_face import HEADS, HuggingFace
from quantmis.models.outputs import OUTPUTS


class Model(BaseModel):
    """Say what makes a fresh model, and the loss it is trained with.

    `function`, with its `arguments` by name: a class or function of the user's own or of any library, as
    `torchvision.models:resnet18` with `arguments = { num_classes = 10 }`. `transformers`: the head of a model of that
    library, whose `folder`, `hub` id or `config` say which one; `pretrained`: whether it starts from the weights there.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        json_schema_extra={"not": {"required": ["function", "transformers"]}},
    )

    function: str | None = None
    """`module:Name`, a torch.nn.Module class or a function that returns one."""
    arguments: dict[str, Any] = {}
    """What the class or function is given by name."""
    transformers: Annotated[str | None, Field(json_schema_extra={"enum": [*HEADS]})] = None
    """The head of a model of that library."""
    folder: str | None = None
    """A model as save_pretrained writes it; or, of a causal-lm, a .gguf file, which says by itself how it is made."""
    hub: str | None = None
    """The id of a model on the hub, or in the local cache of it."""
    config: dict[str, Any] = {}
    """Changes to the configuration, or all of it, with its model_type."""
    pretrained: bool | None = None
    """Whether models start from the weights of the folder or hub; by default where there are some."""
    loss: str = "cross_entropy"
    """What the model is trained with: quantmis list losses."""
    outputs: Annotated[str | None, Field(json_schema_extra={"enum": [*OUTPUTS]})] = None
    """What a classifier returns: logits, or probabilities; logits."""
    samples_at_once: int | None = None
    """Samples that go through a model at once where nothing is learnt; 1 where its predictions depend on company."""
    name: str | None = None
    """What the model is called in the report."""

    @model_validator(mode="after")
    def _one(self) -> "Model":
        if (self.function is None) == (self.transformers is None):
            raise ValueError('give either function = "module:Name" or transformers = "sequence-classification"')
        own = {"arguments"} if self.function is None else {"folder", "hub", "config", "pretrained"}
        strangers = sorted(self.model_fields_set & own)
        if strangers:
            kind = "transformers" if self.function is None else "function"
            words = {
                "message": f"{strangers[0]} does not go with {kind}",
                "hint": f"leave out {strangers[0]}, or {kind}",
            }
            raise PydanticCustomError("hinted", "{message}", words)
        return self


def transformer(model: Model, folder: Path) -> HuggingFace:
    """Return what makes the models of transformers that `model` describes; its folder lies in `folder`."""
    home = None if model.folder is None else inside(folder, model.folder, "model.folder")
    return HuggingFace(str(model.transformers), home, model.hub, model.config, model.pretrained)
