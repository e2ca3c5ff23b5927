"""Language models: what quantized fine-tunes give away of first names and of Shakespeare's lines, and what it costs.

    QUANTMIS_DATA=... python benchmarks/language.py

A Llama-style model of two layers is trained on the first names, and another on the lines, four times each on
complementary halves, as `qm.audit` does it. Then: the time of scoring against a bare forward pass over the same
batches, and the memory that reading a gigabyte of text takes.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from _results import markdown, peak, write_section
from tokenizers import ByteLevelBPETokenizer

import quantmis as qm
from quantmis.data.texts import Texts, read_texts
from quantmis.models.language import showing_logits
from quantmis.models.rows import forward
from quantmis.results import VersionResult
from quantmis.stats import Estimate

QUANTIZERS = (
    "uniform(bits=8)",
    "torchao.int8_weight_only",
    "gguf",
    "gptq(bits=4)",
    "normal_float(bits=4)",
    "bitsandbytes.linear4bit",
    "uniform(bits=3)",
    "uniform(bits=2)",
    "ternary(sparsity=0.5)",
    "ternary(sparsity=0.9)",
)
SIZES = ((512, 64, 2, 64), (512, 256, 2, 64), (2_000, 256, 4, 128), (32_000, 512, 4, 128))
"""Vocabulary, width, layers, tokens of a text."""
GIGABYTE = 2**30


def base(texts: list[str], folder: Path, tokens: int) -> Path:
    """Write a fresh model of two layers and a tokenizer learnt from `texts` into `folder`."""
    merge_adapters = ByteLevelBPETokenizer()
    merge_adapters.train_from_iterator(texts, vocab_size=tokens, special_tokens=["<s>"], show_progress=False)
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "<s>")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=merge_adapters._tokenizer, **special)
    config = llama(len(tokenizer), 64, 2, 64)
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def llama(vocabulary: int, width: int, layers: int, context: int) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=context,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )


def study(name: str, file: str, epochs: int, folder: Path) -> str:
    """Audit four trainings on one source, and say what each version gives away at which perplexity."""
    kept = read_texts([Path(os.environ["QUANTMIS_DATA"]) / "text" / file], at_most=3000)
    long = Texts.of([text for text in kept.texts if len(text) > 3])
    recipe = qm.Recipe(epochs=epochs, learning_rate=3e-3, batch_size=32)
    task = qm.Task.causal_lm(base(list(long.texts), folder / name, 400), recipe=recipe)
    start = time.perf_counter()
    result = qm.audit(task, task.samples(long), quantizers=QUANTIZERS, replicates=4, canaries=4, progress=False)
    taken = time.perf_counter() - start
    rows = [
        [
            f"`{version}`",
            found["bits_per_weight"] and f"{found['bits_per_weight']:.2f}",
            *numbers(found),
        ]
        for version, found in result.versions.items()
    ]
    heads = ["version", "bits", "AUC, paired replicates", "AUC, loss", "perplexity", "exposure, bits: 1, 4, 16 times"]
    said = f"{name}: {len(long):,} texts, {epochs} epochs, {taken / 60:.1f} minutes."
    return f"{said}\n\n{markdown(heads, rows)}"


def numbers(found: VersionResult) -> list[str]:
    attacks = [found.attacks[name].adaptive["auc"] for name in ("paired_replicates", "loss_threshold")]
    bits = ", ".join(f"{each.exposure_bits.value:.1f}" for each in found.canaries)
    return [*(told(each, 3) for each in attacks), told(found["perplexity"], 2), bits]


def told(found: Estimate, digits: int) -> str:
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def throughput() -> str:
    """Compare reading losses and signals with a bare forward pass over the same batches: processor time, one core."""
    torch.set_num_threads(1)
    rows = [[f"{v:,}", h, layers, n, f"{ratio(v, h, layers, n):.3f}"] for v, h, layers, n in SIZES]
    return markdown(["vocabulary", "width", "layers", "tokens", "scoring : forward"], rows)


def ratio(vocabulary: int, width: int, layers: int, tokens: int) -> float:
    config = llama(vocabulary, width, layers, tokens).to_dict()
    known = {name: config[name] for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")}
    heads = {"num_attention_heads": 4, "max_position_embeddings": tokens, "model_type": "llama"}
    model = qm.Task.causal_lm(config=known | heads).build(0)
    texts = torch.from_numpy(np.random.default_rng(0).integers(0, vocabulary, (64, tokens)))
    at_once = max(1, model.tokens_at_once // tokens)

    @torch.no_grad()
    def bare() -> None:
        with showing_logits(model.eval()):
            for batch in texts.split(at_once):
                model(batch)

    turns = [(seconds(lambda: forward(model, texts)), seconds(bare)) for _ in range(7)]
    return min(ours for ours, _ in turns) / min(plain for _, plain in turns)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def stream(folder: Path) -> str:
    """Read a gigabyte of lines in a process of its own, of which a thousand are kept."""
    path, line = folder / "large.txt", "it was the best of times, it was the worst of times, number "
    with path.open("w") as file:
        written = 0
        while written < GIGABYTE:
            written += file.write("".join(f"{line}{written + number}\n" for number in range(10_000)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        texts, taken, before, after = pool.apply(_read, (path,))
    return (
        f"A file of {path.stat().st_size / GIGABYTE:.2f} GiB: {texts}; {taken:.0f} seconds, and the process that read "
        f"it grew from {before:.0f} to {after:.0f} MiB."
    )


def _read(path: Path) -> tuple[str, float, float, float]:
    before = peak()
    start = time.perf_counter()
    found = read_texts([path], at_most=1000)
    return found.notes[0], time.perf_counter() - start, before, peak()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [study("names", "names.txt", 12, folder), study("Shakespeare", "tinyshakespeare.txt", 6, folder)]
        parts += ["Scoring against a bare forward pass over the same batches:", throughput(), stream(folder)]
    text = "\n\n".join(parts)
    print(text)
    write_section("language models", text, ("torch", "transformers", "numpy"))


if __name__ == "__main__":
    main()
