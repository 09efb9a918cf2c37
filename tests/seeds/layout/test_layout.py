"""Lines, layout models, joins and proposals; and the benchmark that measures and learns them."""

import importlib
import json
import random
import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.core.benchmark import Benchmark
from jinbench.seeds.articles import read_seeds, summarize_pages
from jinbench.seeds.layout import propose
from jinbench.seeds.layout.features import (
    LINE_CLASSES,
    SENTENCE_END,
    extract_headline_features,
    extract_line_features,
    extract_start_features,
)
from jinbench.seeds.layout.joins import Join, JoinEvidence, extract_join_features, find_join_candidates, select_joins
from jinbench.seeds.layout.lines import Line, detect_repairs, split_lines
from jinbench.seeds.layout.model import LayoutModel, LinearModel, load_model
from jinbench.seeds.layout.propose import DraftArticle, DraftPiece, PageProposal, propose_articles
from tests.helpers.pages import BITS, PAGE
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return importlib.import_module("layout")


@pytest.fixture(scope="module")
def learning() -> ModuleType:
    return importlib.import_module("layout_learning")


@pytest.fixture(scope="module")
def model_of_four(learning: ModuleType) -> LayoutModel:
    """Return what is learnt from all pages but the last."""
    model: LayoutModel = learning.learn_model(learning.read_assembled_pages(ROOT)[:4])
    return model


def lines(*texts: str) -> list[Line]:
    return split_lines("\n\n".join(texts))[0]


# Lines


def test_a_continuation_line_is_split_from_its_line() -> None:
    split, _ = split_lines("甲\n\n\n(上接第1版)乙还在。\n丙说(下转第3版)\n(上接第2版)\n")
    assert [
        (line.number, line.ref, line.text, line.blank_before, line.is_continuation, line.follows_continuation)
        for line in split
    ] == [
        (1, "1", "甲", 0, False, False),
        (4, "4[:7]", "(上接第1版)", 2, True, False),
        (4, "4[7:]", "乙还在。", 0, False, True),
        (5, "5[:2]", "丙说", 0, False, False),
        (5, "5[2:]", "(下转第3版)", 0, True, False),
        (6, "6", "(上接第2版)", 0, True, False),
    ]


def test_lines_emptied_by_repairs_are_returned() -> None:
    assert split_lines("(yǔ)\n雨(yǔ)\n", ["pinyin"])[1] == [1]
    assert [line.text for line in split_lines("(yǔ)\n雨(yǔ)\n", ["pinyin"])[0]] == ["雨"]


def test_repairs_of_the_committed_pages_are_detected(real: Benchmark) -> None:
    for page in read_seeds(real).pages:
        assert detect_repairs(page.text) == page.repairs


@pytest.mark.parametrize(
    ("page", "repairs"),
    [
        ("新码头昨天开工。", ()),
        ("新碼頭昨天開工,這個碼頭占地三萬平方米。", ("script:t2s",)),
        ("他說" * 5 + '"好" 與 "壞" 。', ("quotes", "script:t2s")),
        ("共 3 条、 5 个、 8 座的新航线", ("spacing",)),
        ("共3条、5个、8座的新航线 A", ()),
        ('The "new quay" was opened, "at last".', ()),
        ("生僻字如龘(dá)在括号里注音", ()),
    ],
)
def test_repairs_are_detected_only_where_needed(page: str, repairs: tuple[str, ...]) -> None:
    assert detect_repairs(page) == repairs


# The models of the package


def test_no_name_of_a_place_is_in_the_model() -> None:
    text = (ROOT / "jinbench" / "seeds" / "layout" / "layouts.json").read_text(encoding="utf-8")
    assert text.isascii()
    table = json.loads(text)
    assert not re.search("tianjin|jinbench", text, re.IGNORECASE)
    assert set(table["forms"]["weights"]) == set(LINE_CLASSES)
    modules = sorted((ROOT / "jinbench" / "seeds").rglob("*.py"))
    assert len(modules) > 8
    for module in modules:
        assert not re.search("天津|[Tt]ianjin|海河|滨海", module.read_text(encoding="utf-8"))


def test_features_are_those_of_the_committed_model() -> None:
    page = lines("新码头昨天开工", "天津港的新码头昨天开工,", "工期2年。")
    model = load_model()
    classes = ["heading", "body", "body"]
    assert tuple(extract_line_features(page)[0]) == model.line_classes.features
    assert tuple(extract_start_features(page, classes, [[0]], ())[0]) == model.article_starts.features
    assert tuple(extract_headline_features(["甲", "乙"])[0]) == model.headlines.features
    assert tuple(extract_join_features(page, [1, 2], [(1, 2)], JoinEvidence(page))[0]) == model.joins.features
    assert LayoutModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


