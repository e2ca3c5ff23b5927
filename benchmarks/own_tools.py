"""A GGUF and a GPTQ file, made by the tools that people use, audited as the target: does the audit read what they run?

    QUANTMIS_DATA=... python benchmarks/own_tools.py FOLDER     writes the section "Files made by their own tools"

FOLDER holds one virtual environment per tool (`docs/guides/audit-a-quantized-file.md` says how they are made); a tool
whose environment is missing, or which cannot run, is a line that says so. Nothing of theirs is part of this repository.
The programs in benchmarks/own_tools/ run in those environments.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _environments import called, python_of
from _results import HERE, markdown, write_section
from language import told
from own_tools_model import CALIBRATION, LAYERS, MEMBERS, RECIPE, WIDTH, Trained, trained

import quantmis as qm
from quantmis.results import VersionResult

TOOLS = {"llama_cpp": "llama.cpp", "gptqmodel": "gptqmodel"}
QUIET = {"GPTQMODEL_CPU_WORKERS": "2", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class File:
    """Say which tool makes a file, what it calls it, where it stands, and what the audit calls it."""

    tool: str
    key: str
    path: str
    row: str


FILES = {
    "full precision (safetensors; F32 GGUF in the tool)": File("llama_cpp", "F32", "model", "identity"),
    "GGUF, Q8_0": File("llama_cpp", "Q8_0", "model-Q8_0.gguf", "gguf file"),
    "GGUF, Q4_K_M": File("llama_cpp", "Q4_K_M", "model-Q4_K_M.gguf", "gguf file"),
    "GGUF, IQ4_XS": File("llama_cpp", "IQ4_XS", "model-IQ4_XS.gguf", "gguf file"),
    "GGUF, Q2_K": File("llama_cpp", "Q2_K", "model-Q2_K.gguf", "gguf file"),
    "GPTQ, 4 bits in groups of 32": File("gptqmodel", "gptq", "gptq", "gptq file"),
    "GPTQ, 2 bits in groups of 32, act-order": File("gptqmodel", "gptq-2", "gptq-2", "gptq file"),
}
HEAD = ["file", "tool", "bits", "AUC, loss", "perplexity", "apart, as it runs", "apart, in single precision"]


def made_by(folder: Path, tool: str, work: Path) -> dict[str, np.ndarray] | str:
    """Return what benchmarks/own_tools/with_TOOL.py wrote in the environment of a tool, or why it could not run."""
    command = [HERE / "own_tools" / f"with_{tool}.py", work]
    return called(python_of(folder, tool), command, work / f"losses.{tool}.npz", QUIET)


def audited(made: Trained, file: File) -> tuple[VersionResult, np.ndarray]:
    """Audit a file as the target; return what was found and the losses of all texts."""
    target = qm.Target(made.folder / file.path, made.members, made.others)
    task = qm.Task.causal_lm(made.folder / "base")
    with tempfile.TemporaryDirectory() as out:
        found = qm.audit(task, made.samples, target=target, quantizers=[], out=out, progress=False).quantizers[file.row]
        with np.load(Path(out) / found.table, allow_pickle=False) as table:
            return found, table["losses"][0]


def row(name: str, file: File, made: Trained, theirs: dict[str, np.ndarray] | str) -> list[object]:
    """Return the line of a file, or of the reason for none."""
    if isinstance(theirs, str) and file.row != "identity":
        return [name, TOOLS[file.tool], "", "", "", theirs, ""]
    found, own = audited(made, file)
    area = told(found.attacks["loss_threshold"].adaptive["auc"], 3)
    numbers = [f"{found['bits_per_weight']:.2f}", area, told(found["perplexity"], 2)]
    if isinstance(theirs, str):
        return [name, TOOLS[file.tool], *numbers, theirs, ""]
    apart = [differences(own, theirs[key]) for key in (file.key, f"{file.key}.single")]
    return [name, str(theirs["version"]), *numbers, *apart]


def differences(own: np.ndarray, theirs: np.ndarray) -> str:
    """Say how far the losses of two forwards are apart: at most, and in the mean over all texts."""
    apart = own - theirs
    return f"{np.abs(apart).max():.0e}, {abs(apart.mean()):.0e}"


def report(folder: Path, work: Path) -> str:
    """Train, let every tool make its files, audit each, and return the section of RESULTS.md."""
    made = trained(work)
    theirs = {tool: made_by(folder, tool, work) for tool in TOOLS}
    lines = [row(name, file, made, theirs[file.tool]) for name, file in FILES.items()]
    return f"""`python benchmarks/own_tools.py FOLDER`; docs/guides/audit-a-quantized-file.md says how to make the
environments. A Llama of {LAYERS} layers, {WIDTH} wide, trained on {MEMBERS} of Shakespeare's lines for {RECIPE.epochs}
epochs, is handed to each tool, which writes its file; GPTQ is calibrated on {CALIBRATION} lines that nobody trained on.
The file is then the target, alone: {MEMBERS} members, and {MEMBERS} others of the same shuffled lines.

{markdown(HEAD, lines)}

Apart: the losses of {2 * MEMBERS} texts here and by the tool's own forward, in nats a token, the largest difference and
that of the means. As they run, llama.cpp rounds activations to eight bits, and gptqmodel computes in float16, which the
audit does not repeat. In single precision llama.cpp has turned its file back into floats, and gptqmodel's modules
compute in floats: the same weights then differ by rounding alone.
"""


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        text = report(options.folder.resolve(), Path(work))
    print(text)
    write_section("Files made by their own tools", text, ("torch", "transformers", "gguf"))


if __name__ == "__main__":
    main()
