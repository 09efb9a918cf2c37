"""What a page may fall into: lines, their forms, joins, articles; and the benchmark that measures it."""

import importlib.util
import json
import random
import re
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.core.benchmark import Benchmark
from jinbench.seeds import articles
from jinbench.seeds.layout import features as layouts
from jinbench.seeds.layout import model as layout_model
from jinbench.seeds.layout import propose
from jinbench.seeds.layout.joins import Evidence, Join, candidates, features, solve
from jinbench.seeds.layout.lines import Line, detect_repairs, split_lines
from tests.helpers.pages import BITS, PAGE
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layout", ROOT / "benchmarks" / "layout.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["layout"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def of_four(benchmark: ModuleType) -> layout_model.Model:
    """What all pages but the last teach."""
    model: layout_model.Model = benchmark.learn(benchmark.read(ROOT)[:4])
    return model


def lines(*texts: str) -> list[Line]:
    return split_lines("\n\n".join(texts))[0]


# Lines


def test_a_page_reference_is_a_part_of_its_line() -> None:
    found, _ = split_lines("甲\n\n\n(上接第1版)乙还在。\n丙说(下转第3版)\n(上接第2版)\n")
    assert [(line.number, line.ref, line.text, line.blank_before, line.is_continuation, line.follows_continuation) for line in found] == [
        (1, "1", "甲", 0, False, False),
        (4, "4[:7]", "(上接第1版)", 2, True, False),
        (4, "4[7:]", "乙还在。", 0, False, True),
        (5, "5[:2]", "丙说", 0, False, False),
        (5, "5[2:]", "(下转第3版)", 0, True, False),
        (6, "6", "(上接第2版)", 0, True, False),
    ]


def test_a_line_that_the_repairs_empty_is_told() -> None:
    assert split_lines("(yǔ)\n雨(yǔ)\n", ["pinyin"])[1] == [1]
    assert [line.text for line in split_lines("(yǔ)\n雨(yǔ)\n", ["pinyin"])[0]] == ["雨"]


def test_the_repairs_that_the_pages_got_by_hand_are_found(real: Benchmark) -> None:
    for page in articles.read_seeds(real).pages:
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
def test_repairs_only_where_a_page_shows_the_need(page: str, repairs: tuple[str, ...]) -> None:
    assert detect_repairs(page) == repairs


# What comes with the package


def test_nothing_in_the_model_names_a_place_or_a_person() -> None:
    text = (ROOT / "jinbench" / "seeds" / "layout" / "layouts.json").read_text(encoding="utf-8")
    assert text.isascii()
    table = json.loads(text)
    assert not re.search("tianjin|jinbench", text, re.IGNORECASE)
    assert set(table["forms"]["weights"]) == set(layouts.LINE_CLASSES)
    modules = sorted((ROOT / "jinbench" / "seeds").rglob("*.py"))
    assert len(modules) > 8
    for module in modules:
        assert not re.search("天津|[Tt]ianjin|海河|滨海", module.read_text(encoding="utf-8"))


def test_the_features_are_those_that_the_model_was_made_with() -> None:
    found = lines("新码头昨天开工", "天津港的新码头昨天开工,", "工期2年。")
    model = layout_model.model()
    assert tuple(layouts.features(found)[0]) == model.forms.features
    assert tuple(layouts.unit_features(found, ["heading", "body", "body"], [[0]], ())[0]) == model.begins.features
    assert tuple(layouts.main_features(["甲", "乙"])[0]) == model.main.features
    assert tuple(features(found, [1, 2], [(1, 2)], Evidence(found))[0]) == model.joins.features
    assert layout_model.model_of(json.loads(json.dumps(model.to_dict()))) == model


def test_the_model_is_what_the_pages_teach(benchmark: ModuleType) -> None:
    """To within what rounding may do on another machine."""
    learnt, shipped = benchmark.learn(benchmark.read(ROOT)), layout_model.model()
    for name in ("forms", "begins", "main", "joins"):
        assert getattr(learnt, name).classes == tuple(sorted(getattr(shipped, name).classes))
        assert np.allclose(getattr(learnt, name).weights, getattr(shipped, name).weights, atol=0.0051)
    assert np.allclose((*learnt.margin, learnt.threshold), (*shipped.margin, shipped.threshold), atol=0.0051)


def test_chances_by_hand() -> None:
    linear = layout_model.Linear(("a", "b"), ("x",), ((2.0, 0.0), (0.0, 1.0)))
    assert linear.scores(np.array([[1.0], [0.0]])).tolist() == [[2.0, 1.0], [0.0, 1.0]]
    assert np.allclose(linear.chances(np.array([[1.0]])), [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]])
    assert layout_model.Linear(("yes",), ("x",), ((3.0, -3.0),)).chances(np.array([[1.0]])).tolist() == [[0.5]]


