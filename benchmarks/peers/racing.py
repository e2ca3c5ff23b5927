"""What the programs that train as a peer does share: networks, data, a clock. They run where the peer is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing import active_children
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import numpy as np
import torch
from common import peak
from torch import nn
from torch.utils.data import DataLoader, Dataset

BATCH, RATE = 32, 1e-3


class DigitsMLP(nn.Sequential):
    """Classify digits of 8 x 8 pixels."""

    def __init__(self):
        super().__init__(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


class SmallCNN(nn.Sequential):
    """Classify images of 28 x 28 pixels."""

    def __init__(self):
        first = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        super().__init__(*first, *second, nn.Flatten(), nn.Linear(784, 10))


NETS: dict[str, Callable[[], nn.Module]] = {each.__name__: each for each in (DigitsMLP, SmallCNN)}


class Rows(Dataset):
    """Hold some rows of the data; the index wraps around, as in Privacy Meter's."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor):
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index % len(self.x)], self.y[index % len(self.x)]


def loader(rows: Rows, workers: int = 0) -> DataLoader:
    """Return the loader over the rows; with `workers`, as Privacy Meter makes it."""
    more = {"persistent_workers": True, "prefetch_factor": 16} if workers else {}
    return DataLoader(rows, batch_size=BATCH, shuffle=True, num_workers=workers, **more)


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and waited for."""
    return sum(each.ru_utime + each.ru_stime for each in (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)))


def members(file: np.lib.npyio.NpzFile) -> Iterator[Rows]:
    """Yield the rows that each model is trained on."""
    x, y = torch.from_numpy(file["x"]), torch.from_numpy(file["y"])
    for member in file["member"]:
        inside = torch.from_numpy(np.flatnonzero(member))
        yield Rows(x[inside], y[inside])


def race(train: Callable[[nn.Module, Rows, int], nn.Module]) -> None:
    """Train the models of the file one after the other by train(model, rows, epochs); write seconds and memory."""
    torch.set_num_threads(1)
    with np.load(sys.argv[1], allow_pickle=False) as file:
        make, epochs, rows = NETS[str(file["net"])], int(file["epochs"]), list(members(file))
    before, wall, start = peak(), time.perf_counter(), processor_seconds()
    for each in rows:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            model = train(make(), each, epochs)
        if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
            raise ValueError("a model diverged")
    for child in active_children():
        child.join()
    taken = np.array([processor_seconds() - start, time.perf_counter() - wall]) / len(rows)
    np.savez(sys.argv[2], seconds=taken, memory=np.array([before, peak()]))
