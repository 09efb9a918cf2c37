"""`jinbench seeds add`: extraction, the written proposal, and refused input."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.seeds import articles, importer
from tests.helpers.commands import contents
from tests.helpers.pages import BITS, PAGE, TEXT, add, entries, put, refused

TORN = (
    "图书馆的自习室今年也要翻新,座位从两百个增加到五百个,每个座位都有电源和台灯,工程从六月开始,到年底可以完成,期间读者"
)


def test_page_is_copied_byte_for_byte_and_its_entry_appended(mini: Benchmark, tmp_path: Path) -> None:
    before = contents(mini.root)
    page = put(tmp_path / "page.txt", TEXT.replace("\n", "\r\n"))
    assert add(mini, page) == 0
    after = contents(mini.root)
    assert after.pop("seeds/pages/page.txt") == page.read_bytes()
    new = after.pop("seeds/articles.toml")
    assert new.startswith(before.pop("seeds/articles.toml"))
    assert after == before
    seeds = articles.read_seeds(mini)
    assert [page.id for page in seeds.pages] == ["a", "b", "c", "page"]
    added = [article for article in seeds.articles if article.page_id == "page"]
    assert [(article.id, article.story, article.title) for article in added] == [
        ("page-1", "page-1", PAGE[0]), ("page-2", "page-2", PAGE[5])
    ]  # fmt: skip
    assert [passage.text for passage in added[0].passages] == [PAGE[1], PAGE[2] + PAGE[3]]


def test_every_line_has_its_confidence_as_a_comment(bare: Benchmark, tmp_path: Path) -> None:
    assert add(bare, put(tmp_path / "page.txt", TEXT.rstrip().removesuffix("记者 李红") + TORN)) == 0
    text = bare.articles.read_text()
    assert text.startswith("# How each page falls into articles.\n")
    written = re.findall(r'^  ".*",  # (\? )?(\d\.\d\d) \w+(.*)$', text, re.MULTILINE)
    assert len(written) == text.count('\n  "') == 8
    assert re.search(r'^  "body 5\+7",  # (\? )?\d\.\d\d body, join \d\.\d\d$', text, re.MULTILINE)
    assert re.search(r'^  "body 17…",  # \? \d\.\d\d body, no continuation found$', text, re.MULTILINE)
    assert all(
        bool(mark) == (float(confidence) < 0.7 or "no continuation" in rest)
        for mark, confidence, rest in written
        if "join" not in rest
    )


def test_page_ids_continue_numbers_or_follow_file_names(bare: Benchmark, mini: Benchmark, tmp_path: Path) -> None:
    first, second = put(tmp_path / "x.txt", TEXT), put(tmp_path / "y.txt", TEXT + "\n再见。\n")
    assert add(bare, first) == 0
    assert add(bare, second) == 0
    assert [page["id"] for page in entries(bare)["page"]] == ["000", "001"]
    assert [article["id"] for article in entries(bare)["article"]] == ["000-1", "000-2", "001-1", "001-2"]
    assert add(mini, first) == 0
    assert add(mini, put(tmp_path / "天津 日报(1).txt", TEXT + "\n你好。\n")) == 0
    (tmp_path / "deeper").mkdir()
    assert add(mini, put(tmp_path / "deeper" / "x.txt", TEXT + "\n早安。\n")) == 0
    assert [(page["id"], page["file"]) for page in entries(mini)["page"]][3:] == [
        ("x", "x.txt"), ("1", "天津 日报(1).txt"), ("x-2", "x-2_x.txt")
    ]  # fmt: skip
    articles.read_seeds(mini)


def test_an_id_used_by_an_article_is_skipped(mini: Benchmark, tmp_path: Path) -> None:
    mini.articles.write_text(mini.articles.read_text().replace('id = "trees"', 'id = "x-1"'))
    assert add(mini, put(tmp_path / "x.txt", TEXT)) == 0
    assert entries(mini)["page"][-1]["id"] == "x-2"
    assert entries(mini)["article"][-1]["id"] == "x-2-2"


def test_articles_toml_need_not_exist(bare: Benchmark, tmp_path: Path) -> None:
    bare.articles.unlink()
    assert add(bare, put(tmp_path / "page.txt", TEXT)) == 0
    assert len(articles.read_seeds(bare).articles) == 2
    assert bare.articles.read_text().startswith("# ---")


def test_a_page_already_in_seeds_is_only_listed(bare: Benchmark) -> None:
    bare.pages.mkdir()
    page = put(bare.pages / "page.txt", TEXT)
    assert add(bare, page) == 0
    assert list(bare.pages.iterdir()) == [page]
    assert len(articles.read_seeds(bare).articles) == 2


def test_dry_run_writes_nothing_and_prints_the_same(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, before = put(tmp_path / "page.txt", TEXT), contents(bare.root)
    assert add(bare, page, "--dry-run") == 0
    output = capsys.readouterr().out
    assert "page 000: page.txt, 9 lines, 2 articles, 1 join" in output
    assert "Nothing is written." in output
    assert add(bare, page, "--dry-run", "--json") == 0
    dry = json.loads(capsys.readouterr().out)
    assert contents(bare.root) == before
    assert add(bare, page, "--json") == 0
    wet = json.loads(capsys.readouterr().out)
    assert (dry.pop("written"), wet.pop("written")) == (False, True)
    assert dry == wet
    assert bare.articles.read_text() == before["seeds/articles.toml"].decode() + dry["toml"]
    assert [line["ref"] for line in dry["pages"][0]["articles"][0]["lines"]] == ["1", "3", "5+7", "9"]
    assert set(dry["pages"][0]["articles"][0]["lines"][2]) == {
        "kind", "ref", "lines", "confidence", "joins", "truncated_start", "truncated_end", "doubtful", "text"
    }  # fmt: skip


def test_next_steps_are_printed(bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(bare, put(tmp_path / "page.txt", TEXT)) == 0
    output = capsys.readouterr().out
    assert all(f"jinbench seeds {command}" in output for command in ("show", "check"))
    assert "articles.toml: look for '# ?'" in output
    assert "\x1b" not in output


def test_the_committed_pages_pass_as_proposed(real: Benchmark, bare: Benchmark) -> None:
    assert add(bare, *sorted(real.pages.glob("*.txt"))) == 0
    seeds = articles.read_seeds(bare)
    assert [page.repairs for page in seeds.pages] == [page.repairs for page in articles.read_seeds(real).pages]
    assert [page.id for page in seeds.pages] == ["000", "001", "002", "003", "004"]
    passages = [passage for passage in seeds.passages() if passage.truncated_start]
    assert [passage.id for passage in passages] == ["000-L83", "000-L121", "000-L127"]


@given(
    st.lists(st.lists(st.sampled_from((*BITS, '"', "(yǔ)", "碼頭", "\\", "#")), max_size=8).map("".join), max_size=15)
)
def test_whatever_is_added_passes_the_check(mini: Benchmark, tmp_path: Path, texts: list[str]) -> None:
    """`plan_import` runs the check already; here the files are written, and read again as the command does."""
    page = put(tmp_path / "page.txt", "\n".join(texts))
    if not "".join(texts).strip():
        with pytest.raises(DataError, match="page-empty"):
            importer.plan_import(mini, [page])
        return
    copy = Benchmark(tmp_path / "copy")
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(mini.root, copy.root)
    importer.write_import(importer.plan_import(copy, [page]))
    assert len(articles.read_seeds(copy).pages) == 4


def test_everything_is_written_or_nothing(bare: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = importer.plan_import(bare, [put(tmp_path / "a.txt", TEXT), put(tmp_path / "b.txt", TEXT + "\n再见。\n")])
    before, write = contents(bare.root), files.write_bytes

    def full(path: Path, data: bytes) -> None:
        if path == bare.articles:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        importer.write_import(plan)
    assert contents(bare.root) == before
    monkeypatch.undo()
    bare.articles.write_text("# somebody else was here\n")
    with pytest.raises(DataError, match="file-changed"):
        importer.write_import(plan)
    assert contents(bare.root) | {"seeds/articles.toml": b""} == before | {"seeds/articles.toml": b""}


def test_pages_are_not_added_to_a_broken_benchmark(
    mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini.articles.write_text(mini.articles.read_text().replace('"body 11"', '"body 12"'))
    output = refused(mini, capsys, put(tmp_path / "page.txt", TEXT))
    assert "line-outside-page" in output or "line-unused" in output
    assert "mini/seeds/articles.toml" in output
    assert "jinbench-" not in output  # the folder of the trial is not mentioned


def test_the_same_page_is_not_added_twice(bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = put(tmp_path / "page.txt", TEXT)
    copy = put(tmp_path / "copy.txt", TEXT)
    assert "duplicate-id" in refused(bare, capsys, page, copy)
    assert add(bare, page) == 0
    for again in (page, copy, bare.pages / "page.txt"):
        assert "found    the page 000" in refused(bare, capsys, again)
