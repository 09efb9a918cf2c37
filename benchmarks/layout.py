"""Accuracy of the proposal of `jinbench seeds add`, on pages that were assembled by hand, each held out in turn.

    python benchmarks/layout.py                     # each of the five pages, by what is learnt from the other four
    python benchmarks/layout.py --write             # learns from all five, and writes layouts.json
    python benchmarks/layout.py --check             # checks that layouts.json is what is learnt from the pages

For a page, everything is learnt from the others: the coefficients of the models (kinds of lines, where an article
begins, what an unfinished line continues in), and, by leaving out each of these others in turn once more, the
regularisation, the two thresholds, and the line from the margin of a join to its confidence. How often words occur on
the page itself is evidence for its joins: it comes with a page and has no labels; `--without-own` leaves that out
too. The features, the rules that make articles of lines, and their constants (COPIES_WEIGHT among them) were written
by somebody who knew all five pages: of that nothing can be held out.
"""

import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import layout_learning
import numpy as np
import typer
from layout_learning import AssembledPage, learn_model, leave_one_out, read_assembled_pages

from jinbench.core import files
from jinbench.seeds.layout.features import ALL_KINDS
from jinbench.seeds.layout.joins import find_join_candidates
from jinbench.seeds.layout.model import LayoutModel
from jinbench.seeds.layout.propose import PageProposal, propose_articles

ROOT = Path(__file__).resolve().parent.parent


