"""Quantize a folder of transformers with GPTQ by gptqmodel (Apache-2.0), and read losses by its own forward.

FOLDER holds model/, calibration.txt and texts.npz; gptq/ comes beside them, and losses.gptqmodel.npz. The folder is
read twice: as gptqmodel loads it, in half precision, and with the same modules computing in single precision.
"""

import sys
from pathlib import Path

import gptqmodel
import numpy as np
import torch
from common import losses, texts, written
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig


def quantized(folder: Path) -> Path:
    """Return the folder that gptqmodel saves: four bits, groups of 32 inputs."""
    model = GPTQModel.load(str(folder / "model"), QuantizeConfig(bits=4, group_size=32), device="cpu")
    model.quantize((folder / "calibration.txt").read_text().splitlines(), batch_size=1)
    model.save(str(folder / "gptq"))
    return folder / "gptq"


@torch.no_grad()
def read(path: Path, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Return the losses of texts in half precision, in which scales are kept, and in single precision."""
    model = GPTQModel.load(str(path), device="cpu", backend=BACKEND.TORCH, dtype=torch.float16).model

    def logits(text: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(text)[None].long()).logits[0].float().numpy()

    half = losses(tokens, logits)
    model.float()
    return {"GPTQ": half, "GPTQ.single": losses(tokens, logits)}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = read(quantized(folder), texts(folder))
    written(folder, "gptqmodel", f"gptqmodel {gptqmodel.__version__}", found)
