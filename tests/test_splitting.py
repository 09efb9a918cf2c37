"""The search for the split."""

from jinbench import dataset, labels, seeds, splitting
from jinbench.rooms import Rooms


def test_the_committed_split_is_the_one_that_is_found(real: Rooms) -> None:
    seed = seeds.read(real)
    gold = dataset.gold(real, seed, labels.read(real), ())
    assert splitting.search(seed, gold) == real.splits.read_text()


def test_shares_are_near_what_was_asked(real: Rooms) -> None:
    rows = {split: dataset.read_rows(real, "ner", split) for split in splitting.SPLITS}
    spans = {split: sum(len(row["spans"]) for row in found) for split, found in rows.items()}
    for split, share in splitting.SHARES.items():
        assert abs(spans[split] / sum(spans.values()) - share) < 0.06