# Joins


def test_the_joins_are_the_best_together_not_one_by_one() -> None:
    """0 fits 5 best, but 1 fits nothing else."""
    pairs = [(0, 5), (0, 6), (1, 5), (1, 6)]
    found = solve([0, 1], pairs, np.array([4.0, 3.0, 3.5, -2.0]))
    assert [(join.first, join.second) for join in found] == [(0, 6), (1, 5)]
    assert [join.margin for join in found] == [3.0 - 4.0, 3.5 - 4.0]


def test_what_fits_nothing_stays_torn() -> None:
    found = solve([0, 1], [(0, 5), (1, 5)], np.array([2.0, 1.5]))
    assert [(join.first, join.second, join.margin) for join in found] == [(0, 5, 0.5)]
    assert solve([0], [(0, 1)], np.array([-0.1])) == []
    assert solve([0], [], np.array([])) == []


def test_no_circle_is_closed() -> None:
    found = solve([0, 1, 2], [(0, 1), (1, 2), (2, 0)], np.array([5.0, 4.0, 3.0]))
    assert [(join.first, join.second) for join in found] == [(0, 1), (1, 2)]


def test_evidence_by_hand() -> None:
    evidence = Evidence(lines("码头工程", "码头工期", "港口"))
    found = evidence.across("新码", "头工地")
    assert found["two together"] == pytest.approx(np.log(3))  # 码头 stands twice
    assert found["three together"] == pytest.approx(np.log(3))  # 码头工
    assert found["four together"] == 0
    assert Evidence(lines("码头工程"), own=False).across("新码", "头")["two together"] == 0
    assert Evidence([]).across("带来全新消费体", "验")["a word"] == 1  # 体验


def test_what_stands_behind_a_page_reference_goes_on_from_elsewhere() -> None:
    found = lines("一个没有说完的", "(上接第1版)", "句子。", "(上接第2版)另一个句子。", "第三个。")
    texts = [i for i, line in enumerate(found) if not line.is_continuation]
    assert candidates(found, texts)[1] == [(0, 5)]


# Articles


def test_two_articles_and_a_torn_column() -> None:
    proposal = propose.propose(lines(*PAGE))
    assert [[(part.kind, part.lines) for part in draft.parts] for draft in proposal.drafts] == [
        [("headline", (0,)), ("body", (1,)), ("body", (2, 3)), ("byline", (4,))],
        [("headline", (5,)), ("body", (6,)), ("body", (7,)), ("byline", (8,))],
    ]
    assert all(0 <= part.chance <= 1 for draft in proposal.drafts for part in draft.parts)
    assert proposal.joins[0][:2] == (2, 3)


@pytest.mark.parametrize(
    ("blocks", "kinds", "joins", "groups"),
    [
        # A heading below its text; one above it; one that has both, and goes with what it stands above.
        ([[0], [1]], "body headline", [], [[0, 1]]),
        ([[0], [1]], "headline body", [], [[0, 1]]),
        ([[0, 1], [2], [3]], "headline body headline body", [], [[0], [1, 2]]),
        # Nothing below it: it stays with what stands above, and so does a caption.
        ([[0, 1], [2]], "headline body headline", [], [[0, 1]]),
        ([[0, 1], [2]], "headline body caption", [], [[0, 1]]),
        # Two articles that interleave, and one that goes on above itself.
        ([[0], [1], [2], [3]], "body body body body", [(0, 2), (1, 3)], [[0, 2], [1, 3]]),
        ([[0], [1], [2]], "body body body", [(2, 0)], [[2, 0], [1]]),
    ],
)
def test_blocks_that_belong_together(
    blocks: list[list[int]], kinds: str, joins: list[tuple[int, int]], groups: list[list[int]]
) -> None:
    found = propose._grouped(blocks, kinds.split(), [Join(a, b, 1.0) for a, b in joins])
    assert found == groups