@pytest.mark.slow
def test_the_committed_model_is_learnt_from_the_pages(learning: ModuleType) -> None:
    """To within what rounding may do on another machine."""
    learnt, committed = learning.learn_model(learning.read_assembled_pages(ROOT)), load_model()
    for name in ("line_classes", "article_starts", "headlines", "joins"):
        assert getattr(learnt, name).classes == tuple(sorted(getattr(committed, name).classes))
        assert np.allclose(getattr(learnt, name).weights, getattr(committed, name).weights, atol=0.0051)
    assert np.allclose(
        (*learnt.join_calibration, learnt.start_threshold),
        (*committed.join_calibration, committed.start_threshold),
        atol=0.0051,
    )


def test_probabilities_by_hand() -> None:
    model = LinearModel(("a", "b"), ("x",), ((2.0, 0.0), (0.0, 1.0)))
    assert model.scores(np.array([[1.0], [0.0]])).tolist() == [[2.0, 1.0], [0.0, 1.0]]
    assert np.allclose(model.probabilities(np.array([[1.0]])), [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]])
    assert LinearModel(("yes",), ("x",), ((3.0, -3.0),)).probabilities(np.array([[1.0]])).tolist() == [[0.5]]


# Joins


def test_joins_are_the_best_together_not_one_by_one() -> None:
    """0 fits 5 best, but 1 fits nothing else."""
    pairs = [(0, 5), (0, 6), (1, 5), (1, 6)]
    joins = select_joins([0, 1], pairs, np.array([4.0, 3.0, 3.5, -2.0]))
    assert [(join.first, join.second) for join in joins] == [(0, 6), (1, 5)]
    assert [join.margin for join in joins] == [3.0 - 4.0, 3.5 - 4.0]


def test_a_line_without_a_likely_continuation_stays_torn() -> None:
    joins = select_joins([0, 1], [(0, 5), (1, 5)], np.array([2.0, 1.5]))
    assert [(join.first, join.second, join.margin) for join in joins] == [(0, 5, 0.5)]
    assert select_joins([0], [(0, 1)], np.array([-0.1])) == []
    assert select_joins([0], [], np.array([])) == []


def test_joins_close_no_circle() -> None:
    joins = select_joins([0, 1, 2], [(0, 1), (1, 2), (2, 0)], np.array([5.0, 4.0, 3.0]))
    assert [(join.first, join.second) for join in joins] == [(0, 1), (1, 2)]


def test_join_evidence_by_hand() -> None:
    evidence = JoinEvidence(lines("码头工程", "码头工期", "港口"))
    features = evidence.score("新码", "头工地")
    assert features["two together"] == pytest.approx(np.log(3))  # 码头 occurs twice
    assert features["three together"] == pytest.approx(np.log(3))  # 码头工
    assert features["four together"] == 0
    assert JoinEvidence(lines("码头工程"), count_page=False).score("新码", "头")["two together"] == 0
    assert JoinEvidence([]).score("带来全新消费体", "验")["a word"] == 1  # 体验


def test_text_after_a_continuation_line_continues_no_line_of_the_page() -> None:
    page = lines("一个没有说完的", "(上接第1版)", "句子。", "(上接第2版)另一个句子。", "第三个。")
    body = [i for i, line in enumerate(page) if not line.is_continuation]
    assert find_join_candidates(page, body)[1] == [(0, 5)]


# Articles


def test_a_page_with_two_articles_and_a_torn_column() -> None:
    proposal = propose_articles(lines(*PAGE))
    assert [[(piece.kind, piece.lines) for piece in article.pieces] for article in proposal.articles] == [
        [("headline", (0,)), ("body", (1,)), ("body", (2, 3)), ("byline", (4,))],
        [("headline", (5,)), ("body", (6,)), ("body", (7,)), ("byline", (8,))],
    ]
    assert all(0 <= piece.confidence <= 1 for article in proposal.articles for piece in article.pieces)
    assert proposal.joins[0][:2] == (2, 3)


