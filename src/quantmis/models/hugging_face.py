"""Models of the transformers library, as plain modules: from inputs alone to logits alone.

A model stays what it is: its class, the names of its weights, its `save_pretrained`. Hooks are put on it: see
`quantmis.models.classifiers` and `quantmis.models.language`. Weights are read from safetensors alone, and no code of a
model's own is ever run.
"""

import copy
import logging as logs
import warnings
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.model_folders import ADAPTER
from quantmis.models import classifiers, gguf_alone, language, lora
from quantmis.models.classifiers import in_the_open
from quantmis.models.hub import reachable
from quantmis.registry import suggestion

CAUSAL_LM = "causal-lm"
HEADS = {
    CAUSAL_LM: "AutoModelForCausalLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}
CONFIG, WEIGHTS = "config.json", "*.safetensors"
READS_SAMPLES = ("tokens_at_once", "lacks_padding_token")  # what models have that were made to read samples
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl")
SAFELY = {"ignore_mismatched_sizes": True, "output_loading_info": True}
WHOLE = "a trained model has all its weights, its head too: model.save_pretrained(folder)"
SHOWN = 3
NOISY = ("huggingface_hub", "torchao", "torch.utils._pytree", "bitsandbytes")
"""Loggers of libraries that write about themselves where they are only imported."""

INSTALL = "pip install 'quantmis[hf]'"


@dataclass(frozen=True)
class HuggingFace:
    """Make models of transformers with a given head; one call, one model.

    `folder` holds a model as `save_pretrained` writes it, or is a file in GGUF, which says how its model is made; `hub`
    is the id of one on the hub, or in the local cache of it. `config` changes its configuration or, where there is
    neither, is all of it and names its `model_type`. `pretrained`: whether models start from the weights of the folder
    or hub, all but a head of another size; by default where there are some, and never from GGUF. Raises `UserError` for
    what is missing, misspelled or a pickle.
    """

    head: str
    folder: Path | None = None
    hub: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pretrained: bool | None = None

    def __post_init__(self):
        require(
            self.head in HEADS, f"model.transformers: unknown head {self.head!r}", hint=suggestion(self.head, HEADS)
        )
        one = (self.folder is None) + (self.hub is None)
        require(one >= 1, "model: give either folder or hub, not both")
        require(
            one == 1 or "model_type" in self.config,
            "model.transformers: say which model",
            hint='folder = "my-model", hub = "organisation/name", or config = { model_type = "bert", ... }',
        )
        require(one == 1 or not self.pretrained, "model.pretrained: a configuration alone has no weights to start from")
        if self.folder is not None:
            _require_model(self.folder, self.pretrained)

    @property
    def source(self) -> str:
        """Where the model comes from, in a word."""
        return str(self.config.get("model_type")) if self.hub is None and self.folder is None else self.place

    def __call__(self) -> nn.Module:
        """Return a fresh model, whose new weights depend on torch's global stream alone."""
        return self._new_model()

    def whole(self) -> nn.Module:
        """Return the model with its weights, in their own number format.

        Raises `UserError` where one of them is missing or of another shape.
        """
        return self._new_model(whole=True)

    def empty(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return a model to be filled, of which no weight was drawn: memory for them is taken when they are written."""
        with quiet(), _explained(self.source), _drawing_nothing():
            model = self._kind.from_config(self._config(), trust_remote_code=False, dtype=dtype)
            model.tie_weights()  # part of drawing them, which was left out
            return self._plain(model)

    def reading(self, model: nn.Module) -> nn.Module:
        """Let a model that somebody loaded from transformers read samples as those that are made here do."""
        is_ours = any(hasattr(model, name) for name in READS_SAMPLES)
        return model if is_ours or not hasattr(model, "config") else self._plain(model)

    @property
    def _kind(self) -> Any:
        return getattr(library(), HEADS[self.head])

    def _plain(self, model: Any) -> nn.Module:
        return language.plain(in_the_open(model)) if self.head == CAUSAL_LM else classifiers.plain(model)

    def _new_model(self, whole: bool = False) -> nn.Module:
        with quiet(), _explained(self.source):
            kind, config = self._kind, self._config()
            if self.starts_from_weights:
                options = {**SAFELY, "use_safetensors": True, "trust_remote_code": False, **self._where}
                model, info = kind.from_pretrained(self.place, config=config, **options)
                problems = _problems(info) if whole else []
                require(not problems, f"{self.place} does not hold the whole model: {_few(problems)}", hint=WHOLE)
                model.is_as_saved = not _problems(info)
            else:
                model = kind.from_config(config, trust_remote_code=False)
        return self._plain(model if whole else model.float())

    @property
    def place(self) -> str:
        """The folder or the hub id."""
        return str(self.hub if self.folder is None else self.folder)

    @property
    def starts_from_weights(self) -> bool:
        """Whether fresh models start from weights that somebody trained."""
        there = self.hub is not None or (self.folder is not None and any(self.folder.glob(WEIGHTS)))
        return there if self.pretrained is None else self.pretrained

    @property
    def _where(self) -> dict[str, bool]:
        """Whether to look in the local cache alone: asking a hub that is not there for long helps nobody."""
        return {"local_files_only": self.hub is None or not reachable()}

    def _config(self) -> Any:
        options = {name: value for name, value in self.config.items() if name != "model_type"}
        auto = library().AutoConfig
        if self.hub is None and self.folder is None:
            kinds: Any = library().CONFIG_MAPPING
            kind = str(self.config["model_type"])
            require(kind in kinds, f"model.config: unknown model_type {kind!r}", hint=_nearest(kind, kinds))
            _require_known(options, kinds[kind]())
            return auto.for_model(kind, **options)
        place, words = gguf_alone.words_for(self.place)
        safely = {"trust_remote_code": False, **self._where, **words}
        with gguf_alone.explained(self.place):
            _require_known(options, auto.from_pretrained(place, **safely))
            return auto.from_pretrained(place, **safely, **options)


def trained_in(make: object, folder: Path, base: nn.Module | None = None, base_folder: Path | None = None) -> nn.Module:
    """Return the trained model in `folder`: as `save_pretrained` wrote it, or an adapter of what `make` makes.

    `base`: what an adapter is put on instead, and `base_folder` where that comes from.
    """
    require(
        isinstance(make, HuggingFace),
        f"{folder} is a folder, and holds weights only where the model is one of transformers",
        hint="name the file: model.safetensors",
    )
    assert isinstance(make, HuggingFace)  # noqa: S101 for the type checker
    if (folder / ADAPTER).is_file():
        return lora.with_adapter(make() if base is None else base, folder, make.folder, base_folder)
    return HuggingFace(make.head, folder, pretrained=True).whole()


def renamed(model: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return tensors under the names that `model` has for them.

    The library saves models of transformers under other names than their modules have, and a weight that is another
    one's not at all; so it is asked to read them. Tensors of other models come back as they are.
    """
    kind: Any = type(model)
    if not hasattr(model, "save_pretrained") or set(model.state_dict()) <= set(tensors):
        return tensors
    config = copy.deepcopy(model.config)
    with quiet(), _explained(kind.__name__):
        loaded, info = kind.from_pretrained(None, config=config, state_dict=dict(tensors), **SAFELY)
    lost = {*info["missing_keys"], *(each[0] for each in info["mismatched_keys"])}
    state = {name: value for name, value in loaded.state_dict().items() if name not in lost}
    strangers = {name: tensors[name] for name in (*info["unexpected_keys"], *lost) if name in tensors}
    return {**state, **strangers}


def _problems(info: Mapping[str, Any]) -> list[str]:
    return [
        *(f"{name} is missing" for name in sorted(info["missing_keys"])),
        *(f"{name} is {list(shape)} and should be {list(own)}" for name, shape, own in info["mismatched_keys"]),
    ]


def _few(problems: list[str]) -> str:
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more


def library() -> Any:
    """Return the transformers library; `UserError` where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise UserError("this model needs transformers", hint=INSTALL) from error
    return transformers


def _drawing_nothing() -> AbstractContextManager[None]:
    library()
    from transformers.initialization import no_init_weights

    return no_init_weights()


@contextmanager
def silent(*names: str) -> Generator[None]:
    """Keep the loggers of these names from writing while this lasts."""
    levels = {name: logs.getLogger(name).level for name in names}
    for name in names:
        logs.getLogger(name).setLevel(logs.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logs.getLogger(name).setLevel(level)


@contextmanager
def quiet() -> Generator[None]:
    """Keep the library from writing about weights that are meant to be new, and others from writing of themselves.

    The first model of transformers imports what else is installed, such as torchao, which nobody may have asked for.
    """
    with silent(*NOISY):
        logging = library().utils.logging
        yield from _quietly(logging)


def _quietly(logging: Any) -> Generator[None]:
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _require_model(folder: Path, pretrained: bool | None) -> None:
    if folder.is_file():
        gguf_alone.require_alone(folder, pretrained)
        return
    require(
        (folder / CONFIG).is_file(),
        f"model.folder: {folder} holds no {CONFIG}",
        hint="name a folder that model.save_pretrained(folder) wrote",
    )
    if any(folder.glob(WEIGHTS)):
        return
    pickles = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    require(
        not pickles or pretrained is False,
        f"model.folder: the weights in {', '.join(pickles[:1])} may be a pickle, which can run code: it was not opened",
        hint="save them as safetensors: model.save_pretrained(folder, safe_serialization=True)",
    )
    require(not pretrained, f"model.pretrained: {folder} holds no weights in safetensors", hint="leave pretrained out")


def _require_known(options: Mapping[str, Any], config: Any) -> None:
    """Raise `UserError` for a word that the configuration does not have: the library would take it and forget it."""
    names = {*config.to_dict(), *config.attribute_map, "num_labels"}
    for name in options:
        require(name in names, f"model.config: {config.model_type} has no {name!r}", hint=suggestion(name, names))


def _nearest(kind: str, kinds: Any) -> str:
    return suggestion(kind, kinds).partition("known: ")[0].strip() or "model_type is the one of its config.json"


@contextmanager
def _explained(source: str) -> Generator[None]:
    """Turn what transformers says of a model that it cannot make into an error of the user's."""
    try:
        yield
    except OSError as error:
        first = str(error).splitlines()[0]
        hint = f'where there is network: hf download {source} --local-dir my-model; then folder = "my-model"'
        raise UserError(f"cannot get the model {source}: {first}", hint=hint) from error
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise UserError(f"cannot make the model {source}: {type(error).__name__}: {first}") from error