def test_text_that_goes_on_above_itself_begins_where_an_article_may() -> None:
    """Lines 3 and 4 stand below, and end in what line 1 goes on from."""
    begins = [0.9, 0.0, 0.1, 0.4, 0.2, 0.0]
    assert propose._turned([0, 1, 2, 3, 4, 5], {(4, 1): 0.8}, begins) == [0, 3, 4, 1, 2, 5]
    assert propose._turned([0, 1, 2], {(0, 2): 0.8}, begins) == [0, 1, 2]


def test_the_same_page_gives_the_same_proposal() -> None:
    assert propose.propose(lines(*PAGE)) == propose.propose(lines(*PAGE))


def test_what_is_one_article_stays_one() -> None:
    proposal = propose.propose(lines(*PAGE), single=True, titles=1)
    assert len(proposal.drafts) == 1
    assert sorted(proposal.drafts[0].lines) == list(range(9))
    assert (proposal.drafts[0].parts[0].kind, proposal.drafts[0].parts[0].chance) == ("headline", 1.0)
    assert [part.kind for part in proposal.drafts[0].parts].count("headline") == 1
    short = propose.propose(lines("甲", "还没有"), single=True, titles=1)
    assert [part.kind for part in short.drafts[0].parts] == ["headline", "body"]


def test_menus_of_a_web_page_are_no_article() -> None:
    menu = ["产业园区特色小镇服务平台", "园区梦工场创业投资服务", "城市更新与产业发展论坛", "招商引资政策解读与服务",
            "企业上市辅导与培训中心", "数字经济产业创新联盟网", "产业地产研究院年度报告", "智能制造示范工厂名录查",
            "人才引进与落户办事指南", "园区物业管理与维修申报"]  # fmt: skip
    proposal = propose.propose(lines(*menu, *PAGE[:4]))
    assert proposal.furniture == tuple(range(10))
    assert [len(draft.lines) for draft in proposal.drafts] == [4]

    forms, chances = ["heading"] * 10 + ["body"], [0.9] * 11
    propose._clear(lines(*menu[:9], *PAGE[:2]), forms, chances)
    assert forms == ["furniture"] * 9 + ["heading", "body"]
    assert max(chances[:9]) < propose.DOUBTFUL  # a rule of thumb: somebody should look


def test_an_empty_page_and_one_of_furniture_alone() -> None:
    assert propose.propose([]).drafts == ()
    menu = lines(*(f"{n} > 首页" for n in range(12)))
    assert sorted(propose.propose(menu).drafts[0].lines) == list(range(12))


@given(st.lists(st.lists(st.sampled_from(BITS), max_size=8).map("".join), max_size=25), st.booleans())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_every_line_is_proposed_once(texts: list[str], single: bool) -> None:
    found, emptied = split_lines("\n".join(texts))
    assert emptied == []
    proposal = propose.propose(found, single=single)
    used = [line for draft in proposal.drafts for line in draft.lines]
    assert sorted([*used, *proposal.furniture]) == list(range(len(found)))
    assert all(len(part.joins) == len(part.lines) - 1 for draft in proposal.drafts for part in draft.parts)


# The benchmark


def test_what_is_measured_teaches_nothing(benchmark: ModuleType, of_four: layout_model.Model) -> None:
    """A page held out gets the same proposal whatever its own labels are."""
    pages = benchmark.read(ROOT)
    held = pages[4]
    blank = benchmark.Truth(held.page, held.lines, ["body"] * len(held.lines), ["x"] * len(held.lines),
                            list(range(len(held.lines))), set())  # fmt: skip
    pairs = list(benchmark._others(pages))
    assert [page.page for page, _ in pairs] == ["000", "001", "002", "003", "004"]
    assert all(page not in rest and len(rest) == 4 for page, rest in pairs)
    assert benchmark.measure(held, of_four)["proposal"] == benchmark.measure(blank, of_four)["proposal"]


