"""What the section on protection says: tables of the problems, what was reached, heads with a dither, a figure."""

import numpy as np
import torch
from _results import FIGURES, markdown
from problems import admet
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize

from quantmis import seeds
from quantmis.models import DitheredHead
from quantmis.quantizers import Uniform
from quantmis.theory.dithering import decode, dither, encode

UNIFORM, PROTECTIVE, DEFAULT = 'uniform(bits=3, per="channel")', "protective", "as it is"
EARLY, DECAYED, ALONE = "a quarter of the epochs", "weight decay", "on the fitted samples alone"
EPSILONS = (1.0, 2.0, 4.0, 8.0, 16.0)
REPEATS, DECAY = 20, 0.01

Parts = dict[str, dict[str, dict[str, dict[str, list[float]]]]]
"""What was measured, by problem, training and version."""

COLOURS = {"plain": "#888888", "calibrated": "#4477aa", "protective": "#cc3311", "training": "#228833"}


def _short(training: str, version: str) -> str:
    name = version.replace(', per="channel"', "").replace('(per="channel")', "")
    return name if training == DEFAULT else f"{name}, {training}"


def fronts(parts: Parts) -> str:
    """Return a row for each version: its advantage and its utility in every problem."""
    first = next(iter(parts.values()))
    rows = [
        [_short(training, version), *(_cell(trainings[training].get(version)) for trainings in parts.values())]
        for training, versions in first.items()
        for version in versions
    ]
    return markdown(["version", *parts], rows)


def _cell(numbers: dict[str, list[float]] | None) -> str:
    return "" if numbers is None else f"{numbers['advantage'][0]:.3f} / {numbers['utility'][0]:.3f}"


def reached(parts: Parts) -> tuple[str, list[bool]]:
    """Return protective rounding beside uniform at 3 bit, and where it has half the advantage at a like utility."""
    rows, goals = [], list[bool]()
    for problem, trainings in parts.items():
        before, after = trainings[DEFAULT][UNIFORM], trainings[DEFAULT][PROTECTIVE]
        alone = trainings["on the fitted samples alone"][UNIFORM]
        half = after["advantage"][0] <= before["advantage"][0] / 2
        like = after["utility"][0] >= before["utility"][1]
        goals.append(half and like)
        change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*after["beside uniform"])
        cells = [_interval(each) for each in (before["advantage"], after["advantage"], before["utility"])]
        told = f"{after['fitted'][0]:.3f}, {before['fitted'][0]:.3f}"
        rows.append([problem, *cells, change, f"{alone['utility'][0]:.3f}", told, "yes" if goals[-1] else "no"])
    heads = ["advantage, uniform", "advantage, protective", "utility, uniform", "utility, protective less uniform"]
    heads += ["utility of the fitted samples alone", "AUC of fitted against fresh, after and before", "reached"]
    return markdown(["problem", *heads], rows), goals


def _interval(numbers: list[float]) -> str:
    return f"{numbers[0]:.3f} ({numbers[1]:.3f} to {numbers[2]:.3f})"


def answers(parts: Parts) -> list[str]:
    """Return what the means over the problems say, in words."""

    def mean(version: str, training: str = DEFAULT) -> tuple[float, float]:
        own = [trainings[training][version] for trainings in parts.values()]
        return tuple(float(np.mean([each[kind][0] for each in own])) for kind in ("advantage", "utility"))

    def said(version: str, training: str = DEFAULT) -> str:
        return "{:.3f} at a utility of {:.3f}".format(*mean(version, training))

    seen, zeros = "protective(through=identity", 'ternary(sparsity=0.8, per="channel")'
    forms = [said(f"{seen}, weight=2.0{word})") for word in ("", ', gap="log_odds"', ', gap="discriminator"')]
    enough = [
        name
        for name, each in parts.items()
        if each[ALONE][UNIFORM]["utility"][0] >= each[DEFAULT][PROTECTIVE]["utility"][0]
    ] or ["none"]
    return [
        f"**What rounding costs.** The mean advantage is {said('identity')} in full precision, {said(UNIFORM)} after "
        f"uniform 3 bit and {said(PROTECTIVE)} after protective rounding to 3 bit; 80 % zeros alone have "
        f"{said(zeros)}, GPTQ with 3 bit has {said('gptq(bits=3)')}, and a temperature {said('temperature')}.",
        f"**What training costs.** With a quarter of the epochs it is {said('identity', EARLY)} in full precision and "
        f"{said(UNIFORM, EARLY)} after uniform 3 bit; with a weight decay of 1 (AdamW) {said('identity', DECAYED)}. "
        "Models of the fitted samples alone, which know no member, have a utility of "
        f"{mean(UNIFORM, ALONE)[1]:.3f} in 3 bit: what protective rounding has above that came from members, through "
        f"the coarse version. They are worth as much as it is, and members were not needed, in: {', '.join(enough)}.",
        f"**Do they add up?** Protective rounding of models of a quarter of the epochs has {said(PROTECTIVE, EARLY)}, "
        f"of models with the weight decay {said(PROTECTIVE, DECAYED)}.",
        f"**What limits it.** Fitting to held-out samples alone, the weights seen whole, has {said(seen + ')')}. With "
        f"the gap of means added (weight 2) it has {forms[0]}, of log-odds {forms[1]}, with the discriminator "
        f"{forms[2]}: on average, what makes members and others alike in the fit leaves more to an attacker who knows "
        "the procedure than not to look at members at all. What helps is to see less of the weights, so the coarse "
        "version sets the limit. The fitted samples are spent: a plain loss attack tells them from fresh ones as the "
        "table says, which bounds their exposure from below.",
    ]


