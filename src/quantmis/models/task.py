"""What is audited: a model, the loss it was trained with, and the recipe that trains it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantmis.data.samples import Samples
from quantmis.data.secrets import DRAWN, Secret, read_secrets
from quantmis.data.several import Layout
from quantmis.data.texts import AT_MOST, Texts, read_texts
from quantmis.errors import UserError, require
from quantmis.models import lora
from quantmis.models.calling import users_errors
from quantmis.models.causal_lm import CausalLM
from quantmis.models.certificate import Certificate
from quantmis.models.fresh import a_kind, require_fresh_module
from quantmis.models.hugging_face import CAUSAL_LM, HuggingFace
from quantmis.models.losses import CrossEntropy, Loss, as_loss
from quantmis.models.outputs import Outputs
from quantmis.models.placement import Placement
from quantmis.models.recipe import Recipe, place_of
from quantmis.models.secrets import Secrets
from quantmis.models.several import taking
from quantmis.models.text_forms import MoreForms
from quantmis.models.texts import samples_of, tokenizer_at
from quantmis.models.tokenizers import Tokens

Train = Callable[[nn.Module, Samples, torch.Generator], nn.Module]


@dataclass(frozen=True)
class Task:
    """Say what is audited: `model` makes a fresh, randomly initialised module; it is called once per shadow model.

    `model` is a `torch.nn.Module` class or any function without arguments that returns a module. `loss` is a loss or
    its name: "cross_entropy", "binary_cross_entropy", "mse", "multi_label". `recipe`: a `Recipe`, or your own function
    `train(model, samples, generator) -> model`, which gets a fresh model, the samples that it is to be trained on, and
    a seeded generator. `has_recipe` says whether a recipe was given at all. `outputs`: what a classifier returns,
    "logits" or "probabilities", by default what its loss says. `samples_at_once`: how many samples go through a model
    at once where nothing is learnt; 1 for a model that predicts something else for a sample among others.
    `certificate`: what the training function guarantees (`quantmis.models.certificate`).

    >>> Task(model=lambda: nn.Linear(64, 10), recipe=Recipe(epochs=5)).loss.name
    'cross_entropy'
    """

    model: Callable[[], nn.Module]
    loss: Loss = field(default_factory=CrossEntropy)
    recipe: Recipe | Train = field(default_factory=Recipe)
    name: str = ""
    has_recipe: bool = True
    samples_at_once: int | None = None
    certificate: Certificate | None = None
    placement: Placement = field(default_factory=Placement)
    layout: Layout | None = field(init=False, default=None)
    """How samples of several inputs are divided, which an audit takes from the samples."""

    def __init__(
        self,
        model: Callable[[], nn.Module],
        loss: str | Loss = "cross_entropy",
        recipe: Recipe | Train | None = None,
        name: str | None = None,
        outputs: Outputs | None = None,
        samples_at_once: int | None = None,
        certificate: Certificate | None = None,
    ):
        if isinstance(model, nn.Module) or not callable(model):  # pyright: ignore[reportUnnecessaryComparison]
            hint = (
                "pass the class, or a function that builds a new one each time: def make(): return MyModel(...); "
                "a trained model belongs into qm.Target(model, members, non_members)"
            )
            raise UserError(f"model: expected a class or function that makes a model, got {a_kind(model)}", hint=hint)
        known = recipe is None or isinstance(recipe, Recipe) or callable(recipe)
        hint = "qm.Recipe(epochs=30), or a function train(model, samples, generator) that returns the trained model"
        require(known, f"recipe: expected a Recipe or a function, got {a_kind(recipe)}", hint=hint)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "loss", as_loss(loss, outputs))
        object.__setattr__(self, "recipe", recipe or Recipe())
        object.__setattr__(self, "has_recipe", recipe is not None)
        object.__setattr__(self, "name", name or getattr(model, "__name__", type(model).__name__))
        object.__setattr__(self, "samples_at_once", samples_at_once)
        object.__setattr__(self, "placement", Placement())
        object.__setattr__(self, "certificate", certificate)
        require(
            certificate is None or not isinstance(recipe, Recipe),
            "certificate: a guarantee is declared of a function that trains; that of a Recipe is counted",
            hint="Recipe(dp=DP(epsilon=8, delta=1e-5)), or recipe=train, a function of your own",
        )
        many = samples_at_once is None or samples_at_once >= 1
        require(many, f"samples_at_once: expected at least 1, got {samples_at_once}")
        smoothing = isinstance(self.recipe, Recipe) and self.recipe.label_smoothing > 0
        require(
            not smoothing or isinstance(self.loss, CrossEntropy),
            f"label_smoothing is defined for cross_entropy, not for {self.loss.name}",
        )
        require(
            self._rank is None or isinstance(self.loss, CausalLM),
            "lora_rank is for causal language models",
            hint="make the task with qm.Task.causal_lm, or train in a function of your own",
        )

    @classmethod
    def causal_lm(
        cls,
        folder: str | Path | None = None,
        *,
        hub: str | None = None,
        config: Mapping[str, Any] | None = None,
        pretrained: bool | None = None,
        recipe: Recipe | Train | None = None,
        name: str | None = None,
    ) -> "Task":
        """Return the task of a causal language model of transformers, whose samples are texts.

        `folder` holds the model that is fine-tuned, with its tokenizer, as `save_pretrained` writes them; or `hub` is
        the id of one. `config` changes its configuration. `pretrained`: whether models start from the weights there, by
        default where there are some. Raises `UserError` as `HuggingFace` does.
        """
        home = None if folder is None else Path(folder)
        make = HuggingFace(CAUSAL_LM, home, hub, config or {}, pretrained)
        return cls(make, "causal_lm", recipe, name or (make.source if home is None else home.name))

    def samples(
        self,
        texts: "Texts | str | Path | Sequence[str | Path]",
        *,
        by: str = "line",
        column: str | None = None,
        at_most: int = AT_MOST,
        longest: int | None = None,
        distinct: bool = True,
        seed: int = 0,
        reference: bool = True,
        groups: str | None = None,
        loss_on: str | None = None,
        tokenizer: str | Path | None = None,
        prefix: "Texts | None" = None,
        member_prefix: "Texts | None" = None,
        corpus: "Texts | None" = None,
        neighbours: int = 0,
    ) -> Samples:
        """Return texts as the samples of a causal language model: paths of files, or `Texts.of` a list of strings.

        `by`, `column`, `groups`, `at_most`, `distinct` and `seed`: see `quantmis.data.texts.read_texts`. `longest`: how
        many tokens of a text are read, by default 2,048 or as many as the model reads at once. `loss_on`: which tokens
        of chats, instructions and the like are scored, "completion" or "all" (`quantmis.data.examples`). `tokenizer`:
        the folder of the one that training used, by default that of the model. `prefix`, `member_prefix`,
        `corpus` and `neighbours`: what the attacks recall, con_recall, dc_pdd and neighbourhood need
        (`quantmis.models.text_forms.MoreForms`). `reference`: whether the model before fine-tuning, where it has
        weights to start from, is what the difference to a reference is taken from, and neighbours are drawn from.
        """
        maker = self._language_model("samples of texts")
        paths = [texts] if isinstance(texts, str | Path) else texts
        read_with = tokenizer_at(tokenizer or maker.place)
        if not isinstance(paths, Texts):
            end = lambda: Tokens(read_with).end_token  # noqa: E731
            paths = read_texts(paths, by, column, at_most, seed, distinct, "texts", groups, end=end)
        has_base = reference and maker.starts_from_weights
        model = self.build(0) if has_base else self.empty()
        base = model if has_base else None
        more = MoreForms(prefix, member_prefix, corpus, neighbours)
        return samples_of(paths, read_with, model, base, longest, loss_on, more)

    def secrets(
        self,
        file: "str | Path | Sequence[Secret]",
        *,
        alternatives: int = DRAWN,
        tokenizer: str | Path | None = None,
    ) -> Secrets:
        """Return the secrets of a file for `qm.Target(secrets=)`: see `quantmis.data.secrets`.

        Or such as `quantmis.data.entities.entity_secrets` finds. `alternatives`: how many are drawn of a secret with a
        pattern. `tokenizer`: as of `samples`.
        """
        maker = self._language_model("secrets")
        read = read_secrets(Path(file), "secrets.file", alternatives) if isinstance(file, str | Path) else tuple(file)
        return Secrets.of(read, tokenizer_at(tokenizer or maker.place))

    def _language_model(self, what: str) -> HuggingFace:
        is_language = isinstance(self.model, HuggingFace) and isinstance(self.loss, CausalLM)
        message = f"{what} need a causal language model"
        require(is_language, message, hint="make the task with qm.Task.causal_lm")
        assert isinstance(self.model, HuggingFace)  # noqa: S101 for the type checker
        return self.model

    def build(self, seed: int) -> nn.Module:
        """Return a fresh module whose initial weights depend on `seed` alone; `UserError` for one returned before."""
        with torch.random.fork_rng(devices=[]), users_errors("the function that makes a model failed"):
            torch.manual_seed(seed)
            module = self.model()
        module = self._formatted(module)
        require_fresh_module(module)
        return taking(module, self.layout)

    def empty(self) -> nn.Module:
        """Return a module to be filled, all of it: of transformers one without weights, else a fresh one."""
        return self.model.empty() if isinstance(self.model, HuggingFace) else self.build(0)

    def of_inputs(self, layout: Layout | None) -> "Task":
        """Return the task of models that take several inputs; `UserError` where they are of transformers."""
        hint = "write a module that calls it: forward(self, input_ids, attention_mask)"
        own = layout is None or not isinstance(self.model, HuggingFace)
        require(own, "a model of transformers takes one array of tokens here, not several inputs", hint=hint)
        other = copy.copy(self)
        object.__setattr__(other, "layout", layout)
        return other

    def _formatted(self, module: Any) -> Any:
        kind = self.placement.format
        return module.to(kind) if kind is not None and isinstance(module, nn.Module) else module

    @property
    def place(self) -> torch.device:
        """The device that models are trained on, and language models are quantized and scored on."""
        return self.placement.place

    def on(self, device: str = "auto", dtype: str | None = None) -> "Task":
        """Return the task on a device and in a number format: see `quantmis.models.placement.Placement`."""
        other = copy.copy(self)
        object.__setattr__(other, "placement", Placement(device, dtype))
        return other

    def with_recipe(self, recipe: Recipe | Train) -> "Task":
        """Return the task with another recipe."""
        other = copy.copy(self)
        object.__setattr__(other, "recipe", recipe)
        return other

    def trainable_module(self, seed: int) -> nn.Module:
        """Return what is trained: a fresh module, with adapters where the recipe asks for them."""
        return self._with_adapters(self.build(seed), seed)

    def trainable_modules(self, seeds: Sequence[int], beside: nn.Module | None = None) -> list[nn.Module]:
        """Return what is trained, one for each of `seeds`; where they learn adapters of weights that are there, of one.

        `beside`: one that was trained, on whose base they are put.
        """
        if not self.shares_base or not seeds:
            return [self.trainable_module(seed) for seed in seeds]
        base = self.build(seeds[0]) if beside is None else lora.without_adapters(beside)
        if not getattr(base, "is_as_saved", False):  # what its files lack is drawn anew by each seed
            return [self.trainable_module(seed) for seed in seeds]
        return [self._with_adapters(lora.sharing(base, base.parameters()), seed) for seed in seeds]

    def _with_adapters(self, module: nn.Module, seed: int) -> nn.Module:
        if self._rank is None or not isinstance(self.recipe, Recipe):
            return module
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return lora.adapted(module, self._rank, self.recipe.lora_alpha or 2.0 * self._rank)

    def merge_adapters(self, module: nn.Module) -> nn.Module:
        """Return what was trained as it is shipped: adapters become part of the weights, in a copy."""
        return module if self._rank is None else lora.merged(copy.deepcopy(module))

    def copied(self, module: nn.Module) -> nn.Module:
        """Return a copy of a model in training, as it is now; what does not learn in adapted models is not copied."""
        frozen = [each for each in module.parameters() if not each.requires_grad] if self.has_adapters else []
        return lora.sharing(module, frozen)

    @property
    def is_certified(self) -> bool:
        """Whether the training guarantees differential privacy, by its recipe or as it is declared."""
        return self.certificate is not None or (isinstance(self.recipe, Recipe) and self.recipe.dp is not None)

    @property
    def has_adapters(self) -> bool:
        """Whether low-rank adapters are what is trained."""
        return self._rank is not None

    @property
    def is_language(self) -> bool:
        """Whether it is of a causal language model of transformers, of which there is one copy in memory."""
        return isinstance(self.model, HuggingFace) and isinstance(self.loss, CausalLM)

    @property
    def shares_base(self) -> bool:
        """Whether models differ by adapters alone, of weights that all start from."""
        return self.has_adapters and isinstance(self.model, HuggingFace) and self.model.starts_from_weights

    @property
    def _rank(self) -> int | None:
        return self.recipe.lora_rank if isinstance(self.recipe, Recipe) else None

    def objective(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what training minimises: the mean loss, smoothed where the recipe says so."""
        if isinstance(self.recipe, Recipe) and self.recipe.label_smoothing > 0:
            logits = self.loss.logits(outputs)
            return functional.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        return self.loss.objective(outputs, y)

    def steps(self, samples: int) -> int:
        """Return the optimiser steps of one training; a function of the user's counts as one."""
        return self.recipe.steps(samples) if isinstance(self.recipe, Recipe) else 1

    def describe_recipe(self) -> dict[str, str | float | int | bool]:
        """Return the recipe as results.json holds it."""
        if isinstance(self.recipe, Recipe):
            return self.recipe.as_dict()
        return {"function": place_of(self.recipe)}


def inputs(samples: Samples) -> Tensor:
    """Return the inputs as a tensor; those that another process holds for reading only are copied."""
    return torch.from_numpy(np.require(samples.x, requirements="W"))