def test_a_page_held_out_is_put_together_mostly_right(benchmark: ModuleType, of_four: layout_model.Model) -> None:
    found = benchmark.summary([benchmark.measure(benchmark.read(ROOT)[4], of_four)])
    assert found["boundaries"]["f1"] == found["joins"]["f1"] == 1
    assert found["kinds"]["accuracy"] > 0.9 > found["kinds, all body"]["accuracy"]


def chained(texts: list[str], joins: set[tuple[int, int]]) -> list[str]:
    """The running text, what is joined in one piece."""
    goes_to, seconds = dict(joins), {b for _, b in joins}
    found = []
    for i, text in enumerate(texts):
        if i in seconds:
            continue
        while i in goes_to:
            i = goes_to[i]
            text += texts[i]
        found.append(text)
    return sorted(found)


def test_pages_torn_up_can_be_put_together_again(benchmark: ModuleType) -> None:
    torn = 0
    for page in benchmark.read(ROOT):
        whole = chained([line.text for line in page.lines], page.joins)
        outside = [line.text for line, kind, a in zip(page.lines, page.kinds, page.article, strict=True)
                   if kind == "furniture" or not a]  # fmt: skip
        for seed in range(3):
            made, forms, joins = benchmark.torn_up(page, random.Random(seed))
            torn += len(joins)
            assert sorted([*chained([line.text for line in made], joins), *outside]) == whole
            for a, b in joins:
                assert forms[a] == forms[b] == "body"
                assert not layouts.SENTENCE_END.search(made[a].text)
    assert torn > 40


def test_the_measures_by_hand(benchmark: ModuleType) -> None:
    assert benchmark.pair_counts(["a", "a", "a", "b", ""], ["0", "0", "1", "1", "1"]) == (1, 4, 3)
    assert benchmark.macro_f1([("x", "x"), ("x", "y"), ("y", "y")]) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert benchmark.firsts(["", "a", "b", "a"]) == {1, 2}
    assert benchmark._heaviest([2, 1, 3], [5, 1, 1]) == 6
    assert benchmark._f1(1, 2, 4) == {
        "right": 1,
        "proposed": 2,
        "there": 4,
        "precision": 0.5,
        "recall": 0.25,
        "f1": 1 / 3,
    }
    page = benchmark.read(ROOT)[3]
    right = [
        propose.Draft(tuple(propose.Part(page.kinds[i], (i,), 1.0) for i in order), 1.0)
        for name in dict.fromkeys(page.article)
        if (order := sorted((i for i, a in enumerate(page.article) if a == name), key=lambda i: page.rank[i]))
    ]

    def proposal(drafts: list[propose.Draft]) -> propose.Proposal:
        return propose.Proposal(tuple(page.lines), tuple(page.kinds), (), (), tuple(drafts), (), ())

    total = sum(len(line.text) for line in page.lines)
    assert benchmark.moved(page, proposal(right)) == (0, total)
    assert benchmark.neighbours(page, proposal(right)) == (len(page.lines) - 5, len(page.lines) - 5)
    first, rest = right[0], right[1:]
    turned = propose.Draft((*first.parts[1:], first.parts[0]), 1.0)  # the headline put last
    assert benchmark.moved(page, proposal([turned, *rest])) == (len(page.lines[0].text), total)
    joined = propose.Draft((*right[3].parts, *right[2].parts), 1.0)  # two articles in one: the shorter one moves
    size = min(sum(len(page.lines[i].text) for i in right[n].lines) for n in (2, 3))
    assert benchmark.moved(page, proposal([*right[:2], joined, right[4]])) == (size, total)


def test_the_truth_is_what_articles_toml_says(benchmark: ModuleType, real: Benchmark) -> None:
    pages = benchmark.read(ROOT)
    summary = {row["page"]: row for row in articles.summarize_pages(articles.read_seeds(real))}
    for page in pages:
        assert sum(kind == "furniture" for kind in page.kinds) == summary[page.page]["furniture"]
        assert page.kinds.count("headline") == summary[page.page]["headline"]
        assert len({a for a, _ in page.joins}) == sum(
            len(p.lines) - 1 for p in articles.read_seeds(real).passages() if p.page_id == page.page
        )
    assert {(pages[0].lines[a].ref, pages[0].lines[b].ref) for a, b in pages[0].joins} >= {("65", "49"), ("77", "89")}
