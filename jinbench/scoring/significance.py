"""What a number is worth: intervals over resampled articles, and whether two systems can be told apart. Numpy only.

The unit is the article, because sentences of one article are alike. Articles differ much in size, so that few of them
carry most of a score: everything here goes by how many articles of one size would be worth as much.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 2000
PERMUTATIONS = 9999
SEED = 0
LEVEL, POWER = 0.05, 0.80
# Articles. With fewer, no test can tell anything apart: of the 32 ways to swap two systems on five articles, the two
# most extreme are more than 5 %.
ENOUGH = 6
# Articles that have any of what is counted. With fewer an interval holds the truth far too seldom: four give 89 in a
# hundred, two give 53.
FEWEST = 5
_BLOCK = 2_000_000  # weights that are held at a time


def _blocks(articles: int, times: int, seed: int) -> Iterator["np.ndarray[Any, Any]"]:
    import numpy as np

    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // articles)
    for start in range(0, times, rows):
        number = min(rows, times - start)
        drawn = rng.integers(0, articles, (number, articles))
        drawn += np.arange(number)[:, None] * articles
        yield np.bincount(drawn.ravel(), minlength=number * articles).reshape(number, articles)


def draws(articles: int, times: int = RESAMPLES, seed: int = SEED) -> "np.ndarray[Any, Any]":
    """How often each article is drawn in each resample: integers (times, articles); the sum of a row is `articles`."""
    import numpy as np

    return np.concatenate(list(_blocks(articles, times, seed)))


def resample(sums: "np.ndarray[Any, Any]", times: int = RESAMPLES, seed: int = SEED) -> "np.ndarray[Any, Any]":
    """Sums (times, …) over articles drawn with replacement from `sums` (articles, …): the cluster bootstrap.

    Two systems get the same draws, so that their difference is paired.
    """
    import numpy as np

    flat = sums.reshape(len(sums), -1).astype(float)  # sums of integers: exact in any order
    found = np.concatenate([block @ flat for block in _blocks(len(sums), times, seed)])
    drawn: np.ndarray[Any, Any] = found.reshape(times, *sums.shape[1:])
    return drawn


def resample_patterns(
    patterns: "np.ndarray[Any, Any]", times_each: "np.ndarray[Any, Any]", times: int = RESAMPLES, seed: int = SEED
) -> "np.ndarray[Any, Any]":
    """The same for units of which only is known how many have which counts: sums (times, 2).

    `patterns` (patterns, 2) are integers whose sums stay below 2³¹; `times_each` (patterns,) says how many units have
    each. Few patterns are drawn as one multinomial, many unit by unit, whichever is less work.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    units = int(times_each.sum())
    if len(patterns) * 20 < units:  # a draw from a binomial costs as much as some twenty units
        drawn: np.ndarray[Any, Any] = rng.multinomial(units, times_each / units, size=times) @ patterns
        return drawn
    packed = np.repeat(patterns[:, 0] << 32 | patterns[:, 1], times_each)
    rows = max(1, 16_000 // units)  # small enough to take place in memory that is already there
    both = np.concatenate(
        [
            packed.take(rng.integers(0, units, (min(rows, times - start), units), dtype=np.uint32)).sum(1)
            for start in range(0, times, rows)
        ]
    )
    return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)


