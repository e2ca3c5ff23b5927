"""Claims about samples that are in two sets at once: copies are found, and samples that only are similar are not."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from quantmis.data.overlap import overlap

CROPS = 60


def crops() -> list[Image.Image]:
    """Squares of 32 pixels from two photographs."""
    draw, pictures = np.random.default_rng(0), load_sample_images().images
    found = list[Image.Image]()
    for number in range(CROPS):
        whole = Image.fromarray(pictures[number % 2]).resize((320, 213))
        left, top = int(draw.integers(0, 288)), int(draw.integers(0, 181))
        found.append(whole.crop((left, top, left + 32, top + 32)))
    return found


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(each, dtype=np.float32).transpose(2, 0, 1) / 255 for each in images])


def saved_again(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=quality)
    return Image.open(stream)


@pytest.mark.parametrize("how", ["jpeg 95", "jpeg 85", "brighter", "scaled"])
def test_pictures_that_were_saved_again_are_found(how: str):
    images = crops()
    copies = {
        "jpeg 95": lambda: pixels([saved_again(each, 95) for each in images[:20]]),
        "jpeg 85": lambda: pixels([saved_again(each, 85) for each in images[:20]]),
        "brighter": lambda: np.clip(pixels(images[:20]) + 1 / 255, 0, 1),
        "scaled": lambda: pixels([each.resize((29, 29)).resize((32, 32)) for each in images[:20]]),
    }[how]()
    found = overlap(pixels(images), copies)
    assert len(found.equal) == 0
    assert sum(row == partner for row, partner in found.alike.tolist()) >= 18


def test_different_pictures_are_not_alike():
    digits = load_digits().images[:, None].astype(np.float32)
    assert [len(each) for each in overlap(digits[:900], digits[900:])] == [0, 0, 0]


def test_sequences_in_which_a_token_differs_are_found():
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, 1000, size=(400, 50))
    edited = tokens[:50].copy()
    edited[:, 7] += 1
    found = overlap(tokens[:200], np.concatenate([tokens[200:], edited]))
    assert found.alike.tolist() == [[row, 200 + row] for row in range(50)]
    shifted = np.concatenate([np.full((50, 1), 7), tokens[:50, :-1]], axis=1)
    assert len(overlap(tokens[:200], shifted).alike) == 50


def test_bits_and_categories_are_no_sequences():
    draw = np.random.default_rng(0)
    bits = (draw.random((300, 64)) < 0.05).astype(np.int64)
    bits = np.unique(bits, axis=0)
    assert len(overlap(bits[:100], bits[100:]).alike) == 0


def test_people_who_differ_in_one_number_are_two_people():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 100))
    other = x[:200].copy()
    other[:, 3] += 0.05
    assert [len(each) for each in overlap(x[:200], np.concatenate([other, x[200:]]))] == [0, 0, 0]


def test_numbers_that_were_rounded_are_the_same():
    x = np.random.default_rng(0).normal(size=(400, 30))
    found = overlap(x[:200], np.concatenate([np.round(x[:200], 5), x[200:]]))
    assert found.near.tolist() == [[row, row] for row in range(200)]
