"""Models that break what an audit assumes, each beside what it should have been where there is such a thing."""

import torch
from torch import Tensor, nn


class Changing(nn.Module):
    """Change the inputs in place."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Tensor:
        x.sub_(2.0)
        return self.body(x)


class Twin(Changing):
    """Compute the same, and leave the inputs alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x - 2.0)


class Body(nn.Module):
    """Two layers, between which others do what they should not."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

    def between(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.between(self.first(x))))


class DropoutLeftOn(Body):
    def between(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x)


class WithNoise(Body):
    def __init__(self):
        super().__init__()
        self.noise = Noise()

    def between(self, x: Tensor) -> Tensor:
        return self.noise(x)


class Gumbel(Body):
    def between(self, x: Tensor) -> Tensor:
        return x * nn.functional.gumbel_softmax(x)


class BatchStatistics(Body):
    """Normalise by the batch, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16, track_running_stats=False)

    def between(self, x: Tensor) -> Tensor:
        return self.norm(x)


class ChannelStatistics(nn.Module):
    """Normalise images by the batch, which is possible of one alone."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(x.unflatten(1, (1, 8, 8))).flatten(1))


class DynamicScale(Body):
    """Round activations to 8 bits of the largest of the batch."""

    def between(self, x: Tensor) -> Tensor:
        scale = x.abs().max() / 127
        return (x / scale).round() * scale


class Mixture(nn.Module):
    """Send every sample to the expert that likes it best, of which each takes as many as its share: first come."""

    def __init__(self):
        super().__init__()
        self.router, self.experts = nn.Linear(64, 4), nn.ModuleList(nn.Linear(64, 10) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        best = self.router(x).argmax(1)
        out = x.new_zeros(len(x), 10)
        for number, expert in enumerate(self.experts):
            rows = torch.nonzero(best == number)[: max(1, len(x) // 4), 0]
            out = out.index_copy(0, rows, expert(x[rows]))
        return out


class Squeezing(Body):
    """Lose the dimension of the samples where there is only one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


def softmax() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10), nn.Softmax(-1))


class Sigmoid(nn.Module):
    """Return probabilities of labels, by a function."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.last(x)).reshape(len(x), 3)


class Half(nn.Module):
    """Compute in bfloat16, whose roundings depend on how many rows a product has."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 10)).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.bfloat16()).float()


class SeldomDraws(Body):
    """Forget one sample in fifty, in evaluation too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (torch.rand(len(x), 1) > 0.02)


class DrawsForNothing(Body):
    """Draw and make nothing of it."""

    def between(self, x: Tensor) -> Tensor:
        return x + 0.0 * torch.randn_like(x)


class LargeBatches(Body):
    """Normalise by the batch where it is large."""

    def between(self, x: Tensor) -> Tensor:
        return x - x.mean(0) if len(x) > 32 else x


class Percent(Body):
    """Return probabilities in per cent."""

    def forward(self, x: Tensor) -> Tensor:
        return 100 * super().forward(x).softmax(-1)
