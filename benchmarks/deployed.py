"""One audit of a small CNN on real images under the quantizers that people deploy, and what calibration leaks.

`python benchmarks/deployed.py` writes its section of benchmarks/RESULTS.md and the audits into --out, in minutes of two
cores. QUANTMIS_DATA names the folder that holds images/t10k-*.gz, the test set of MNIST.

Images are MNIST's, averaged to 14 x 14. All quantizers act on the same trained models. Calibration leakage is the AUC
of an attack on models that GPTQ, AdaRound and BRECQ calibrated on 256 of their own members, minus its AUC on the same
models calibrated on as many samples that no model saw; the interval is paired over models and samples.
"""

import argparse
import gzip
import os
from pathlib import Path

import numpy as np
from _results import markdown, write_section
from torch import nn

import quantmis as qm
from quantmis.audit.result import AuditResult
from quantmis.results import VersionResult
from quantmis.stats import Estimate, compare

QUANTIZERS = (
    *('uniform(bits=8, per="channel")', 'uniform(bits=4, per="channel")', "uniform(bits=3)", "uniform(bits=2)"),
    *("normal_float", "k_means(bits=2)", "ternary(sparsity=0.5)", "sign", "stochastic_rounding(bits=3)"),
    *("gptq(bits=4)", "gptq(bits=2)", "obq(bits=3)", "adaround(bits=2, iterations=200)"),
    *("brecq(bits=2, iterations=100)", "torchao.int8_dynamic", "torchao.int8_weight_only", "torchao.intx(bits=4)"),
    *("bitsandbytes.linear4bit", "bitsandbytes.linear8bit", "brevitas(bits=4)", 'brevitas(bits=3, method="qronos")'),
    *("hqq(bits=4)", 'gguf(format="Q4_0")', 'gguf(format="TQ2_0")', "onnx.dynamic", "onnx.static"),
    "onnx.matmul_nbits(bits=4)",
)
LEAKING = ("gptq(bits=3)", "gptq(bits=2)", "adaround(bits=2, iterations=200)", "brecq(bits=2, iterations=100)")
ATTACKS = ("loss_threshold", "lira")


def cnn() -> nn.Module:
    """Return an untrained network of two convolutions and two linear layers, 10,000 weights."""
    convolutions = (nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))


def mnist(count: int) -> qm.Samples:
    """Return the first images of MNIST's test set, [count, 1, 14, 14] from 0 to 1."""
    folder = Path(os.environ["QUANTMIS_DATA"]) / "images"
    pixels = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    images = pixels.reshape(-1, 14, 2, 14, 2)[:count].mean((2, 4), dtype=np.float32) / 255
    return qm.Samples(images[:, None], labels[:count].astype(np.int64))


def audit(out: Path, samples: int, shadows: int, **options: object) -> AuditResult:
    """Audit the network on that many images."""
    task = qm.Task(cnn, recipe=qm.Recipe(epochs=40, batch_size=32, learning_rate=3e-3))
    return qm.audit(task, mnist(samples), attacks=ATTACKS, shadows=shadows, out=out, progress=False, **options)


def ranking(result: AuditResult) -> str:
    """Return a row for each quantizer, from the one that gives away most."""
    rows: list[list[object]] = []
    for each in sorted(result.document.versions, key=lambda each: -each.attacks["lira"].adaptive["auc"].value):
        lira, loss = (
            each.attacks["lira"].adaptive["auc"],
            each.attacks["loss_threshold"].adaptive["auc"],
        )
        untouched = ", ".join(each.untouched) or "none"
        rows.append(
            [
                f"`{each.name}`",
                f"{each['bits_per_weight']:.2f}",
                said(each["utility"]),
                said(lira),
                said(loss),
                untouched,
            ]
        )
    return markdown(["quantizer", "bits", "accuracy", "AUC of LiRA", "AUC of the loss", "untouched layers"], rows)


def said(estimate: object) -> str:
    """Write an estimate with its interval."""
    assert isinstance(estimate, Estimate)
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def leakage(out: Path, samples: int, shadows: int) -> str:
    """Return a row for each calibrated quantizer and attack: both AUCs, and what calibration on members adds."""
    found = {
        where: audit(out / where, samples, shadows, quantizers=LEAKING, calibrate_on=where)
        for where in ("members", "held_out")
    }
    rows: list[list[object]] = []
    for name in LEAKING:
        tables = {where: evidence(out / where, result, name) for where, result in found.items()}
        for attack in (qm.attacks.LossThreshold(), qm.attacks.LiRA()):
            scores = {where: attack.score(table) for where, table in tables.items()}
            [pair] = compare(scores, tables["members"].member)
            areas = [said(of(found[where], name).attacks[attack.name].adaptive["auc"]) for where in found]
            rows.append([f"`{name}`", attack.name, *areas, f"{said(pair.estimate)}, p = {pair.p:.2g}"])
    return markdown(["quantizer", "attack", "AUC, on members", "AUC, on held-out", "difference"], rows)


def of(result: AuditResult, name: str) -> VersionResult:
    """Return what an audit found about one quantizer."""
    return next(each for each in result.document.versions if each.name == name)


def evidence(out: Path, result: AuditResult, name: str) -> qm.Evidence:
    """Return the loss table of a quantizer over the samples that models were trained on."""
    with np.load(out / of(result, name).table, allow_pickle=False) as file:
        table = qm.Evidence(file["losses"], file["member"], signal=file["signal"])
    return table.columns(np.any(table.member, axis=0))


def main() -> None:
    """Audit and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("quantmis-deployed"), help="where the audits are kept")
    parser.add_argument("--fast", action="store_true", help="fewer models, to see that it runs; writes no section")
    given = parser.parse_args()
    shadows = 8 if given.fast else 16
    result = audit(given.out / "ranking", 900, shadows, quantizers=QUANTIZERS)
    lines = [
        f"{len(result.document.versions)} quantizers of the same {shadows} CNNs, each trained on 300 images:",
        ranking(result),
        f"Calibration leakage, {2 * shadows} CNNs:",
        leakage(given.out / "leakage", 900, 2 * shadows),
    ]
    text = str(__doc__).split("\n\n")[2].strip() + "\n\n" + "\n\n".join(lines)
    print(text)
    if not given.fast:
        libraries = ("torch", "torchao", "bitsandbytes", "brevitas", "hqq", "gguf", "onnxruntime")
        write_section("Deployed quantizers", text, libraries)


if __name__ == "__main__":
    main()
