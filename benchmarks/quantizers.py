"""What the calibrated methods cost and gain: output error at W4 and W2, and many models at once against one by one.

`python benchmarks/quantizers.py` writes its section of benchmarks/RESULTS.md, in a few minutes of one core.

Models are untrained and small, each drawn from seed 0; inputs are correlated (rank a quarter of the width, plus
noise), so that a calibrated method has something to gain. The error is the mean squared change of the outputs on fresh
inputs over their mean square. It depends on which untrained model is drawn, by a factor of two or more, so methods are
compared within a model. Ours choose from levels of the least squared error, Brevitas' from levels that reach the
largest weight.
Seconds depend on what else the machine does.
"""

import time
from collections.abc import Callable
from itertools import pairwise

import torch
from _results import markdown, write_section
from torch import Tensor, nn

from quantmis.quantizers import BRECQ, GPTQ, OBQ, AdaRound, Brevitas, Quantizer, Uniform, installed


def mlp(*widths: int) -> nn.Module:
    """Return an untrained perceptron."""
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.one, self.norm = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
        self.two, self.short = nn.Conv2d(outside, outside, 3, 1, 1), nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        return torch.relu(self.two(torch.relu(self.norm(self.one(x)))) + self.short(x))


def cnn() -> nn.Module:
    """Return an untrained residual network of 78,000 weights."""
    blocks = (Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


def correlated(samples: int, features: int, seed: int) -> Tensor:
    """Return inputs of rank features / 4 plus noise."""
    rank, draw = features // 4, torch.Generator().manual_seed(seed)
    basis = torch.randn(rank, features, generator=torch.Generator().manual_seed(99)) / rank**0.5
    noise = 0.1 * torch.randn(samples, features, generator=draw)
    return torch.randn(samples, rank, generator=draw) @ basis + noise


def error(quantizer: Quantizer, model: nn.Module, inputs: Tensor, fresh: Tensor) -> tuple[float, float]:
    """Return the relative squared error of the outputs and the seconds that quantizing took."""
    start = time.perf_counter()
    quantized = quantizer.quantize(model, calibration=inputs).model.eval()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        outputs = model.eval()(fresh)
        return ((quantized(fresh) - outputs).square().mean() / outputs.square().mean()).item(), seconds


def methods(bits: int) -> dict[str, Quantizer]:
    """Return what is compared, at that many bits."""
    theirs = {f"brevitas, {each}": Brevitas(bits=bits, method=each) for each in ("gptq", "gpfq", "qronos")}
    ours: dict[str, Quantizer] = {
        "nearest, per channel": Uniform(bits=bits, per="channel"),
        "gptq": GPTQ(bits=bits),
        "obq": OBQ(bits=bits),
        "adaround": AdaRound(bits=bits),
        "brecq": BRECQ(bits=bits),
        "brecq, no Fisher": BRECQ(bits=bits, fisher=False),
    }
    return {**ours, **theirs} if installed(Brevitas) else ours


def errors() -> list[list[object]]:
    """Return a row for each model and method; what would take minutes of one core is left out."""
    models: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]] = {
        "MLP 64-128-64-10": (lambda: mlp(64, 128, 64, 10), (64,), set()),
        "MLP 512-1024-512-10": (lambda: mlp(512, 1024, 512, 10), (512,), {"obq", "brecq", "brecq, no Fisher"}),
        "CNN, 3 residual blocks": (cnn, (3, 16, 16), {"obq", "brecq"}),
    }
    rows: list[list[object]] = []
    for name, (build, shape, left_out) in models.items():
        torch.manual_seed(0)
        model, size = build(), torch.Size(shape).numel()
        inputs, fresh = (correlated(512, size, seed).reshape(-1, *shape) for seed in (1, 2))
        for method in (each for each in methods(4) if each not in left_out):
            (four, seconds), (two, _) = (error(methods(bits)[method], model, inputs, fresh) for bits in (4, 2))
            rows.append([name, method, f"{four:.2e}", f"{two:.2e}", f"{seconds:.2f}"])
    return rows


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def together(count: int = 64) -> str:
    """Say how long many small models take at once and one by one."""
    torch.manual_seed(0)
    heads = [mlp(64, 32, 10) for _ in range(count)]
    inputs = correlated(512, 64, 1)
    gptq, brecq = GPTQ(bits=4), BRECQ(bits=4, iterations=200)
    times = [
        (
            seconds(lambda each=each, few=few: each.quantize_many(few, inputs)),
            seconds(lambda each=each, few=few: [each.quantize(head, inputs) for head in few]),
        )
        for each, few in ((gptq, heads), (brecq, heads[:16]))
    ]
    (at_once, alone), (blocks, singly) = times
    said = (
        f"GPTQ of {count} heads 64-32-10: {at_once:.2f} s at once, {alone:.2f} s one by one. BRECQ of 16, 200 "
        f"iterations: {blocks:.2f} s at once, {singly:.2f} s one by one"
    )
    if not installed(Brevitas):
        return f"{said}."
    theirs = seconds(lambda: [Brevitas(bits=4).quantize(head, inputs) for head in heads])
    return f"{said}. GPTQ one by one with Brevitas: {theirs:.2f} s ({theirs / at_once:.0f} times as long as at once)."


def main() -> None:
    """Measure and write the section."""
    torch.set_num_threads(1)
    said = together()
    table = markdown(["model", "method", "W4 error", "W2 error", "seconds, W4"], errors())
    write_section(
        "quantizers", f"{str(__doc__).split(chr(10) * 2)[2].strip()}\n\n{table}\n\n{said}", packages=("torch",)
    )


if __name__ == "__main__":
    main()