@pytest.mark.parametrize(
    ("blocks", "kinds", "joins", "groups"),
    [
        # A heading below its text; one above it; one between two texts, which belongs to the one below.
        ([[0], [1]], "body headline", [], [[0, 1]]),
        ([[0], [1]], "headline body", [], [[0, 1]]),
        ([[0, 1], [2], [3]], "headline body headline body", [], [[0], [1, 2]]),
        # Nothing below it: it belongs to the text above, and so does a caption.
        ([[0, 1], [2]], "headline body headline", [], [[0, 1]]),
        ([[0, 1], [2]], "headline body caption", [], [[0, 1]]),
        # Two articles that interleave, and one that continues above itself.
        ([[0], [1], [2], [3]], "body body body body", [(0, 2), (1, 3)], [[0, 2], [1, 3]]),
        ([[0], [1], [2]], "body body body", [(2, 0)], [[2, 0], [1]]),
    ],
)
def test_blocks_are_grouped(
    blocks: list[list[int]], kinds: str, joins: list[tuple[int, int]], groups: list[list[int]]
) -> None:
    assert propose._group_blocks(blocks, kinds.split(), [Join(a, b, 1.0) for a, b in joins]) == groups


def test_a_block_that_continues_above_itself_begins_where_an_article_may() -> None:
    """Lines 3 and 4 are below, and line 1 continues line 4."""
    starts = [0.9, 0.0, 0.1, 0.4, 0.2, 0.0]
    assert propose._reorder_block([0, 1, 2, 3, 4, 5], {(4, 1): 0.8}, starts) == [0, 3, 4, 1, 2, 5]
    assert propose._reorder_block([0, 1, 2], {(0, 2): 0.8}, starts) == [0, 1, 2]


def test_proposals_are_reproducible() -> None:
    assert propose_articles(lines(*PAGE)) == propose_articles(lines(*PAGE))


def test_a_single_article_stays_one() -> None:
    proposal = propose_articles(lines(*PAGE), single_article=True, title_lines=1)
    assert len(proposal.articles) == 1
    assert sorted(proposal.articles[0].lines) == list(range(9))
    assert (proposal.articles[0].pieces[0].kind, proposal.articles[0].pieces[0].confidence) == ("headline", 1.0)
    assert [piece.kind for piece in proposal.articles[0].pieces].count("headline") == 1
    short = propose_articles(lines("甲", "还没有"), single_article=True, title_lines=1)
    assert [piece.kind for piece in short.articles[0].pieces] == ["headline", "body"]


def test_menus_of_a_web_page_are_boilerplate() -> None:
    menu = ["产业园区特色小镇服务平台", "园区梦工场创业投资服务", "城市更新与产业发展论坛", "招商引资政策解读与服务",
            "企业上市辅导与培训中心", "数字经济产业创新联盟网", "产业地产研究院年度报告", "智能制造示范工厂名录查",
            "人才引进与落户办事指南", "园区物业管理与维修申报"]  # fmt: skip
    proposal = propose_articles(lines(*menu, *PAGE[:4]))
    assert proposal.boilerplate == tuple(range(10))
    assert [len(article.lines) for article in proposal.articles] == [4]

    classes, confidences = ["heading"] * 10 + ["body"], [0.9] * 11
    propose._mark_web_boilerplate(lines(*menu[:9], *PAGE[:2]), classes, confidences)
    assert classes == ["furniture"] * 9 + ["heading", "body"]
    assert max(confidences[:9]) < propose.DOUBTFUL  # a rule of thumb: a person should look


def test_an_empty_page_and_one_of_boilerplate_alone() -> None:
    assert propose_articles([]).articles == ()
    menu = lines(*(f"{n} > 首页" for n in range(12)))
    assert sorted(propose_articles(menu).articles[0].lines) == list(range(12))


@given(st.lists(st.lists(st.sampled_from(BITS), max_size=8).map("".join), max_size=25), st.booleans())
@settings(max_examples=120)
def test_every_line_is_proposed_once(texts: list[str], single_article: bool) -> None:
    page, emptied = split_lines("\n".join(texts))
    assert emptied == []
    proposal = propose_articles(page, single_article=single_article)
    used = [line for article in proposal.articles for line in article.lines]
    assert sorted([*used, *proposal.boilerplate]) == list(range(len(page)))
    assert all(len(piece.joins) == len(piece.lines) - 1 for article in proposal.articles for piece in article.pieces)


# The benchmark


def test_a_held_out_page_gets_the_same_proposal_whatever_its_labels(
    benchmark: ModuleType, learning: ModuleType, model_of_four: LayoutModel
) -> None:
    pages = learning.read_assembled_pages(ROOT)
    held_out = pages[4]
    n = len(held_out.lines)
    blank = learning.AssembledPage(held_out.page, held_out.lines, ["body"] * n, ["x"] * n, list(range(n)), set())
    pairs = list(learning.leave_one_out(pages))
    assert [page.page for page, _ in pairs] == ["000", "001", "002", "003", "004"]
    assert all(page not in rest and len(rest) == 4 for page, rest in pairs)
    proposals = [benchmark.measure_page(page, model_of_four)["proposal"] for page in (held_out, blank)]
    assert proposals[0] == proposals[1]


