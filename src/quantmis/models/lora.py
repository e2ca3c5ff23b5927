"""LoRA (Hu, Shen, Wallis et al. 2022, arXiv 2106.09685): fine-tuning of low-rank differences, by the peft library.

The adapters are put into a fresh language model before it is trained and merged into its weights after: what is
quantized and attacked is the merged model, as it is shipped.
"""

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.model_folders import ADAPTER, ADAPTER_WEIGHTS
from quantmis.tensor_files import LARGEST_JSON, digest_of, strict_json

EMBEDDINGS = ("input", "output")
UNMERGED = "an adapter of this kind is no part of the weights, and cannot be merged into them"


def adapted(model: nn.Module, rank: int, alpha: float) -> nn.Module:
    """Put adapters of `rank` beside every linear layer of a language model but its output layer; only they learn.

    Their random weights are drawn from torch's global stream. `alpha` / `rank` scales what they add.
    """
    output = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    names = [name for name, part in model.named_modules() if _is_linear(part) and part is not output]
    require(names, "lora_rank: the model has no linear layers to adapt")
    config = _peft().LoraConfig(r=rank, lora_alpha=alpha, target_modules=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it turns the weights of GPT-2's layers round
        return _peft().inject_adapter_in_model(config, model)


def sharing(model: nn.Module, shared: Iterable[nn.Parameter]) -> nn.Module:
    """Return a copy of a model of which the parameters in `shared` are those of the model itself."""
    return copy.deepcopy(model, {id(each): each for each in shared})


def without_adapters(model: nn.Module) -> nn.Module:
    """Return the model that adapters were put on, with the very weights that it has under them."""
    return _taken_out(sharing(model, model.parameters()), merges=False)


@torch.no_grad()
def merged(model: nn.Module) -> nn.Module:
    """Add what adapters learnt to the weights of their layers and take the adapters out, in place."""
    return _taken_out(model, merges=True).requires_grad_(True)


def _taken_out(model: nn.Module, merges: bool) -> nn.Module:
    from peft.tuners.lora import LoraLayer

    adapters = {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}
    for name, part in adapters.items():
        if merges:
            part.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, part.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model


def with_adapter(model: nn.Module, folder: Path, *bases: Path | None) -> nn.Module:
    """Return the base model with the adapter that `folder` holds, as peft saves one, merged into it.

    Whatever peft merges is taken: LoRA, rsLoRA, DoRA and others, with modules that were trained whole
    (`modules_to_save`) and embeddings of another size, to which those of the model are brought first. `bases`: the
    folders that the model may come from. Raises `UserError` for what cannot be merged, and for an adapter of another
    model: one whose own base is at hand and other, that has shapes of other layers, or of which a part finds no place.
    """
    saved = load_file(folder / ADAPTER_WEIGHTS)
    _require_base(folder, [each for each in bases if each is not None and _holds_weights(each)])
    _resize(model, saved)
    hint = "it must be an adapter of the model of the audit, saved by peft as safetensors"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will be called otherwise some day
            adapted = _peft().PeftModel.from_pretrained(model, str(folder))
            _require_placed(adapted, saved, folder)
            require(hasattr(adapted.base_model, "merge_and_unload"), f"{folder}: {UNMERGED}", hint=hint)
            return adapted.merge_and_unload(safe_merge=True).requires_grad_(True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot read the adapter in {folder}: {first}", hint=hint) from error


def _require_base(folder: Path, bases: Sequence[Path]) -> None:
    """Raise `UserError` where the adapter names the folder of its base, and that one holds other weights."""
    words = strict_json(content_of(folder / ADAPTER, most=LARGEST_JSON), str(folder / ADAPTER))
    named = str(words.get("base_model_name_or_path") or "")
    other = next((place for place in (Path(named), folder.parent / named) if named and _holds_weights(place)), None)
    if not bases or other is None or other.resolve() in [base.resolve() for base in bases]:
        return
    require(
        _weights_of(other) in [_weights_of(base) for base in bases],
        f"{folder} is an adapter of the model in {other}, and that is not the one in {bases[0]}",
        hint=f'[model] folder = "{other}", or the adapter that was trained on {bases[0].name}',
    )


def _holds_weights(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.safetensors"))


def _weights_of(folder: Path) -> list[str]:
    return [digest_of(file) for file in sorted(folder.glob("*.safetensors"))]


def _resize(model: Any, saved: Mapping[str, torch.Tensor]) -> None:
    """Bring the embeddings of a model to as many tokens as those that an adapter brings with it.

    Raises `UserError` where it brings those of the input alone, and those of the output are others: peft leaves them
    out of what it saves, and what they were for the new tokens nobody knows.
    """
    size = len(model.get_input_embeddings().weight)
    brought = _brought(model, saved)
    if set(brought.values()) <= {size}:
        return
    sizes, words = sorted(set(brought.values())), " and ".join(brought)
    tied = model.get_output_embeddings() is None or model.config.get_text_config().tie_word_embeddings
    require(
        len(sizes) == 1 and (tied or len(brought) == len(EMBEDDINGS)),
        f"the adapter brings embeddings of {' and '.join(map(str, sizes))} tokens for {words} alone, not {size}",
        hint="save the base as it was resized, model.save_pretrained(folder), and name that as [model] folder",
    )
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(sizes[0], mean_resizing=False)


def _brought(model: Any, saved: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Return of how many tokens the embeddings are that an adapter brings whole, by what they are for."""
    brought = dict[str, int]()
    for what in EMBEDDINGS:
        layer = getattr(model, f"get_{what}_embeddings")()
        names = [name for name, part in model.named_modules() if part is layer]
        ends = tuple(f"{name}.{end}" for name in names for end in ("weight", "base_layer.weight"))
        lengths = [len(tensor) for key, tensor in saved.items() if ends and key.endswith(ends)]
        brought |= {what: max(lengths)} if lengths else {}
    return brought


def _require_placed(adapted: Any, saved: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Raise `UserError` unless every tensor of an adapter is now a part of the model, and no part was left out."""
    own, trained = (_peft().get_peft_model_state_dict(adapted, save_embedding_layers=each) for each in (True, False))
    lost = [name for name in saved if name not in own]
    missing = [name for name in trained if name not in saved]
    changed = [name for name in saved if name in own and not torch.equal(saved[name].to(own[name]), own[name].cpu())]
    names = [*lost, *missing, *changed]
    require(
        not names,
        f"{folder} is an adapter of another model: {len(names)} of its parts find no place, such as {names[:1]}",
        hint="name the model that it was trained on as [model] folder or hub",
    )


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def _peft() -> Any:
    from quantmis.models.hugging_face import quiet

    try:
        with quiet():
            import peft
    except ImportError as error:
        raise UserError("LoRA needs peft", hint="pip install 'quantmis[hf]'") from error
    return peft