def heads() -> str:
    """Return what linear heads on molecules are worth, with the noise of a guarantee, dithered or rounded after it."""
    samples = admet("bbb_martins", "gcn_contextpred", True)
    order = seeds.generator(0, "protection", "heads").permutation(len(samples))
    train, test = np.split(order, [len(order) * 2 // 3])
    x, y = normalize(samples.x.astype(float)), samples.y
    rows = []
    for epsilon in EPSILONS:
        head = DitheredHead(epsilon, 1e-5, norm=1.0, decay=DECAY)
        exact, sigma = head._minimiser(x[train], y[train], 2), head.sigma(len(train))
        draws = [
            _draw(exact, sigma, seeds.generator(0, "protection", "heads", str(epsilon), k)) for k in range(REPEATS)
        ]
        bits, more = np.mean([each[0] for each in draws]), draws[0][1]
        errors = [np.mean([(each[k] - exact) ** 2 for each in draws]) / sigma**2 for k in (2, 3)]
        worth = [np.mean([_worth(each[k], x[test], y[test]) for each in draws]) for k in (2, 3)]
        numbers = [f"{each:.3f}" for each in (*errors, *worth, _worth(exact, x[test], y[test]))]
        rows.append([f"{epsilon:g}", f"{sigma:.3f}", f"{bits:.2f}", f"{more}", *numbers])
    columns = ["epsilon", "sigma", "bits, dithered", "bits, rounded after"]
    columns += [f"squared error over that of the noise, {each}" for each in ("dithered", "rounded after")]
    columns += ["AUROC, dithered", "AUROC, rounded after", "AUROC without noise"]
    return markdown(columns, rows)


def _draw(exact: np.ndarray, sigma: float, draw: np.random.Generator) -> tuple[float, int, np.ndarray, np.ndarray]:
    """Return the bits and weights of one dithered head, and those of one that is rounded after the noise."""
    by = dither(sigma, exact.shape, draw)
    bits = float(np.log2(2 * np.abs(exact).max() / by.step + 2).mean())
    noisy = exact + draw.normal(size=exact.shape) * sigma
    more = max(2, int(np.ceil(bits)))
    after = Uniform(bits=more, per="channel").code("", [torch.from_numpy(noisy)], 0)[0].dequantize()
    return bits, more, decode(encode(exact, by), by), after.double().numpy()


def _worth(weight: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    return float(roc_auc_score(y, x @ (weight[1] - weight[0])))


def _kind(training: str, version: str) -> str:
    if training != DEFAULT:
        return "training"
    return next((each for each in ("protective",) if version.startswith(each)), _calibrated(version))


def _calibrated(version: str) -> str:
    return "calibrated" if version.startswith(("gptq", "adaround")) else "plain"


def figure(parts: Parts) -> None:
    """Draw advantage against utility, a panel for each problem."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "protection"
    panels, axes = plt.subplots(2, 3, figsize=(11, 6.4), layout="constrained")
    for panel, (problem, trainings) in zip(axes.flat, parts.items(), strict=False):
        for training, versions in trainings.items():
            for version, numbers in versions.items():
                if training == "on the fitted samples alone" and version != UNIFORM:
                    continue
                x, y, colour = numbers["utility"][0], numbers["advantage"], COLOURS[_kind(training, version)]
                panel.errorbar(x, y[0], [[y[0] - y[1]], [y[2] - y[0]]], fmt="o", ms=3.5, lw=0.8, color=colour)
                if training == DEFAULT and version in (UNIFORM, PROTECTIVE, "identity"):
                    word = {UNIFORM: "3 bit", PROTECTIVE: "protective", "identity": "full"}[version]
                    panel.annotate(word, (x, y[0]), (4, 4), textcoords="offset points", fontsize=8, color=colour)
        panel.set(title=problem, xlabel="utility", ylabel="advantage of the strongest attacker")
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes.flat[len(parts) :]:
        panel.set_axis_off()
    for name, colour in COLOURS.items():
        axes.flat[0].plot([], [], "o", ms=3.5, color=colour, label=name)
    panels.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    panels.savefig(FIGURES / "protection.svg", metadata={"Date": None})
    plt.close(panels)