def effective(sizes: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """How many articles of one size are worth as much as those of `sizes` (articles, …): (Σ size)² / Σ size².

    Kish (1965). 0 where all are empty.
    """
    import numpy as np

    sizes = sizes.astype(float)
    found: np.ndarray[Any, Any] = sizes.sum(0) ** 2 / np.maximum((sizes**2).sum(0), 1e-300)
    return found


def _student(freedom: float) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Student's t with `freedom` >= 1 degrees as a table: angles θ with t = √freedom · tan θ, and P(T <= t) for each.

    In the angle the density is cos(θ)^(freedom - 1): smooth, and on a finite range. Its spread is 1/√freedom: beyond
    ten of these there is nothing, and with many degrees a table of the whole range would step over the rest.
    """
    import numpy as np

    most = min(np.pi / 2, 10 / math.sqrt(freedom))
    angle = np.linspace(-most, most, 20001)
    density = np.maximum(np.cos(angle), 0) ** (freedom - 1)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return angle, below / below[-1]


def t_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t, to some six digits. `freedom` below 1 counts as 1."""
    import numpy as np

    freedom = max(freedom, 1.0)
    angle, below = _student(freedom)
    return math.sqrt(freedom) * math.tan(float(np.interp(probability, below, angle)))


def t_test(value: float, freedom: float) -> float:
    """The two-sided p-value of a t statistic."""
    import numpy as np

    freedom = max(freedom, 1.0)
    angle, below = _student(freedom)
    return 2 * float(np.interp(math.atan(-abs(value) / math.sqrt(freedom)), angle, below))


def tail(articles: float, level: float = LEVEL) -> float:
    """Below which share of the resampled values an interval ends, for so many effective articles.

    The expanded percentile interval of Hesterberg (2015, The American Statistician 69:371): a percentile interval is
    too narrow for few units, as a normal one is that takes σ for known and divides by n. It ends further out by as much
    as Student's t is wider than the normal, and by √(n / (n - 1)).
    """
    articles = max(articles, 1.5)
    wider = math.sqrt(articles / (articles - 1)) * t_quantile(1 - level / 2, articles - 1)
    return NormalDist().cdf(-wider)


def interval(drawn: "np.ndarray[Any, Any]", articles: float, level: float = LEVEL) -> tuple[float, float]:
    """The interval of resampled values (times,), NaN left out; `articles` is how many are effective."""
    import numpy as np

    below = tail(articles, level)
    low, high = np.nanquantile(drawn, [below, 1 - below])
    return float(low), float(high)


def bounds(drawn: "np.ndarray[Any, Any]", sizes: "np.ndarray[Any, Any]") -> tuple[float, float] | tuple[None, None]:
    """The same where it says something, for articles of `sizes` (articles,); else nothing.

    It does not if fewer than `FEWEST` articles have anything, or if nothing varies among them: where all is right, or
    all is wrong, a resample shows nothing else.
    """
    if (sizes > 0).sum() < FEWEST:
        return None, None
    low, high = interval(drawn, float(effective(sizes)))
    return (low, high) if high - low > 1e-12 else (None, None)


def wald_test(value: float, error: float, articles: float) -> float:
    """The two-sided p-value of a value with a bootstrap's standard error, by Student's t over effective articles.

    As the interval has it: the error is that of a bootstrap, too small by √(n / (n - 1)).
    """
    articles = max(articles, 1.5)
    if error < 1e-12:
        return float(abs(value) < 1e-12)
    return t_test(value / error * math.sqrt((articles - 1) / articles), articles - 1)


def f1(sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """F1 from sums (…, 3) of gold, predicted and correct: 2 correct / (gold + predicted). NaN where both are 0."""
    import numpy as np

    total = sums[..., 0] + sums[..., 1]
    return np.where(total == 0, np.nan, 2 * sums[..., 2] / np.maximum(total, 1))


def randomization_test(
    a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", times: int = PERMUTATIONS, seed: int = SEED
) -> float:
    """The two-sided p-value of the difference in micro-F1 of two systems with the sums `a`, `b` (articles, 3).

    The approximate randomization test (Noreen 1989; Yeh 2000): were they the same, it would not matter on any article
    which of the two is which. The smallest p that it can give is 1 / (times + 1).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    found = float(np.nan_to_num(f1(a.sum(0)) - f1(b.sum(0))))
    rows, as_large = max(1, _BLOCK // len(a)), 0
    for start in range(0, times, rows):
        swapped = rng.integers(0, 2, (min(rows, times - start), len(a)), dtype=np.uint8)
        moved = swapped.astype(float) @ (a - b).astype(float)
        differences = np.nan_to_num(f1(a.sum(0) - moved) - f1(b.sum(0) + moved))
        as_large += int((np.abs(differences) >= abs(found) - 1e-12).sum())
    return (1 + as_large) / (times + 1)


def holm(p: Sequence[float]) -> list[float]:
    """p-values of several tests, adjusted so that the chance of one false alarm among all is kept (Holm 1979)."""
    adjusted, highest = [0.0] * len(p), 0.0
    for passed, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[i] * (len(p) - passed)))
        adjusted[i] = highest
    return adjusted


def corrected_t(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, low and high of the differences of two systems on each fold of a cross-validation, and the p-value.

    The corrected resampled t-test (Nadeau and Bengio 2003, Machine Learning 52:239): training sets overlap, so that the
    variance of the mean is not s²/k but (1/k + test/train) s², where test/train is 1/(k - 1).
    """
    folds = len(differences)
    mean = sum(differences) / folds
    spread = sum((each - mean) ** 2 for each in differences) / (folds - 1)
    error = math.sqrt((1 / folds + 1 / (folds - 1)) * spread)
    if not error:
        return mean, mean, mean, float(mean == 0)
    width = t_quantile(1 - LEVEL / 2, folds - 1) * error
    return mean, mean - width, mean + width, t_test(mean / error, folds - 1)


def minimum_detectable_difference(error: float, articles: float, tests: int = 1) -> float:
    """The smallest difference that is told apart with the power `POWER`, given the standard error of a difference.

    Where it is one of several tests, it must hold at the level that is left for each: `LEVEL` divided by their number,
    which is the first step of Holm's.
    """
    freedom = articles - 1
    width = t_quantile(1 - LEVEL / tests / 2, freedom) + t_quantile(POWER, freedom)
    return width * error * math.sqrt(articles / max(freedom, 0.5))
