"""Cluster bootstrap, approximate randomization, tests of few degrees of freedom. NumPy only.

The unit is the article, because sentences of one article are alike. Articles differ much in size, so that few of them
carry most of a score: intervals and tests go by the effective number of articles.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64] | NDArray[np.float64]
    Floats = NDArray[np.float64]

MAX_ENUMERATED = 10  # articles of which every resample is taken, with its probability: an interval without chance
RESAMPLES, _DRAWS = 2000, 2_000_000  # resamples of more articles: at least so many, or so many articles drawn
MIN_TAIL = 50  # resamples that lie beyond the end of an interval at least
PERMUTATIONS = 9999
SEED = 0
LEVEL, POWER = 0.05, 0.80
# Comparisons in the family of a leaderboard table. It is fixed, so that nobody who enters weakens or changes a
# comparison of two others.
FAMILY = 10
# With fewer articles no difference is significant: of the 32 ways to swap two systems on five articles, the two most
# extreme are more than 5 %.
MIN_ARTICLES_TEST = 6
# Articles that have any of what is counted. With fewer the coverage of an interval is far too low: 89 % with four,
# 53 % with two.
MIN_ARTICLES_INTERVAL = 5
_BLOCK = 250_000  # sums that are held at a time
_BINS = 4096


def count_resamples(articles: int) -> int:
    """Return the number of resamples of so many articles."""
    articles = max(articles, 1)
    if articles <= MAX_ENUMERATED:
        return math.comb(2 * articles - 1, articles)
    return max(RESAMPLES, _DRAWS // articles)


@lru_cache(maxsize=2)
def _enumerate_draws(articles: int) -> "NDArray[np.int64]":
    """Return every resample (resamples, articles): between `articles` stars so many bars less one."""
    import numpy as np

    places = 2 * articles - 1
    bars = np.array(list(combinations(range(places), articles - 1)), dtype=np.int64)
    return np.diff(bars, axis=1, prepend=-1, append=places) - 1


@lru_cache(maxsize=4)
def resample_weights(articles: int) -> "Floats | None":
    """Return the probability of each resample of up to `MAX_ENUMERATED` articles; None: all have the same."""
    import numpy as np

    if articles > MAX_ENUMERATED:
        return None
    factorials = np.array([math.factorial(times) for times in range(articles + 1)], dtype=float)
    weights: Floats = factorials[-1] / factorials[_enumerate_draws(articles)].prod(1) / float(articles) ** articles
    return weights


def _draw_blocks(articles: int, seed: int) -> Iterator["Floats"]:
    import numpy as np

    if articles <= MAX_ENUMERATED:
        yield _enumerate_draws(articles).T.astype(float, order="C")
        return
    rng = np.random.default_rng(seed)
    rows, times = max(1, _DRAWS // articles), count_resamples(articles)
    for start in range(0, times, rows):
        number = min(rows, times - start)
        drawn = rng.integers(0, articles, (number, articles))
        drawn += np.arange(number)[:, None] * articles
        counts = np.bincount(drawn.ravel(), minlength=number * articles).reshape(number, articles)
        yield counts.T.astype(float, order="C")


@lru_cache(maxsize=2)
def _draw_block(articles: int, seed: int) -> "Floats":
    return next(_draw_blocks(articles, seed))


def draw_articles(articles: int, seed: int = SEED) -> Iterable["Floats"]:
    """Draw articles with replacement: blocks (articles, resamples) of how often each is drawn."""
    # A single block is kept for the next score on the same articles.
    return [_draw_block(articles, seed)] if articles * RESAMPLES <= _DRAWS else _draw_blocks(articles, seed)


def resample(sums: "Numbers", statistic: "Callable[[Floats], Floats]", seed: int = SEED) -> "Floats":
    """Return a statistic (resamples, …) of sums over articles drawn from `sums` (articles, …): the cluster bootstrap.

    Articles are drawn with replacement. Two systems get the same draws, so that their difference is paired. Resamples
    of up to `MAX_ENUMERATED` articles have the probabilities :func:`resample_weights`.
    """
    import numpy as np

    flat = sums.reshape(len(sums), -1).T.astype(float, order="C")  # sums of integers: exact in any order
    columns = max(1, _BLOCK // len(flat))

    def compute(block: "Floats") -> "Floats":
        return statistic(np.moveaxis((flat @ block).reshape(*sums.shape[1:], -1), -1, 0))

    return np.concatenate(
        [
            compute(block[:, start : start + columns])
            for block in draw_articles(len(sums), seed)
            for start in range(0, block.shape[1], columns)
        ]
    )


def resample_patterns(
    patterns: "NDArray[np.int64]", frequencies: "NDArray[np.int64]", times: int = RESAMPLES, seed: int = SEED
) -> "Numbers":
    """Return the bootstrap of units of which only the frequency of their counts is known: sums (times, 2).

    `patterns` (patterns, 2) are integers whose sums stay below 2³¹; `frequencies` (patterns,) is the number of units
    that have each. Few patterns are drawn as one multinomial, many unit by unit, whichever is less work. `times` is
    for more than 1,000 units; up to that the resamples are those of :func:`resample`.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    units = int(frequencies.sum())
    if units * RESAMPLES <= _DRAWS:
        return resample(np.repeat(patterns, frequencies, axis=0), lambda sums: sums, seed)
    if len(patterns) * 20 < units:  # a draw from a binomial costs as much as some twenty units
        sums: NDArray[np.int64] = rng.multinomial(units, frequencies / units, size=times) @ patterns
        return sums
    packed = np.repeat(patterns[:, 0] << 32 | patterns[:, 1], frequencies)
    rows = max(1, 16_000 // units)  # small enough to take place in memory that is already there
    both = np.concatenate(
        [
            packed.take(rng.integers(0, units, (min(rows, times - start), units), dtype=np.uint32)).sum(1)
            for start in range(0, times, rows)
        ]
    )
    return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)


