"""Where the models of an audit file come from: the keys of its section `[model]`.

function = "module:Name"                     # a torch.nn.Module class, or a function that returns one
transformers = "sequence-classification"     # a model of that library: folder = "my-model", hub = "id", or config = {}
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from quantmis.data.paths import inside
from quantmis.models.hugging_face import HuggingFace


class Model(BaseModel):
    """Say what makes a fresh model, and the loss it is trained with.

    `function`, with its `arguments` by name: a class or function of the user's own or of any library, as
    `torchvision.models:resnet18` with `arguments = { num_classes = 10 }`. `transformers`: the head of a model of that
    library, whose `folder`, `hub` id or `config` say which one; `pretrained`: whether it starts from the weights there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    function: str | None = None
    arguments: dict[str, Any] = {}
    transformers: str | None = None
    folder: str | None = None
    hub: str | None = None
    config: dict[str, Any] = {}
    pretrained: bool | None = None
    loss: str = "cross_entropy"
    name: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "Model":
        if (self.function is None) == (self.transformers is None):
            raise ValueError('give either function = "module:Name" or transformers = "sequence-classification"')
        own = {"arguments"} if self.function is None else {"folder", "hub", "config", "pretrained"}
        strangers = sorted(self.model_fields_set & own)
        if strangers:
            raise ValueError(
                f"{strangers[0]} does not go with {'transformers' if self.function is None else 'function'}"
            )
        return self


def transformer(model: Model, folder: Path) -> HuggingFace:
    """Return what makes the models of transformers that `model` describes; its folder lies in `folder`."""
    home = None if model.folder is None else inside(folder, model.folder, "model.folder")
    return HuggingFace(str(model.transformers), home, model.hub, model.config, model.pretrained)
