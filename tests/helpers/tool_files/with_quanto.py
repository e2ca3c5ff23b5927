"""Write models by optimum-quanto (Apache-2.0), and read their weights back by it."""

import json
from importlib.metadata import version

import torch
from common import folder_of, normal, written
from optimum.quanto import freeze, qfloat8, qint2, qint4, qint8, quantization_map, quantize
from safetensors.torch import save_file

TYPES = {"qint2": qint2, "qint4": qint4, "qint8": qint8, "qfloat8": qfloat8}


def main() -> None:
    """Write a model of two layers, one of them too narrow for groups, in each type."""
    for name, kind in TYPES.items():
        model = torch.nn.Sequential(torch.nn.Linear(256, 12), torch.nn.ReLU(), torch.nn.Linear(12, 5))
        for index, value in enumerate(model.parameters()):
            value.data = torch.from_numpy(normal(30 + index, *value.shape))
        quantize(model, weights=kind)
        freeze(model)
        folder = folder_of(f"quanto-{name}")
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
        (folder / "quanto_qmap.json").write_text(json.dumps(quantization_map(model)))
        expected = {key: model[int(key)].weight.dequantize().detach().numpy() for key in ("0", "2")}
        written(folder, f"optimum-quanto {version('optimum-quanto')}", expected)


if __name__ == "__main__":
    main()
