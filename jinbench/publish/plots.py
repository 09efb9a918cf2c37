"""Figures of the card as PNG; equal records give equal bytes."""

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinbench.baselines.learning_curve import LearningCurve
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import require_packages
from jinbench.dataset import load
from jinbench.dataset.splits import SPLITS
from jinbench.leaderboard.board import Board
from jinbench.scoring.gold import FOLDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the splits: from Tol's bright scheme, which is safe for colour-blind readers.
COLOURS = dict(zip(SPLITS, ("#4477AA", "#CCBB44", "#EE6677"), strict=True))
SYSTEM, ORACLE, ANNOTATOR = "#4477AA", "#AA3377", "#888888"
CURVE_COLOURS = (SYSTEM, "#EE6677", "#228833", "#AA3377", "#CCBB44")  # of learning curves
BAR_HEIGHT = 0.26  # inches


def plot_labels(benchmark: Benchmark) -> bytes:
    """Plot the number of items with each label, by split."""
    counts, names_of = load.read_statistics(benchmark), load.read_manifest(benchmark)["labels"]
    panels = {
        unit: {name: counts[kind][name] for name in names_of[config]}
        for unit, kind, config in (("entity spans", "entities", "ner"), ("passages", "sectors", "sector"))
    }
    figure = _figure(max(map(len, panels.values())), columns=len(panels))
    for axes, (unit, names) in zip(figure.axes, panels.items(), strict=True):
        left = [0] * len(names)
        for split in SPLITS:
            widths = [per_split[split] for per_split in names.values()]
            axes.barh(list(names), widths, left=left, color=COLOURS[split], height=0.75)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for y, total in enumerate(left):
            axes.text(total, y, f" {total}", va="center", fontsize=8)
        axes.set_xlabel(unit)
        axes.invert_yaxis()
        axes.margins(x=0.1)
    _add_split_legend(figure)
    return _to_png(figure)


def plot_articles(benchmark: Benchmark) -> bytes:
    """Plot the number of entity spans of each article, largest first."""
    sizes: dict[tuple[str, str], int] = {}
    for row in load.read_rows(benchmark, "ner"):
        key = row["article_id"], row["split"]
        sizes[key] = sizes.get(key, 0) + len(row["spans"])
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    figure = _figure(len(ordered))
    axes = figure.axes[0]
    axes.barh(
        [name for (name, _), _ in ordered],
        [size for _, size in ordered],
        color=[COLOURS[split] for (_, split), _ in ordered],
        height=0.75,
    )
    for y, (_, size) in enumerate(ordered):
        axes.text(size, y, f" {size}", va="center", fontsize=8)
    axes.set_xlabel("entity spans")
    axes.invert_yaxis()
    axes.margins(x=0.05, y=0.01)
    _add_split_legend(figure)
    return _to_png(figure)


def plot_scores(boards: Sequence[Board]) -> bytes:
    """Plot the cross-validated micro-F1 of systems and annotators with their confidence intervals."""
    panels = [board for board in boards if board.split == FOLDS and board.rows and not board.crosswalk]
    figure = _figure(max((len(board.rows) for board in panels), default=1), columns=max(len(panels), 1))
    for axes, board in zip(figure.axes, panels, strict=True):
        for y, row in enumerate(board.rows):
            cell = row.score.micro
            if cell.f1 is None or cell.low is None or cell.high is None:
                continue
            colour = ORACLE if row.about.oracle_inputs else ANNOTATOR if row.about.annotator else SYSTEM
            axes.plot([cell.low, cell.high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([cell.f1], [y], "o", color=colour, markersize=5)
        axes.set_yticks(
            range(len(board.rows)),
            [row.display_name for row in board.rows],
        )
        axes.set_ylim(len(board.rows) - 0.5, -0.5)
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("micro-F1, 95 % interval by article")
        axes.set_title(board.task, fontsize=10)
        axes.grid(axis="x", linewidth=0.4)
    from matplotlib.lines import Line2D

    marks = {"system": SYSTEM, "annotator: the gold is made from labels like theirs": ANNOTATOR}
    if any(row.about.oracle_inputs for board in panels for row in board.rows):
        marks["oracle input: some of the gold"] = ORACLE
    handles = [Line2D([], [], color=colour, marker="o", label=label) for label, colour in marks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(marks), frameon=False, fontsize=8)
    return _to_png(figure)


def plot_learning_curves(curves: Sequence[LearningCurve]) -> bytes:
    """Plot micro-F1 over the number of training articles, one panel per task; small dots are single repeats."""
    tasks = list(dict.fromkeys(curve.task for curve in curves))
    figure = _figure(12, columns=len(tasks))
    for axes, task in zip(figure.axes, tasks, strict=True):
        task_curves = [curve for curve in curves if curve.task == task]
        for curve, colour in zip(task_curves, itertools.cycle(CURVE_COLOURS)):
            x, y = [p.articles for p in curve.points], [p.f1 for p in curve.points]
            axes.plot(x, y, "o-", color=colour, markersize=5, linewidth=1.5, label=curve.recipe)
            for p in curve.points:
                axes.plot([p.articles] * 2, [p.low, p.high], color=colour, linewidth=1.5, alpha=0.5)
                axes.plot([p.articles] * len(p.repeats), p.repeats, ".", color=colour, markersize=3, alpha=0.6)
        axes.set_xscale("log", base=2)
        ticks = [p.articles for p in task_curves[0].points]
        axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, max(0.6, *(1.1 * p.high for curve in task_curves for p in curve.points)))
        axes.set_xlabel("training articles (each step doubles them)")
        axes.set_ylabel("micro-F1, 95 % confidence interval by article")
        axes.set_title(task, fontsize=10)
        axes.grid(axis="y", linewidth=0.4)
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    return _to_png(figure)


def _figure(bars: int, columns: int = 1) -> "Figure":
    """Return a figure with `columns` axes side by side and room for `bars` bars; no pyplot, which keeps state."""
    require_packages("matplotlib")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(9, BAR_HEIGHT * bars + 1.2), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)
    for ax in axes[0]:
        _remove_frame(ax)
    return figure


def _add_split_legend(figure: "Figure") -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=COLOURS[split], label=split) for split in SPLITS]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(SPLITS), frameon=False, fontsize=8)


def _remove_frame(axes: "Axes") -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)


def _to_png(figure: "Figure") -> bytes:
    """Encode as PNG without software name and date."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