def test_a_held_out_page_is_assembled_mostly_right(
    benchmark: ModuleType, learning: ModuleType, model_of_four: LayoutModel
) -> None:
    page = learning.read_assembled_pages(ROOT)[4]
    figures = benchmark.summarize([benchmark.measure_page(page, model_of_four)])
    assert figures["boundaries"]["f1"] == figures["joins"]["f1"] == 1
    assert figures["kinds"]["accuracy"] > 0.9 > figures["kinds, all body"]["accuracy"]


def join_texts(texts: list[str], joins: set[tuple[int, int]]) -> list[str]:
    """Return the texts, joined ones in one piece, in sorted order."""
    goes_to, seconds = dict(joins), {b for _, b in joins}
    joined = []
    for i, text in enumerate(texts):
        if i in seconds:
            continue
        while i in goes_to:
            i = goes_to[i]
            text += texts[i]
        joined.append(text)
    return sorted(joined)


def test_torn_up_pages_can_be_reassembled(learning: ModuleType) -> None:
    n_joins = 0
    for page in learning.read_assembled_pages(ROOT):
        whole = join_texts([line.text for line in page.lines], page.joins)
        outside = [line.text for line, kind, a in zip(page.lines, page.kinds, page.articles, strict=True)
                   if kind == "furniture" or not a]  # fmt: skip
        for seed in range(3):
            torn, classes, joins = learning.tear_up(page, random.Random(seed))
            n_joins += len(joins)
            assert sorted([*join_texts([line.text for line in torn], joins), *outside]) == whole
            for a, b in joins:
                assert classes[a] == classes[b] == "body"
                assert not SENTENCE_END.search(torn[a].text)
    assert n_joins > 40


def test_measures_by_hand(benchmark: ModuleType, learning: ModuleType) -> None:
    assert benchmark.count_pairs(["a", "a", "a", "b", ""], ["0", "0", "1", "1", "1"]) == (1, 4, 3)
    assert benchmark.macro_f1([("x", "x"), ("x", "y"), ("y", "y")]) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert benchmark.first_lines(["", "a", "b", "a"]) == {1, 2}
    assert benchmark.heaviest_chain([2, 1, 3], [5, 1, 1]) == 6
    assert benchmark.compute_f1(1, 2, 4) == {
        "right": 1,
        "proposed": 2,
        "gold": 4,
        "precision": 0.5,
        "recall": 0.25,
        "f1": 1 / 3,
    }
    page = learning.read_assembled_pages(ROOT)[3]
    right = [
        DraftArticle(tuple(DraftPiece(page.kinds[i], (i,), 1.0) for i in order), 1.0)
        for name in dict.fromkeys(page.articles)
        if (order := sorted((i for i, a in enumerate(page.articles) if a == name), key=lambda i: page.ranks[i]))
    ]

    def proposal(articles: list[DraftArticle]) -> PageProposal:
        return PageProposal(tuple(page.lines), tuple(page.kinds), (), (), tuple(articles), (), ())

    total = sum(len(line.text) for line in page.lines)
    assert benchmark.count_moved(page, proposal(right)) == (0, total)
    assert benchmark.count_neighbours(page, proposal(right)) == (len(page.lines) - 5, len(page.lines) - 5)
    first, rest = right[0], right[1:]
    headline_last = DraftArticle((*first.pieces[1:], first.pieces[0]), 1.0)
    assert benchmark.count_moved(page, proposal([headline_last, *rest])) == (len(page.lines[0].text), total)
    joined = DraftArticle((*right[3].pieces, *right[2].pieces), 1.0)  # two articles in one: the shorter one moves
    size = min(sum(len(page.lines[i].text) for i in right[n].lines) for n in (2, 3))
    assert benchmark.count_moved(page, proposal([*right[:2], joined, right[4]])) == (size, total)


def test_assembled_pages_agree_with_articles_toml(learning: ModuleType, real: Benchmark) -> None:
    pages = learning.read_assembled_pages(ROOT)
    seeds = read_seeds(real)
    summary = {row["page"]: row for row in summarize_pages(seeds)}
    for page in pages:
        assert sum(kind == "furniture" for kind in page.kinds) == summary[page.page]["boilerplate"]
        assert page.kinds.count("headline") == summary[page.page]["headline"]
        assert len({a for a, _ in page.joins}) == sum(
            len(passage.lines) - 1 for passage in seeds.passages() if passage.page_id == page.page
        )
    assert {(pages[0].lines[a].ref, pages[0].lines[b].ref) for a, b in pages[0].joins} >= {("65", "49"), ("77", "89")}
