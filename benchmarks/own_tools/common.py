"""What the programs that call a tool share: texts in, the losses of its own forward out. They run where the tool is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np


def texts(folder: Path) -> np.ndarray:
    """Return the tokens of texts, [texts, longest], filled up with -1."""
    with np.load(folder / "texts.npz", allow_pickle=False) as file:
        return file["tokens"]


def losses(tokens: np.ndarray, logits: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the mean loss of each text, in nats a token; `logits` of one text are [tokens, vocabulary]."""
    return np.array([_loss(text, logits(text).astype(np.float64)) for text in (row[row >= 0] for row in tokens)])


def written(folder: Path, tool: str, version: str, found: dict[str, np.ndarray]) -> None:
    """Write the losses by file, and the tool's name and version."""
    np.savez(folder / f"losses.{tool}.npz", version=np.array(version), **found)


def _loss(text: np.ndarray, logits: np.ndarray) -> float:
    most = logits.max(1, keepdims=True)
    log_p = logits - most - np.log(np.exp(logits - most).sum(1, keepdims=True))
    return -float(log_p[np.arange(len(text) - 1), text[1:]].mean())
