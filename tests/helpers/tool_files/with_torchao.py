"""Write layers of FP8 by torchao (BSD-3-Clause), and read them back by it."""

from importlib.metadata import version

import torch
from common import folder_of, normal, written
from safetensors.torch import save_file
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, Float8WeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerRow, PerTensor

CASES = {
    "weights": Float8WeightOnlyConfig(),
    "rows": Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
    "tensor": Float8DynamicActivationFloat8WeightConfig(granularity=PerTensor()),
}


def main() -> None:
    """Write a layer in each way."""
    for name, words in CASES.items():
        model = torch.nn.Sequential(torch.nn.Linear(64, 16, bias=False))
        model[0].weight.data = torch.from_numpy(normal(1, 16, 64))
        try:
            quantize_(model, words)
        except AssertionError:  # inputs in FP8 need an accelerator
            from torchao.quantization.quantize_.workflows.float8.float8_tensor import (
                Float8Tensor,
                QuantizeTensorToFloat8Kwargs,
            )

            own = {"granularity": words.granularity[1] if isinstance(words.granularity, list) else words.granularity}
            kwargs = QuantizeTensorToFloat8Kwargs(torch.float8_e4m3fn, **own)
            tensor = Float8Tensor.from_hp(model[0].weight.data, act_quant_kwargs=kwargs, **own)
            model[0].weight = torch.nn.Parameter(tensor, requires_grad=False)
        tensors, header = flatten_tensor_state_dict(model.state_dict())
        folder = folder_of(f"torchao-float8-{name}")
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors", header)
        written(folder, f"torchao {version('torchao')}", {"0": model[0].weight.dequantize().float().numpy()})


if __name__ == "__main__":
    main()
