"""Power laws fitted to measured costs, and their picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.stats as st


@dataclass(frozen=True)
class Law:
    """Hold a fitted power law cost = scale * size ** exponent, and the points that it was fitted to."""

    sizes: np.ndarray
    costs: np.ndarray
    exponent: float
    reach: float
    scale: float

    @classmethod
    def fitted(cls, sizes: np.ndarray, costs: np.ndarray) -> "Law":
        """Fit by least squares of logarithms; `reach` is half of Student's 95 % interval of the exponent."""
        line = st.linregress(np.log(sizes), np.log(costs))
        reach = float(st.t.ppf(0.975, len(sizes) - 2) * line.stderr)
        return cls(sizes, costs, float(line.slope), reach, float(np.exp(line.intercept)))

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ({self.exponent - self.reach:.2f} to {self.exponent + self.reach:.2f})"

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return the costs that the law gives."""
        return self.scale * sizes**self.exponent


def figure(found: dict[tuple[str, str], Law], file: Path) -> None:
    """Draw the measured costs and the fitted laws, a panel for each of M, N, Q, P."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quantmis"
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    drawing, panels = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained", sharey=True)
    colours = dict(
        zip(
            dict.fromkeys(stage for stage, _ in found),
            ("#0b6e4f", "#3b7dd8", "#7a3e9d", "#b8860b", "#c0392b"),
            strict=True,
        )
    )
    titles = {"models": "models M", "samples": "samples N", "quantizers": "quantizers Q", "width": "weights P"}
    for panel, (axis, title) in zip(panels, titles.items(), strict=True):
        for stage in (each for each, along in found if along == axis):
            law = found[stage, axis]
            panel.loglog(law.sizes, law.costs, "o", color=colours[stage], markersize=4)
            panel.loglog(law.sizes, law.at(law.sizes), color=colours[stage], label=f"{stage}: {law.exponent:.2f}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(title)
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=6.5, title="exponent", title_fontsize=7)
    panels[0].set_ylabel("processor seconds, one thread")
    file.parent.mkdir(exist_ok=True)
    drawing.savefig(file, metadata={"Date": None})
    plt.close(drawing)
