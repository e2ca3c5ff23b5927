"""The figure of the fidelity study, drawn from the table of its section: fidelity against the number of trainings."""

import re
from pathlib import Path

import numpy as np
from _results import HERE
from fidelity_measures import DISTORTION, EXPOSURE, LISTED
from fidelity_tables import SHADOWS

COUNTS = ("0", "1", "2", "4", "8")
FIGURE = HERE / "figures" / "fidelity.svg"
SHOWN = {
    LISTED: ("the list of an audit", "o-", "#0b6e4f"),
    DISTORTION: ("distortion (knows no members)", "P-", "#e07b39"),
    EXPOSURE: ("exposure between twins", "h-", "#2aa198"),
    "paired_replicates, AUC": ("paired_replicates, AUC", "s-", "#3b7dd8"),
    "rmia, AUC": ("RMIA, AUC", "D-", "#b8860b"),
    "lira, AUC": ("LiRA, AUC", "^", "#7a3e9d"),
    "loss_threshold, AUC": ("loss_threshold, AUC", "v-", "#c0392b"),
    "r_Q, pairs (default)": ("r_Q over pairs of trainings", "x-", "#555555"),
}
FREE = {"bits, then zeros": "--", "bits": ":"}
"""Measures that take no training, drawn as lines."""


def points(section: str, measure: str) -> dict[int, tuple[float, float, float]]:
    """Return tau and its interval by number of trainings, as the table of the section says."""
    [line] = re.findall(rf"^\| {re.escape(measure)} \|(.*)\|$", section, flags=re.MULTILINE)
    cells = [re.findall(r"-?\d\.\d+", cell) for cell in line.split("|")]
    return {
        int(count): (float(cell[0]), float(cell[1]), float(cell[2]))
        for count, cell in zip(COUNTS, cells, strict=True)
        if cell
    }


def figure(section: str, file: Path) -> None:
    """Draw fidelity against cost: the measures worth naming, with intervals over problems."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quantmis"
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    for shift, (name, (label, style, colour)) in enumerate(SHOWN.items()):
        found = points(section, name)
        place = np.array(list(found)) * (1 + 0.025 * (shift - 3.5))
        value, low, high = np.array(list(found.values())).T
        reach = np.maximum([value - low, high - value], 0)
        axes.errorbar(place, value, reach, fmt=style, color=colour, label=label, capsize=2, markersize=5)
    for name, style in FREE.items():
        value = points(section, name)[0][0]
        axes.axhline(value, color="#999999", linestyle=style, label=f"no training: {name} ({value:.3f})")
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_xlabel(f"trainings; the truth takes {SHADOWS}")
    axes.set_ylabel("Kendall's tau, pairs that the truth separates")
    axes.set_ylim(0.18, 1.02)
    axes.grid(alpha=0.3)
    drawing.legend(fontsize=8, loc="outside right upper")
    file.parent.mkdir(exist_ok=True)
    drawing.savefig(file, metadata={"Date": None})
    plt.close(drawing)
    (HERE.parent / "docs" / "explanation" / file.name).write_bytes(file.read_bytes())  # the documentation shows it