def effective_size(sizes: "Numbers") -> "NDArray[np.float64]":
    """Return the effective number of articles of `sizes` (articles, …): (Σ size)² / Σ size² (Kish 1965).

    0 where all are empty.
    """
    import numpy as np

    sizes = sizes.astype(float)
    articles: NDArray[np.float64] = sizes.sum(0) ** 2 / np.maximum((sizes**2).sum(0), 1e-300)
    return articles


@lru_cache(maxsize=4)  # the tests of one difference have the same degrees of freedom
def _student(freedom: float) -> tuple["NDArray[np.floating]", "NDArray[np.floating]"]:
    """Tabulate Student's t: angles θ with t = √freedom · tan θ, and P(T <= t).

    In the angle the density is cos(θ)^(freedom - 1): smooth, and on a finite range. Its spread is 1/√freedom: beyond
    ten of these there is nothing, and with many degrees a table of the whole range would step over the rest.
    """
    import numpy as np

    most = min(math.pi / 2, 10 / math.sqrt(freedom))
    angle = np.linspace(-most, most, 20001)
    density = np.maximum(np.cos(angle), 0) ** (freedom - 1)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return angle, below / below[-1]


@lru_cache(maxsize=4096)  # tables of the same articles ask for the same quantiles again
def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t, to some six digits. `freedom` below 1 counts as 1."""
    import numpy as np

    freedom = max(freedom, 1.0)
    angle, below = _student(freedom)
    return math.sqrt(freedom) * math.tan(float(np.interp(probability, below, angle)))


def t_p_value(value: float, freedom: float) -> float:
    """Return the two-sided p-value of a t statistic."""
    import numpy as np

    freedom = max(freedom, 1.0)
    angle, below = _student(freedom)
    return 2 * float(np.interp(math.atan(-abs(value) / math.sqrt(freedom)), angle, below))


def tail_probability(articles: float, level: float = LEVEL) -> float:
    """Return the share of resampled values below an expanded percentile interval.

    A percentile interval is too narrow for few units, as a normal one is that takes σ for known and divides by n. This
    one ends further out by as much as Student's t is wider than the normal, and by √(n / (n - 1)).

    References:
        Hesterberg 2015, The American Statistician 69:371.
    """
    articles = max(articles, 1.5)
    wider = math.sqrt(articles / (articles - 1)) * t_quantile(1 - level / 2, articles - 1)
    return NormalDist().cdf(-wider)


def percentile_interval(
    values: "Floats", articles: float, weights: "Floats | None" = None, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of resampled values (resamples,), NaN left out, for an effective number of articles."""
    import numpy as np

    present = ~np.isnan(values)
    if not present.all():
        values, weights = values[present], None if weights is None else weights[present]
    below = tail_probability(articles, level)
    if weights is None:
        below = max(below, min(MIN_TAIL / len(values), level / 2))
    # Sorted are only the values in the bins of the two ends.
    first, last = float(values.min()), float(values.max())
    bins = ((values - first) * (_BINS / max(last - first, 1e-300))).astype(np.int64)
    mass = np.bincount(bins, weights).cumsum()
    ends = []
    for share in (below, 1 - below):
        end = int(np.searchsorted(mass, share * mass[-1]))
        inside = np.flatnonzero(bins == end)
        inside = inside[values[inside].argsort(kind="stable")]
        within = np.ones(len(inside)) if weights is None else weights[inside]
        place = np.searchsorted(within.cumsum(), share * mass[-1] - (mass[end - 1] if end else 0.0))
        ends.append(float(values[inside[min(int(place), len(inside) - 1)]]))
    return ends[0], ends[1]