def compute_f1(n_correct: int, n_proposed: int, n_gold: int) -> dict[str, float]:
    return {
        "right": n_correct, "proposed": n_proposed, "gold": n_gold,
        "precision": n_correct / n_proposed if n_proposed else 0.0,
        "recall": n_correct / n_gold if n_gold else 0.0,
        "f1": 2 * n_correct / (n_proposed + n_gold) if n_proposed + n_gold else 1.0,
    }  # fmt: skip


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the mean over the kinds of the pages, of pairs (gold, proposed)."""
    scores = []
    for kind in sorted({gold for gold, _ in pairs}):
        correct = sum(gold == proposed == kind for gold, proposed in pairs)
        scores.append(2 * correct / (sum(g == kind for g, _ in pairs) + sum(p == kind for _, p in pairs)))
    return sum(scores) / len(scores)


def proposed_articles(proposal: PageProposal) -> list[str]:
    """Return the article that each line is proposed for; "" for boilerplate."""
    names = [""] * len(proposal.lines)
    for n, article in enumerate(proposal.articles):
        for line in article.lines:
            names[line] = f"{n}"
    return names


def first_lines(articles: Sequence[str]) -> set[int]:
    """Return the first line on the page of every article."""
    return {articles.index(name) for name in set(articles) if name}


def count_pairs(gold: Sequence[str], proposed: Sequence[str]) -> tuple[int, int, int]:
    """Return the numbers of pairs of lines that are in one article: in both, as proposed, in the gold."""

    def pairs(counts: Iterable[int]) -> int:
        return sum(n * (n - 1) // 2 for n in counts)

    both = Counter((a, b) for a, b in zip(gold, proposed, strict=True) if a and b)
    in_proposal, in_gold = Counter(b for b in proposed if b), Counter(a for a in gold if a)
    return pairs(both.values()), pairs(in_proposal.values()), pairs(in_gold.values())


def count_moved(page: AssembledPage, proposal: PageProposal) -> tuple[int, int]:
    """Return the characters that have to be moved, and all of the page.

    Articles are matched so that most characters stay; what is in another article moves, and within each article what is
    not on the longest chain, in characters, of lines that are in order already.
    """
    from scipy.optimize import linear_sum_assignment

    proposed = proposed_articles(proposal)
    names, ours = sorted(set(page.articles)), sorted(set(proposed))
    sizes = [len(line.text) for line in page.lines]
    shared = np.zeros((len(names), len(ours)))
    for i, size in enumerate(sizes):
        shared[names.index(page.articles[i]), ours.index(proposed[i])] += size
    if "" in names and "" in ours:  # boilerplate stays boilerplate
        shared[names.index(""), ours.index("")] += 10 * sum(sizes)
    matched = {(names[a], ours[b]) for a, b in zip(*linear_sum_assignment(shared, maximize=True), strict=True)}
    unmoved = 0
    for a, b in matched:
        if (a == "") != (b == ""):
            continue
        members = [i for i in range(len(sizes)) if page.articles[i] == a and proposed[i] == b]
        order = [i for i in proposal.articles[int(b)].lines if i in set(members)] if b else members
        ranks = [page.ranks[i] for i in order] if a else list(range(len(order)))
        unmoved += heaviest_chain(ranks, [sizes[i] for i in order])
    return sum(sizes) - unmoved, sum(sizes)


def heaviest_chain(ranks: Sequence[int], weights: Sequence[int]) -> int:
    """Return the weight of the heaviest rising chain."""
    best: list[int] = []
    for n, rank in enumerate(ranks):
        best.append(weights[n] + max((best[m] for m in range(n) if ranks[m] < rank), default=0))
    return max(best, default=0)


def count_neighbours(page: AssembledPage, proposal: PageProposal) -> tuple[int, int]:
    """Return how many direct successions of lines in the gold articles are in the proposal too, and all of them."""

    def pairs(orders: Iterable[Sequence[int]]) -> set[tuple[int, int]]:
        return {pair for order in orders for pair in itertools.pairwise(order)}

    names = sorted({name for name in page.articles if name})
    gold = pairs(
        sorted((i for i, a in enumerate(page.articles) if a == name), key=lambda i: page.ranks[i]) for name in names
    )
    return len(gold & pairs(article.lines for article in proposal.articles)), len(gold)


def join_to_next(page: AssembledPage) -> set[tuple[int, int]]:
    """Return the joins of the baseline: every unfinished line continues in the next line of body text."""
    unfinished, _ = find_join_candidates(page.lines, page.body)
    following = dict(itertools.pairwise(page.body))
    return {(i, following[i]) for i in unfinished if i in following}


def measure_page(page: AssembledPage, model: LayoutModel) -> dict[str, Any]:
    """Return counts for one page, which can be summed, and its proposal."""
    proposal = propose_articles(page.lines, model, count_page=layout_learning.COUNT_PAGE)
    proposed, joins = proposed_articles(proposal), {(a, b): confidence for a, b, confidence in proposal.joins}
    baseline, proposed_firsts, gold_firsts = join_to_next(page), first_lines(proposed), first_lines(page.articles)
    starts = {min(article.lines): article.confidence for article in proposal.articles}
    return {
        "kinds": list(zip(page.kinds, proposal.kinds, strict=True)),
        "boundaries": (len(proposed_firsts & gold_firsts), len(proposed_firsts), len(gold_firsts)),
        "pairs": count_pairs(page.articles, proposed),
        "pairs, all one article": count_pairs(page.articles, ["0"] * len(proposed)),
        "neighbours": count_neighbours(page, proposal),
        "joins": (len(joins.keys() & page.joins), len(joins), len(page.joins)),
        "joins, always the next": (len(baseline & page.joins), len(baseline), len(page.joins)),
        "moved": count_moved(page, proposal),
        "confidence of kinds": [
            (c, gold == kind) for c, gold, kind in zip(proposal.confidences, page.kinds, proposal.kinds, strict=True)
        ],
        "confidence of joins": [(confidence, pair in page.joins) for pair, confidence in joins.items()],
        "confidence of boundaries": [(confidence, i in gold_firsts) for i, confidence in starts.items()],
        "proposal": proposal,
    }


BANDS = ((0.9, 1.01), (0.7, 0.9), (0.5, 0.7), (0.0, 0.5))


def summarize(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one page, or of several together."""

    def total(name: str) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(part[name] for part in parts), strict=True)))

    kinds = [pair for part in parts for pair in part["kinds"]]
    correct, pairs = total("neighbours")
    to_move, characters = total("moved")
    bands = {}
    for name in ("kinds", "joins", "boundaries"):
        confidences = [pair for part in parts for pair in part[f"confidence of {name}"]]
        bands[name] = [
            {"from": low, "to": min(high, 1.0), "n": len(inside), "right": sum(is_right for _, is_right in inside),
             "expected": sum(confidence for confidence, _ in inside)}
            for low, high in BANDS
            if (inside := [pair for pair in confidences if low <= pair[0] < high])
        ]  # fmt: skip
    return {
        "lines": len(kinds),
        "kinds": {"accuracy": sum(g == p for g, p in kinds) / len(kinds), "macro_f1": macro_f1(kinds)},
        "kinds, all body": {
            "accuracy": sum(g == "body" for g, _ in kinds) / len(kinds),
            "macro_f1": macro_f1([(g, "body") for g, _ in kinds]),
        },
        "kinds, by kind": {
            kind: compute_f1(
                sum(g == p == kind for g, p in kinds),
                sum(p == kind for _, p in kinds),
                sum(g == kind for g, _ in kinds),
            )
            for kind in ALL_KINDS
        },
        "boundaries": compute_f1(*total("boundaries")),
        "membership": compute_f1(*total("pairs")),
        "membership, all one article": compute_f1(*total("pairs, all one article")),
        "order": {"right": correct, "pairs": pairs, "share": correct / pairs if pairs else 1.0},
        "joins": compute_f1(*total("joins")),
        "joins, never": compute_f1(0, 0, total("joins")[2]),
        "joins, always the next": compute_f1(*total("joins, always the next")),
        "moved": {"characters": to_move, "of": characters, "share": to_move / characters},
        "confidence": bands,
    }


