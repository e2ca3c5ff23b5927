"""Write sparse matrices by compressed-tensors 0.10.2 (Apache-2.0), which later versions do not write any more."""

import compressed_tensors
import torch
from common import folder_of, normal, written
from compressed_tensors.compressors.sparse_compressors.sparse_24_bitmask import Sparse24BitMaskTensor
from compressed_tensors.compressors.sparse_compressors.sparse_bitmask import BitmaskTensor
from safetensors.torch import save_file

ROWS, COLUMNS = 16, 64


def main() -> None:
    """Write FP8 with half of each four weights, and int8 with a third of all."""
    weight = torch.from_numpy(normal(1, ROWS, COLUMNS))
    scale = weight.abs().amax(1, True) / 448
    eight = (weight / scale).to(torch.float8_e4m3fn)
    half = Sparse24BitMaskTensor.from_dense(eight)
    write(
        "2of4", half.dict("0.weight"), half.decompress().float() * scale, scale, "sparse-24-bitmask", "float-quantized"
    )
    scale = weight.abs().amax(1, True) / 127
    codes = (weight / scale).round().to(torch.int8) * (torch.from_numpy(normal(2, ROWS, COLUMNS)) > 0.4)
    some = BitmaskTensor.from_dense(codes)
    write("some", some.dict("0.weight"), some.decompress().float() * scale, scale, "sparse-bitmask", "int-quantized")


def write(case: str, parts: dict, weight: torch.Tensor, scale: torch.Tensor, sparse: str, format: str) -> None:
    """Write a sparse matrix and its scales."""
    folder = folder_of(f"compressed-tensors-sparse-{case}")
    tensors = parts | {"0.weight_scale": scale}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    words = {"quant_method": "compressed-tensors", "format": format, "sparsity_config": {"format": sparse}}
    tool = f"compressed-tensors {compressed_tensors.__version__}"
    written(folder, tool, {"0": weight.numpy()}, {"quantization_config": words})


if __name__ == "__main__":
    main()
