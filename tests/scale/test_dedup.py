"""Band hashes, and the candidates that they give."""

import random

import numpy as np
import pytest

from jinbench.scale import dedup


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.9])
def test_candidates_come_as_often_as_the_formula_says(similarity: float) -> None:
    """Sets of shingles with a known resemblance: texts with a common beginning, of random characters."""
    rng, hits, trials = random.Random(0), 0, 300
    common = round(2 * 200 * similarity / (1 + similarity))

    def text(length: int) -> str:
        return "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(length))

    for _ in range(trials):
        begin = text(common + 2)
        first, second = (dedup.hash_bands(begin + text(200 - common)) or [] for _ in range(2))
        hits += any(a == b for a, b in zip(first, second, strict=True))
    chance = 1 - (1 - similarity**dedup.ROWS) ** dedup.BANDS
    assert abs(hits / trials - chance) <= 4 * (chance * (1 - chance) / trials) ** 0.5 + 0.01


def test_short_texts_have_no_bands_and_copies_the_same() -> None:
    assert dedup.hash_bands("天津天津天津天津天") is None
    assert dedup.hash_bands("天津天津天津天津天津") == dedup.hash_bands("天津天津天津天津天津天津")  # the same shingles
    assert len(set(dedup.hash_bands("天津天津天津天津天津") or ())) == dedup.BANDS


def test_boilerplate_makes_a_linear_number_of_candidates() -> None:
    """A thousand texts in one band, and a thousand copies of another in one."""
    bands = dedup.pd.DataFrame({"hash": [1] * 1000 + [2] * 1000, "passage": range(2000),
                                "text": [*range(1000), *[0] * 1000]})  # fmt: skip
    pairs = dedup._pair_neighbours(bands.sample(frac=1, random_state=0))
    variants = pairs[pairs["second"] < 1000]
    assert len(variants) == sum(min(i, dedup.NEIGHBOURS) for i in range(1000))
    assert int((variants["second"] - variants["first"]).max()) == dedup.NEIGHBOURS
    copies = pairs[pairs["second"] >= 1000]
    assert np.array_equal(copies["first"].unique(), [1000])
    assert len(copies) == 999
