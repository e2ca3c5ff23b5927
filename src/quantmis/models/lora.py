"""LoRA (Hu, Shen, Wallis et al. 2022, arXiv 2106.09685): fine-tuning of low-rank differences, by the peft library.

The adapters are put into a fresh language model before it is trained and merged into its weights after: what is
quantized and attacked is the merged model, as it is shipped.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from quantmis.errors import UserError, require

ADAPTER = "adapter_config.json"


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


@torch.no_grad()
def merged(model: nn.Module) -> nn.Module:
    """Add what adapters learnt to the weights of their layers and take the adapters out, in place."""
    from peft.tuners.lora import LoraLayer

    adapters = {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}
    for name, part in adapters.items():
        part.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, part.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model.requires_grad_(True)


def with_adapter(model: nn.Module, folder: Path) -> nn.Module:
    """Return the base model with the adapter that `folder` holds, as peft saves one, merged into it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will be called otherwise some day
            return merged(_peft().PeftModel.from_pretrained(model, str(folder)).get_base_model())
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "it must be an adapter of the model of the audit, saved by peft as safetensors"
        raise UserError(f"cannot read the adapter in {folder}: {first}", hint=hint) from error


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
