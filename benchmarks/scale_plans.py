"""What the audit of a 7 B model on 100 M samples would take, counted, and what the cheaper audits take instead.

Counting: training costs 6 floating-point operations per weight and token, a forward pass 2. Assumed: tokens of a
sample, operations per second of a GPU. Measured in this run and handed in: the rate of one core here, the seconds that
an entry of a table takes to score.
"""

from dataclasses import dataclass

from _results import markdown

WEIGHTS, TOKENS, SAMPLES, SHADOWS, QUANTIZERS = 7e9, 512, 100e6, 1000, 10
GPU, GPUS = 4e14, 1024
BYTES = 16
"""Of an entry: loss, signal, worth and entropy in single precision."""
STATE = 16
"""Bytes of a weight while it trains: weight, gradient and two moments of Adam, in single precision."""


@dataclass(frozen=True)
class Plan:
    """Hold one audit: trainings, models that are put through the quantizers, and columns that are filled."""

    name: str
    trainings: float
    models: float
    columns: float

    @property
    def training(self) -> float:
        """Operations of all trainings, one pass over half of the samples."""
        return self.trainings * 6 * WEIGHTS * TOKENS * SAMPLES / 2

    @property
    def filling(self) -> float:
        """Operations of the forward passes of all quantized models."""
        return self.models * QUANTIZERS * 2 * WEIGHTS * TOKENS * self.columns

    @property
    def cells(self) -> float:
        """Entries of all tables."""
        return self.models * QUANTIZERS * self.columns


PLANS = (
    Plan("everything", SHADOWS, SHADOWS, SAMPLES),
    Plan("1,000 shadows, 10,000 columns", SHADOWS, SHADOWS, 1e4),
    Plan("64 shadows, 10,000 columns", 64, 64, 1e4),
    Plan("two pairs of replicates, 10,000 columns", 4, 4, 1e4),
    Plan("as-is, 10,000 columns", 0, 1, 1e4),
)


def duration(hours: float) -> str:
    """Return hours as people say them."""
    if hours < 1 / 30:
        return f"{3600 * hours:.1f} s"
    if hours < 1.5:
        return f"{60 * hours:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:,.0f} days"


def _row(plan: Plan, scoring: float) -> list[object]:
    hours = (plan.training + plan.filling) / GPU / 3600
    return [
        plan.name,
        f"{plan.training:.1e}" if plan.training else "0",
        f"{plan.filling:.1e}",
        f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}",
        duration(hours / GPUS),
        f"{plan.cells * BYTES / 1e12:.1f} TB" if plan.cells * BYTES > 1e12 else f"{plan.cells * BYTES / 1e6:,.0f} MB",
        duration(plan.cells * scoring / 3600),
    ]


def plans(rate: float, widest: float, scoring: float, fitted: tuple[float, float, float]) -> str:
    """Return the table of plans and what it rests on, in Markdown."""
    whole, years = PLANS[0], [hours * TOKENS / 8760 for hours in fitted]
    header = [
        "audit",
        "training, FLOP",
        "filling, FLOP",
        "GPU hours",
        f"on {GPUS:,} GPUs",
        "tables",
        "scoring, one core",
    ]
    return f"""### {SAMPLES / 1e6:.0f} M samples x {SHADOWS:,} shadows x a {WEIGHTS / 1e9:.0f} B model, on paper

Costs grow in proportion to M and Q. Against N and P the exponents are below 1 only as long as a step or a model costs
something by itself, so for the largest sizes operations are counted: 6 per weight and token to train, 2 for a forward
pass; {TOKENS} tokens a sample, one pass over half of the samples, {QUANTIZERS} quantizers. A GPU is taken at
{GPU:.0e} operations a second (40 % of the bf16 peak of an H100), a cluster at {GPUS:,} of them without loss. The widest
model above ({widest:,} weights) was trained at {rate:.1e} a second on one thread here: at that rate the trainings alone
would take {whole.training / rate / 3.15e7:.1e} years of one core. The fitted laws of training, taken at their word and
times {TOKENS} tokens, give {years[0]:.1e} ({years[1]:.1e} to {years[2]:.1e}): fewer, since they carry the exponents
below 1 along. Scoring takes {1e9 * scoring:.0f} ns an entry (LiRA and its metrics, the largest table above). Nothing of
this table was run.

{markdown(header, [_row(plan, scoring) for plan in PLANS])}

Filling the tables costs {whole.filling / whole.training:.1f} times as much as all the trainings where every quantized
shadow reads every sample: the columns are what to cut first, then the shadows. What the product does, and does not:

- *Columns.* A random subset gives valid intervals (section `subsets`): 10,000 instead of {SAMPLES / 1e6:.0f} M. An
  as-is audit takes the subset as its `members` and `non_members`; tables made elsewhere are cut by `Evidence.columns`.
  The shadow depth trains on halves of the samples that it is given and fills all of them: it cannot fill fewer.
- *Replicates.* Two pairs of replicates order quantizers (section `fidelity`), which saves {SHADOWS - 4:,} trainings.
- *As-is* trains nothing and asks about the one model that is shipped; it sees only what attacks on losses see.
- *Ray* runs groups side by side, each on one node. A model that does not fit a node while it trains
  ({WEIGHTS * STATE / 2**30:.0f} GiB for {WEIGHTS / 1e9:.0f} B weights with Adam) is not split by the product:
  `[training] function` would have to do it, or the models come trained."""
