"""The formats of quantized models, declared once: what is read and made, who computes it, and what it was held against.

docs/reference/formats.md is written from here, and a test holds every claim of reading against the readers and the
files of the tools.
"""

from dataclasses import dataclass
from typing import Literal

Forward = Literal["here", "here, inputs rounded", "ONNX Runtime", "LiteRT", "-"]
NOTHING = "-"


@dataclass(frozen=True)
class Declared:
    """Hold what is said of a format.

    `kind`: the name by which a reader goes, empty for a format that is not read. `made`: the quantizer of an audit that
    makes it. `forward`: who computes the losses of a file. `checked`: the tool and version, or the published layout,
    that reading was held against; `apart`: by how much a weight differed at most, of the largest. `cases`: how the
    folders of tests/quantizers/data/tools begin that show it. `since`: our version.
    """

    name: str
    tools: str
    kind: str
    forward: Forward
    checked: str
    apart: str
    made: str = NOTHING
    cases: tuple[str, ...] = ()
    since: str = "0.2"


CT, TRANSFORMERS, GGUF = "compressed-tensors 0.20.1", "transformers 5.23.0", "gguf 0.19.0"
DECLARED = (
    Declared(
        "AWQ, gemm packing, 4 bits",
        "AutoAWQ, gptqmodel, AutoRound",
        "awq",
        "here",
        "autoawq 0.2.9",
        "0",
        cases=("awq-gemm",),
    ),
    Declared(
        "AWQ, gemv and gemv_fast packings",
        "AutoAWQ",
        "awq",
        "here",
        "autoawq 0.2.9, its packing",
        "0",
        cases=("awq-gemv",),
    ),
    Declared(
        "GPTQ, 2, 3, 4 and 8 bits, versions 1 and 2, act-order",
        "AutoGPTQ, gptqmodel",
        "gptq",
        "here",
        "gptqmodel 7.6.0, losses of a model",
        "1e-6",
        since="0.1",
    ),
    Declared(
        "AutoRound, packings of GPTQ and AWQ and its own",
        "AutoRound",
        "gptq",
        "here",
        "published layout",
        "1e-6",
        since="0.1",
    ),
    Declared(
        "integers, packed or a byte each (W2 to W8)",
        "compressed-tensors, llm-compressor, vLLM",
        "compressed-tensors",
        "here, inputs rounded",
        CT,
        "0",
        cases=("compressed-tensors-w",),
    ),
    Declared(
        "FP8: tensor, channel, block; static and dynamic inputs",
        "compressed-tensors, llm-compressor, vLLM",
        "compressed-tensors",
        "here, inputs rounded",
        CT,
        "0",
        cases=("compressed-tensors-fp8",),
    ),
    Declared(
        "NVFP4",
        "compressed-tensors, llm-compressor, vLLM",
        "compressed-tensors",
        "here, inputs rounded",
        CT,
        "0",
        cases=("compressed-tensors-nvfp4",),
    ),
    Declared(
        "MXFP4, MXFP6, MXFP8",
        "compressed-tensors, llm-compressor, vLLM",
        "compressed-tensors",
        "here, inputs rounded",
        CT,
        "0",
        cases=("compressed-tensors-mxfp",),
    ),
    Declared(
        "sparse: 2:4 and by a mask",
        "compressed-tensors up to 0.14",
        "compressed-tensors",
        "here",
        "compressed-tensors 0.10.2",
        "0",
        cases=("compressed-tensors-sparse",),
    ),
    Declared(
        "FP8 in blocks, scales of 32 bits and ue8m0",
        "DeepSeek, transformers",
        "fp8",
        "here, inputs rounded",
        TRANSFORMERS,
        "0",
        cases=("fp8-blocks",),
    ),
    Declared(
        "FP8, int8",
        "ModelOpt (NVIDIA)",
        "modelopt",
        "here, inputs rounded",
        "modelopt 0.47.0",
        "1e-7",
        cases=("modelopt-fp8", "modelopt-int8"),
    ),
    Declared(
        "NVFP4, MXFP4, MXFP8",
        "ModelOpt (NVIDIA)",
        "modelopt",
        "here, inputs rounded",
        "modelopt 0.47.0",
        "0",
        cases=("modelopt-nvfp4", "modelopt-mxfp"),
    ),
    Declared("MXFP4, all experts in one tensor", "GPT-OSS", "mxfp4", "here", TRANSFORMERS, "0", cases=("gpt-oss",)),
    Declared(
        "MLX: affine with 2, 3, 4, 5, 6 and 8 bits, mxfp4, mxfp8, nvfp4",
        "MLX, mlx-lm",
        "mlx",
        "here",
        "mlx 0.32.4",
        "1e-7",
        cases=("mlx-",),
    ),
    Declared(
        "HQQ, 1 to 8 bits, groups along rows and down columns",
        "HQQ",
        "hqq",
        "here",
        "hqq 0.2.8.post1",
        "0",
        made="hqq",
        cases=("hqq-",),
    ),
    Declared(
        "Quanto: qint2, qint4, qint8, qfloat8",
        "optimum-quanto",
        "quanto",
        "here",
        "optimum-quanto 0.2.7",
        "1e-7",
        cases=("quanto-",),
    ),
    Declared(
        "BitNet, both classes of layers",
        "transformers",
        "bitnet",
        "here, inputs rounded",
        TRANSFORMERS,
        "0",
        cases=("bitnet-",),
    ),
    Declared(
        "EXL2, 2 to 8 bits a group",
        "exllamav2",
        "exl2",
        "here",
        "published layout (exllamav2, packing of columns)",
        "0",
    ),
    Declared(
        "NF4, FP4, int8",
        "bitsandbytes",
        "bitsandbytes",
        "here",
        "bitsandbytes 0.50.2",
        "0",
        made="bitsandbytes.linear4bit, bitsandbytes.linear8bit",
        since="0.1",
    ),
    Declared("FP8, by rows or whole", "torchao", "torchao", "here", "torchao 0.18.0", "0", cases=("torchao-float8",)),
    Declared(
        "integers of 2 to 8 bits", "torchao", "torchao", "here", "torchao 0.18.0", "0", made="torchao.*", since="0.1"
    ),
    Declared("GGUF: Q4_0 to Q8_0, TQ1_0, TQ2_0", "llama.cpp", "gguf", "here", GGUF, "0", made="gguf", since="0.1"),
    Declared("GGUF: Q2_K to Q6_K, IQ4_NL, IQ4_XS", "llama.cpp", "gguf", "here", GGUF, "0", made="gguf", since="0.1"),
    Declared("GGUF: IQ1_S to IQ3_S, MXFP4, NVFP4", "llama.cpp", "gguf", "here", GGUF, "0"),
    Declared("GGUF: Q1_0", "llama.cpp", "gguf", "here", "published layout (ggml, dequantize_row_q1_0)", "0"),
    Declared("GGUF in parts", "llama-gguf-split", "gguf", "here", GGUF, "0"),
    Declared(
        "ONNX: QDQ, integer operators, MatMulNBits, data beside it",
        "ONNX Runtime, Olive, Quark",
        "onnx",
        "ONNX Runtime",
        "onnxruntime 1.32.0",
        "0",
        made="onnx.*",
        since="0.1",
    ),
    Declared("record of quantized layers", "quantmis", "quantmis", "here", "itself", "0", made="all", since="0.1"),
    Declared(
        "OpenVINO IR, weights of 8 and 4 bits",
        "NNCF, optimum-intel",
        "openvino",
        "here",
        "openvino 2026.4.1, nncf 3.4.0",
        "1e-7",
        cases=("openvino-",),
    ),
    Declared(
        "LiteRT (TensorFlow Lite): weights of 8, 4 and 2 bits, dynamic, static and in blocks",
        "ai-edge-quantizer, TensorFlow",
        "litert",
        "LiteRT",
        "ai-edge-quantizer 0.10.0, ai-edge-litert 2.3.0",
        "0",
        cases=("litert-",),
    ),
    Declared(
        "decoders in ONNX: MatMulNBits of llama, mistral and qwen2",
        "onnxruntime-genai",
        "onnxruntime-genai",
        "here",
        "onnxruntime-genai 0.18.0",
        "1e-6",
        cases=("onnxruntime-genai-",),
    ),
    Declared("ONNX with QMoE", "onnxruntime-genai", "", "-", "refused by name", NOTHING),
    Declared(
        "W4A16_AWQ, NVFP4_AWQ, SmoothQuant",
        "ModelOpt (NVIDIA)",
        "",
        "-",
        "refused by name: inputs are multiplied",
        NOTHING,
    ),
    Declared("marlin-24", "compressed-tensors up to 0.14", "", "-", "refused by name", NOTHING),
    Declared(
        "EXL3, AQLM, QuIP#, VPTQ, SpQR, FP-Quant", "exllamav3 and others", "", "-", "named by its tensors", NOTHING
    ),
    Declared(
        "CoreML, ExecuTorch",
        "coremltools, ExecuTorch",
        "",
        "-",
        "named by their first bytes, or what lies in their folder",
        NOTHING,
    ),
)


def table() -> str:
    """Return the formats as a table in Markdown."""
    head = ("format", "tool", "read", "made by", "computed by", "checked against", "apart", "since")
    rows = [
        (
            each.name,
            each.tools,
            "yes" if each.kind else "no",
            f"`{each.made}`" if each.made != NOTHING else NOTHING,
            each.forward,
            each.checked,
            each.apart,
            each.since if each.kind else NOTHING,
        )
        for each in DECLARED
    ]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