def reliable_interval(
    values: "Floats", sizes: "Numbers", weights: "Floats | None" = None
) -> tuple[float, float] | tuple[None, None]:
    """Return the interval of resampled values (resamples,), or None where it means nothing.

    `sizes` (articles,) are those of the articles. It means nothing with fewer than `MIN_ARTICLES_INTERVAL` articles
    that are not empty, or without variance among them: where all is correct, or all is wrong, a resample shows nothing
    else.
    """
    if (sizes > 0).sum() < MIN_ARTICLES_INTERVAL:
        return None, None
    low, high = percentile_interval(values, float(effective_size(sizes)), weights)
    return (low, high) if high - low > 1e-12 else (None, None)


def wald_p_value(value: float, error: float, articles: float) -> float:
    """Return the two-sided p-value of a value and its bootstrap standard error, by Student's t.

    `articles` is their effective number. As in the interval, the error of a bootstrap is too small by √(n / (n - 1)).
    """
    articles = max(articles, 1.5)
    if error < 1e-12:
        return float(abs(value) < 1e-12)
    return t_p_value(value / error * math.sqrt((articles - 1) / articles), articles - 1)


def f1(sums: "Numbers") -> "NDArray[np.float64]":
    """Return F1 = 2 correct / (gold + predicted) from sums (…, 3), NaN for 0 / 0."""
    import numpy as np

    total = sums[..., 0] + sums[..., 1]
    return np.where(total == 0, np.nan, 2 * sums[..., 2] / np.maximum(total, 1))


def randomization_test(
    a: "NDArray[np.int64]", b: "NDArray[np.int64]", times: int = PERMUTATIONS, seed: int = SEED
) -> float:
    """Return the two-sided p-value of a difference in micro-F1, from sums (articles, 3).

    The approximate randomization test: were they the same, it would not matter on any article which of the two is
    which. The smallest p that it can give is 1 / (times + 1).

    References:
        Noreen 1989, Computer-Intensive Methods for Testing Hypotheses; Yeh 2000, COLING.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    observed = float(np.nan_to_num(f1(a.sum(0)) - f1(b.sum(0))))
    rows, as_large = max(1, _DRAWS // len(a)), 0
    for start in range(0, times, rows):
        swapped = rng.integers(0, 2, (min(rows, times - start), len(a)), dtype=np.uint8)
        moved = swapped.astype(float) @ (a - b).astype(float)
        differences = np.nan_to_num(f1(a.sum(0) - moved) - f1(b.sum(0) + moved))
        as_large += int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return (1 + as_large) / (times + 1)


def corrected_t_test(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Return mean, low, high and p-value of differences on the folds of a cross-validation.

    The corrected resampled t-test: training sets overlap, so that the variance of the mean is not s²/k but
    (1/k + test/train) s², where test/train is 1/(k - 1).

    References:
        Nadeau and Bengio 2003, Machine Learning 52:239.
    """
    folds = len(differences)
    mean = sum(differences) / folds
    variance = sum((difference - mean) ** 2 for difference in differences) / (folds - 1)
    error = math.sqrt((1 / folds + 1 / (folds - 1)) * variance)
    if not error:
        return mean, mean, mean, float(mean == 0)
    width = t_quantile(1 - LEVEL / 2, folds - 1) * error
    return mean, mean - width, mean + width, t_p_value(mean / error, folds - 1)


def minimum_detectable_difference(error: float, articles: float, tests: int = 1) -> float:
    """Return the minimum detectable difference at the power `POWER`, from a standard error.

    Where it is one of several tests, it must hold at the level that is left for each: `LEVEL` divided by their number.
    """
    freedom = articles - 1
    width = t_quantile(1 - LEVEL / tests / 2, freedom) + t_quantile(POWER, freedom)
    return width * error * math.sqrt(articles / max(freedom, 0.5))