def _format_row(name: str, figures: dict[str, Any]) -> str:
    joins, moved = figures["joins"], figures["moved"]
    cells = [name, figures["lines"], figures["kinds"]["accuracy"], figures["kinds"]["macro_f1"],
             figures["boundaries"]["f1"], figures["membership"]["f1"], figures["order"]["share"], joins["precision"],
             joins["recall"], joins["f1"], moved["characters"], moved["share"]]  # fmt: skip
    return " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells)


BASELINES = (
    ("kinds, all body", "accuracy"), ("kinds, all body", "macro_f1"), ("membership, all one article", "f1"),
    ("joins, never", "f1"), ("joins, always the next", "precision"), ("joins, always the next", "recall"),
    ("joins, always the next", "f1"),
)  # fmt: skip
HEADER = ("page | lines | kinds: accuracy | macro-F1 | boundaries F1 | membership F1 | order | "
          "joins P | R | F1 | characters to move | share")  # fmt: skip


def main(
    root: Annotated[Path, typer.Option(help="A benchmark of pages assembled by hand, two or more.")] = ROOT,
    write: Annotated[bool, typer.Option("--write", help="Learn from all pages, and write layouts.json.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check whether layouts.json is up to date.")] = False,
    without_own: Annotated[
        bool, typer.Option("--without-own", help="Join without counting the words of the page itself.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--errors", help="Print every line whose kind is wrong, and every join.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Measure the proposal of `jinbench seeds add`, each page held out in turn."""
    layout_learning.COUNT_PAGE = not without_own
    pages = read_assembled_pages(root)
    if write or check:
        text = files.dump_json(learn_model(pages).to_dict())
        path = ROOT / "jinbench" / "seeds" / "layout" / "layouts.json"
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if write:
            files.write_text(path, text)
        typer.echo(f"{files.display_path(path)}: {'unchanged' if same else 'written' if write else 'differs'}")
        raise SystemExit(0 if same or write else 1)
    parts = []
    for page, others in leave_one_out(pages):
        parts.append(measure_page(page, learn_model(others)))
        print(f"page {page.page} measured", file=sys.stderr)
        if show:
            _print_errors(page, parts[-1]["proposal"])
    results = {page.page: summarize([part]) for page, part in zip(pages, parts, strict=True)}
    results["all"] = summarize(parts)
    if as_json:
        typer.echo(json.dumps(results, indent=1))
        return
    print(HEADER)
    for name, figures in results.items():
        print(_format_row(name, figures))
    total = results["all"]
    for name, figure in BASELINES:
        print(f"baseline {name}: {figure} {total[name][figure]:.2f}")
    print("kinds: " + ", ".join(f"{kind} {v['f1']:.2f} ({v['gold']})" for kind, v in total["kinds, by kind"].items()))
    for name, bands in total["confidence"].items():
        for band in bands:
            print(f"confidence of {name} {band['from']:.1f} to {band['to']:.1f}: right {band['right']} of {band['n']}"
                  f" ({band['right'] / band['n']:.2f}; expected {band['expected'] / band['n']:.2f})")  # fmt: skip


def _print_errors(page: AssembledPage, proposal: PageProposal) -> None:
    for line, gold, kind, confidence in zip(page.lines, page.kinds, proposal.kinds, proposal.confidences, strict=True):
        if gold != kind:
            print(f"  {page.page}:{line.ref} {gold} taken for {kind} ({confidence:.2f}): {line.text[:40]}")
    joins = {(a, b): confidence for a, b, confidence in proposal.joins}
    for pair in sorted(page.joins | joins.keys()):
        result = "missed" if pair not in joins else "right" if pair in page.joins else "wrong"
        refs = "+".join(page.lines[i].ref for i in pair)
        print(f"  {page.page} join {refs} {result} {joins.get(pair, 0):.2f}")
    for name, articles in (("proposed", proposed_articles(proposal)), ("gold", page.articles)):
        print(f"  first lines, {name}:", [page.lines[i].ref for i in sorted(first_lines(articles))])
    for article in proposal.articles:
        pieces = [f"{p.kind[:4]} {'+'.join(page.lines[i].ref for i in p.lines)}" for p in article.pieces]
        print("   ", f"{article.confidence:.2f}", pieces)


if __name__ == "__main__":
    typer.run(main)
