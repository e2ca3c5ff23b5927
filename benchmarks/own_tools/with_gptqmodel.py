"""Quantize a folder of transformers with GPTQ by gptqmodel (Apache-2.0), and read losses by its own forward.

FOLDER holds model/, calibration.txt and texts.npz; gptq/ and gptq-2/ come beside them, and losses.gptqmodel.npz. Each
is read twice: as gptqmodel loads it, in half precision, and with the same modules computing in single precision.
"""

import sys
from pathlib import Path

import gptqmodel
import numpy as np
import torch
from common import losses, texts, written
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig

MADE = {
    "gptq": QuantizeConfig(bits=4, group_size=32),
    "gptq-2": QuantizeConfig(bits=2, group_size=32, desc_act=True, act_group_aware=False),
}


def quantized(folder: Path, name: str) -> Path:
    """Return the folder that gptqmodel saves."""
    model = GPTQModel.load(str(folder / "model"), MADE[name], device="cpu")
    model.quantize((folder / "calibration.txt").read_text().splitlines(), batch_size=1)
    model.save(str(folder / name))
    return folder / name


@torch.no_grad()
def read(path: Path, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Return the losses of texts in half precision, in which scales are kept, and in single precision."""
    model = GPTQModel.load(str(path), device="cpu", backend=BACKEND.TORCH, dtype=torch.float16).model

    def logits(text: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(text)[None].long()).logits[0].float().numpy()

    half = losses(tokens, logits)
    model.float()
    return {path.name: half, f"{path.name}.single": losses(tokens, logits)}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = {key: each for name in MADE for key, each in read(quantized(folder, name), texts(folder)).items()}
    written(folder, "gptqmodel", f"gptqmodel {gptqmodel.__version__}", found)
