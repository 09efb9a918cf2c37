"""Pages to articles: nothing lost, nothing used twice, everything traceable to its page."""

import re

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.text import split_sentences
from jinbench.core.types import Passage
from jinbench.seeds import articles
from jinbench.seeds.articles import Seeds


@pytest.fixture(scope="module")
def seed(real: Benchmark) -> Seeds:
    return articles.read_seeds(real)


def passage(seed: Seeds, id: str) -> Passage:
    return next(found for found in seed.passages() if found.id == id)


def test_the_committed_counts(seed: Seeds) -> None:
    passages = list(seed.passages())
    assert (len(seed.pages), len(seed.articles), len(passages)) == (5, 23, 142)
    assert sum(len(found.text) for found in passages) == 20659
    assert [found.id for found in passages][::47] == ["000-L7", "001-L58", "003-L65", "004-L123"]


def test_every_passage_is_rebuilt_from_its_page(seed: Seeds) -> None:
    texts = {page.id: page.text for page in seed.pages}
    for found in seed.passages():
        page = texts[found.page_id]
        chars = [char for run in found.runs for char in page[run.page_start : run.page_start + run.length]]
        assert sum(run.length for run in found.runs) == len(found.text)
        assert [run.text_start for run in found.runs] == [
            sum(run.length for run in found.runs[:i]) for i in range(len(found.runs))
        ]
        unchanged = list(found.text)
        for change in found.changes:
            assert unchanged[change.text_start] != change.page_text
            unchanged[change.text_start] = change.page_text
        assert chars == unchanged


def test_only_the_garbled_page_was_changed(seed: Seeds) -> None:
    assert {found.page_id for found in seed.passages() if found.changes} == {"002"}


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
def test_what_was_torn_reads_as_printed(seed: Seeds, id: str, text: str) -> None:
    assert text in passage(seed, id).text


def test_what_the_page_itself_tore_off_is_marked(seed: Seeds) -> None:
    assert [found.id for found in seed.passages() if found.truncated_start] == ["000-L83", "000-L121", "000-L127"]
    assert not any(found.truncated_end for found in seed.passages())


def test_nothing_of_the_garbling_is_left(seed: Seeds) -> None:
    garbled = "".join(found.text for found in seed.passages() if found.page_id == "002")
    assert not re.search(r"[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ\"]", garbled)
    assert not set("聯產業園區應發時設與開於雙個來說實無後著") & set(garbled)
    assert not re.search(r"[\u4e00-\u9fff] [0-9A-Za-z]|[0-9A-Za-z] [\u4e00-\u9fff]", garbled)


def test_layouts_follow_from_what_was_done(seed: Seeds) -> None:
    layouts = {article.id: article.layout for article in seed.articles}
    assert layouts["haihe-water"] == "clean"
    assert layouts["hydrogen-tianjin"] == "column-broken"
    assert layouts["expo-opening"] == "continued"
    assert layouts["lenovo-park-groundbreaking"] == "garbled"


def test_contact_details_are_kept_out(seed: Seeds) -> None:
    assert not any(re.search(r"\d{3}-\d{8}|@", found.text) for found in seed.passages())


def test_summary_accounts_for_every_line(seed: Seeds) -> None:
    for row in articles.summarize_pages(seed):
        # A line that a jump marker shares with its text counts under both kinds.
        shared = sum(
            piece.kind == "jump" and any(piece.lines == other.lines for other in article.pieces if other is not piece)
            for article in seed.articles
            if article.page_id == row["page"]
            for piece in article.pieces
        )
        assert sum(row[kind] for kind in articles.KINDS) + row["furniture"] == row["lines"] + shared


def test_sentences_cover_a_passage_without_gaps(seed: Seeds) -> None:
    for found in seed.passages():
        sentences = split_sentences(found.id, found.text)
        assert [s.start for s in sentences] == [0, *(s.end for s in sentences[:-1])]
        assert sentences[-1].end == len(found.text)


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


def test_the_three_page_world(mini: Benchmark) -> None:
    seed = articles.read_seeds(mini)
    assert [found.text for found in seed.passages()][-2:] == [
        "去年,天津港与滦河沿线的港口建立联系,共有“三条”航线。",
        "伴着新航线,货物增长15%。",
    ]
    assert [article.layout for article in seed.articles] == [
        "column-broken", "clean", "continued", "clean", "garbled",
    ]  # fmt: skip
