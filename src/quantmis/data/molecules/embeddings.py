"""Embeddings of molecules by a pretrained `transformers` model (ChemBERTa, MoLFormer): the masked mean of its tokens.

The network is frozen and never sees a target. Its embeddings are kept on disk under the hash of the model's files and
of the SMILES, so that they are computed once, and never again by mistake for another model or other molecules.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from quantmis.data.molecules.features import FEATURES, Features, require_finite
from quantmis.data.molecules.smiles import Molecules
from quantmis.errors import UserError, require
from quantmis.files import write_atomically

BATCH = 64


@FEATURES.add
@dataclass(frozen=True)
class Transformer(Features):
    """Embed molecules with the `transformers` model in a folder, or with a hub id such as `owner/name`.

    Tokens of the last layer are averaged over each molecule, padding left out. SMILES of more than `length` tokens are
    refused, not cut. `code` lets a model run code of its own, which MoLFormer needs: only for a model that you trust.
    """

    model: str
    length: int = 512
    code: bool = False
    name: ClassVar[str] = "transformer"

    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return the embeddings, [molecules, width of the model], from the disk where they are known."""
        home = self._home(folder)
        path = _cache() / f"{self._key(molecules.smiles, home)}.safetensors"
        embeddings = _from_cache(path)
        if embeddings is None:
            embeddings = embed(molecules.smiles, home, self.length, self.code)
            require_finite(embeddings, molecules, f"transformer: {self.model}")
            path.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(embeddings.tobytes()).hexdigest()
            write_atomically(path, save({"embeddings": embeddings}, metadata={"sha256": digest}))
        return embeddings

    def _home(self, folder: Path) -> Path:
        """Return the folder of the model's files; a hub id is downloaded."""
        _transformers()
        if (folder / self.model).is_dir():
            return folder / self.model
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.model))
        except Exception as error:
            hint = "name a folder that holds config.json, a tokenizer and model.safetensors, or an id of the hub"
            message = f"transformer: {self.model!r} is no folder in {folder.resolve()} and not on the hub: {error}"
            raise UserError(message, hint=hint) from error

    def _key(self, smiles: Sequence[str], home: Path) -> str:
        digest = hashlib.sha256(f"{self.length} {self.code}\n".encode() + "\n".join(smiles).encode())
        for file in sorted(each for each in home.rglob("*") if each.is_file()):
            with file.open("rb") as stream:
                digest.update(f"{file.relative_to(home)} {hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
        return digest.hexdigest()


def embed(
    smiles: Sequence[str], home: Path, length: int = 512, code: bool = False
) -> Float[np.ndarray, "molecules features"]:
    """Return the mean over tokens of the last hidden layer of the model in the folder `home`, float32.

    Raises `UserError` where the folder holds no such model, or a SMILES has more than `length` tokens.
    """
    import torch

    tokenizer, model = _loaded(home, code)
    tokens = [tokenizer(each)["input_ids"] for each in smiles]
    limit = min(length, _positions(model))
    longest = int(np.argmax([len(each) for each in tokens]))
    require(
        len(tokens[longest]) <= limit,
        f"transformer: row {longest} has {len(tokens[longest])} tokens, the model takes {limit}: {smiles[longest]}",
        hint="leave such molecules out, or choose a model for longer ones",
    )
    order = np.argsort([len(each) for each in tokens], kind="stable")  # batches of one length hold little padding
    rows: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            indices = order[start : start + BATCH]
            batch = tokenizer([smiles[index] for index in indices], padding=True, return_tensors="pt")
            hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            rows |= zip(indices.tolist(), ((hidden * mask).sum(1) / mask.sum(1)).float().numpy(), strict=True)
    return np.stack([rows[index] for index in range(len(smiles))])


def _loaded(home: Path, code: bool) -> tuple[Any, Any]:
    transformers = _transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(home, trust_remote_code=code)
        model = transformers.AutoModel.from_pretrained(home, trust_remote_code=code, weights_only=True)
    except Exception as error:
        hint = "it needs config.json, a tokenizer and model.safetensors; a model with code of its own needs code = true"
        raise UserError(f"transformer: cannot load the model in {home}: {error}", hint=hint) from error
    return tokenizer, model.eval()


def _positions(model: Any) -> int:
    """Return how many tokens the model has positions for; RoBERTa's first two are not tokens."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None)
    not_tokens = 2 * (config.model_type in ("roberta", "xlm-roberta", "camembert"))
    return 10**6 if positions is None else positions - not_tokens


def _from_cache(path: Path) -> np.ndarray | None:
    """Return embeddings that were kept, or None where there are none, or not those that were written."""
    try:
        with safe_open(path, framework="numpy") as file:
            embeddings, metadata = file.get_tensor("embeddings"), file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return embeddings if metadata.get("sha256") == hashlib.sha256(embeddings.tobytes()).hexdigest() else None


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "quantmis" / "embeddings"


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError("embeddings need transformers", hint="pip install 'quantmis[hf,molecules]'") from error
    return transformers
