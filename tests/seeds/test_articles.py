"""Articles assembled from pages: nothing lost, nothing used twice, everything traceable to its page."""

import re

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.text import split_sentences
from jinbench.core.types import Passage
from jinbench.seeds import articles
from jinbench.seeds.articles import Seeds


@pytest.fixture(scope="module")
def seeds(real: Benchmark) -> Seeds:
    return articles.read_seeds(real)


def find_passage(seeds: Seeds, id: str) -> Passage:
    return next(passage for passage in seeds.passages() if passage.id == id)


def test_counts_of_the_committed_seeds(seeds: Seeds) -> None:
    passages = list(seeds.passages())
    assert (len(seeds.pages), len(seeds.articles), len(passages)) == (5, 23, 142)
    assert sum(len(passage.text) for passage in passages) == 20659
    assert [passage.id for passage in passages][::47] == ["000-L7", "001-L58", "003-L65", "004-L123"]


def test_every_passage_is_rebuilt_from_its_page(seeds: Seeds) -> None:
    texts = {page.id: page.text for page in seeds.pages}
    for passage in seeds.passages():
        page = texts[passage.page_id]
        chars = [char for run in passage.runs for char in page[run.page_start : run.page_start + run.length]]
        assert sum(run.length for run in passage.runs) == len(passage.text)
        assert [run.text_start for run in passage.runs] == [
            sum(run.length for run in passage.runs[:i]) for i in range(len(passage.runs))
        ]
        unchanged = list(passage.text)
        for change in passage.changes:
            assert unchanged[change.text_start] != change.page_text
            unchanged[change.text_start] = change.page_text
        assert chars == unchanged


def test_only_the_garbled_page_was_changed(seeds: Seeds) -> None:
    assert {passage.page_id for passage in seeds.passages() if passage.changes} == {"002"}


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("000-L65", "氢能重卡行驶里程7138万公里。"),
        ("000-L55", "依托工业副产氢优势,在氢能交通重载货运领域"),
        ("000-L77", "拓展全球智能协作空间,与各方一道,推动人工智能产业高质量发展"),
        ("000-L93", "中国科学院副院长吴朝晖,中国电子董事长李立功"),
        ("000-L81", "还举行了京津冀资源循环、空天制造、生物制造3个创新联合体揭牌活动。"),
        ("000-L99", "脑机交互与人工共融海河实验室副主任刘秀云"),
        ("000-L85", "养老服务、失能评估等医疗健康领域推广应用。"),
        ("000-L105", "强化企业梯度培育,"),
        ("001-L81", "人工智能正在快速拓展生产可能性边界,在提升效率方面"),
        ("001-L89", "格兰富正依托中国本土人工智能人才"),
        ("001-L129", "北方国际信托、津药达仁堂等本地国企"),
        ("001-L103", "传染病预警预测高质量数据集”等均提出"),
        ("002-L38", "伴着智能时代的声声号角"),
        ("002-L38", "龙头企业——联想集团(以下简称联想)"),
        ("002-L38", "以新IT技术架构为核心"),
        ("002-L41", "“城市客厅 无限联想”的产业园"),
        ("002-L56", "随着项目的启动"),
        ("003-L79", "劳动主题公园拟于22日开放"),
        ("004-L95", "更带来全新消费体验。养老护工机器人"),
    ],
)
def test_torn_text_is_joined_as_printed(seeds: Seeds, id: str, text: str) -> None:
    assert text in find_passage(seeds, id).text


def test_text_truncated_by_the_page_is_marked(seeds: Seeds) -> None:
    assert [passage.id for passage in seeds.passages() if passage.truncated_start] == [
        "000-L83",
        "000-L121",
        "000-L127",
    ]
    assert not any(passage.truncated_end for passage in seeds.passages())


def test_garbled_page_is_fully_repaired(seeds: Seeds) -> None:
    garbled = "".join(passage.text for passage in seeds.passages() if passage.page_id == "002")
    assert not re.search(r"[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ\"]", garbled)
    assert not set("聯產業園區應發時設與開於雙個來說實無後著") & set(garbled)
    assert not re.search(r"[\u4e00-\u9fff] [0-9A-Za-z]|[0-9A-Za-z] [\u4e00-\u9fff]", garbled)


def test_layouts_of_articles(seeds: Seeds) -> None:
    layouts = {article.id: article.layout for article in seeds.articles}
    assert layouts["haihe-water"] == "clean"
    assert layouts["hydrogen-tianjin"] == "column-broken"
    assert layouts["expo-opening"] == "continued"
    assert layouts["lenovo-park-groundbreaking"] == "garbled"


def test_passages_have_no_contact_details(seeds: Seeds) -> None:
    assert not any(re.search(r"\d{3}-\d{8}|@", passage.text) for passage in seeds.passages())


def test_page_summary_counts_every_line(seeds: Seeds) -> None:
    for row in articles.summarize_pages(seeds):
        # A line that a continuation line shares with its text counts under both kinds.
        shared = sum(
            piece.kind == "jump" and any(piece.lines == other.lines for other in article.pieces if other is not piece)
            for article in seeds.articles
            if article.page_id == row["page"]
            for piece in article.pieces
        )
        assert sum(row[kind] for kind in articles.KINDS) + row["boilerplate"] == row["lines"] + shared


def test_sentences_cover_a_passage_without_gaps(seeds: Seeds) -> None:
    for passage in seeds.passages():
        sentences = split_sentences(passage.id, passage.text)
        assert [s.start for s in sentences] == [0, *(s.end for s in sentences[:-1])]
        assert sentences[-1].end == len(passage.text)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("一。二", ["一。", "二"]),
        ("他说:“好。”走了。", ["他说:“好。”", "走了。"]),
        ("真的?!是。", ["真的?!", "是。"]),
        ("等等……走吧", ["等等……", "走吧"]),
        ("3.5%不是句末", ["3.5%不是句末"]),
    ],
)
def test_sentence_ends(text: str, sentences: list[str]) -> None:
    assert [text[s.start : s.end] for s in split_sentences("x", text)] == sentences


def test_mini_benchmark_is_assembled(mini: Benchmark) -> None:
    seeds = articles.read_seeds(mini)
    assert [passage.text for passage in seeds.passages()][-2:] == [
        "去年,天津港与滦河沿线的港口建立联系,共有“三条”航线。",
        "伴着新航线,货物增长15%。",
    ]
    assert [article.layout for article in seeds.articles] == [
        "column-broken", "clean", "continued", "clean", "garbled",
    ]  # fmt: skip
