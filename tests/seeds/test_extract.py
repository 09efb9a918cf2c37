"""Extraction of text for `jinbench seeds add`: encodings, web pages, rows of JSON Lines, refused input."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.seeds import articles, extract
from tests.helpers.commands import contents
from tests.helpers.pages import PAGE, TEXT, add, entries, put, refused
from tests.helpers.paths import ROOT

BODY = "".join(
    f"<p>这是第{n}段正文,说的是码头的工程怎样一天一天地往前走,工人们都很高兴,市民们都很期待。</p>" for n in range(6)
)
WEB = (
    "<!doctype html><html><head><meta charset={}><title>新码头昨天开工</title></head><body>"
    "<nav><a href=/>首页</a></nav>"
    f"<article><h1>新码头昨天开工</h1>{BODY}</article><footer>版权所有</footer></body></html>"
)


def test_gb18030_is_recognised_and_converted(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = put(tmp_path / "page.txt", TEXT.encode("gb18030"))
    output = refused(bare, capsys, page)
    assert "page.txt:1: not-utf8" in output
    assert "it seems to be GB18030" in output
    assert "--encoding gb18030" in output
    assert add(bare, page, "--encoding", "gb18030") == 0
    assert (bare.pages / "page.txt").read_text() == TEXT
    sha = files.sha256(page.read_bytes())
    assert entries(bare)["page"][0]["source"] == {"file": "page.txt", "sha256": sha, "encoding": "gb18030"}
    assert "duplicate-id" in refused(bare, capsys, page, "--encoding", "gb18030")


@pytest.mark.parametrize(
    ("encoding", "text", "likely"),
    [
        ("gbk", TEXT, "gb18030"),
        ("big5", "新碼頭昨天開工\n這個港口的新碼頭是昨天開工的,大家都很高興。\n", "big5hkscs"),
        ("latin-1", "café résumé naïve\n", None),
    ],
)
def test_encodings_are_guessed(encoding: str, text: str, likely: str | None) -> None:
    assert extract.guess_encoding(text.encode(encoding)) == likely


def test_encoding_is_not_guessed_without_the_extra(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    output = refused(bare, capsys, put(tmp_path / "page.txt", TEXT.encode("gb18030")))
    assert "type: --encoding NAME; where jinbench[pages] is installed, it is guessed" in output


def test_a_byte_order_mark_is_removed(bare: Benchmark, tmp_path: Path) -> None:
    assert add(bare, put(tmp_path / "page.txt", b"\xef\xbb\xbf" + TEXT.encode())) == 0
    assert (bare.pages / "page.txt").read_text() == TEXT
    assert entries(bare)["page"][0]["source"]["encoding"] == "utf-8-sig"
    assert add(bare, put(tmp_path / "wide.txt", (TEXT + "再见。\n").encode("utf-16")), "--encoding", "utf-16") == 0
    assert (bare.pages / "wide.txt").read_text() == TEXT + "再见。\n"


def test_mixed_encodings_are_reported_by_line_and_byte(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "新码头昨天开工\n".encode()
    odd = "这是一个好的开始,我们大家都很高兴。\n".encode("gb18030")
    page = put(tmp_path / "page.txt", head + odd + head + odd)
    output = refused(bare, capsys, page)
    assert f"page.txt:2: not-utf8\n  expected UTF-8\n  found    byte 0x{odd[0]:02x} at byte {len(head)};" in output
    assert (
        f"page.txt:4: not-utf8\n  expected UTF-8\n  found    byte 0x{odd[0]:02x} at byte {2 * len(head) + len(odd)};"
        in output
    )
    assert "2 other lines are UTF-8, the first of them line 1" in output
    assert "page.txt:1: not-utf8\n  expected gb18030 on every line" in refused(
        bare, capsys, page, "--encoding", "gb18030"
    )


def test_a_wrong_encoding_is_reported(bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = put(tmp_path / "page.txt", "一行\n".encode("gb18030") + b"\xff\xff\n")
    assert "page.txt:2: not-utf8\n  expected text in gb18030" in refused(bare, capsys, page, "--encoding", "gb18030")
    assert add(bare, page, "--encoding", "klingon") == 2
    assert add(bare, page, "--encoding", "base64") == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "page-empty"),
        ("a.txt", "\n \u3000\n".encode(), "page-empty"),
        ("a.txt", "一行\n二\x08行\n".encode(), "a.txt:2: page-control-character"),
        ("a.txt", "一行。\r二行。\r".encode(), "end lines with"),
        ("a.txt", bytes(range(256)), "file-binary"),
        ("a.pdf", b"%PDF-1.7\n\x00\x01\x02", "file-binary"),
        ("a.txt", b"\x1f\x8b\x08\x00", "gunzip"),
        ("a.txt", TEXT.encode("utf-16"), "--encoding utf-16"),
        ("a.txt", "行。\n".encode() * 2001, "2,001 lines"),
        ("a.jsonl", b"", "rows with a text"),
        ("a.jsonl", b'{"text": "' + b"x" * 3_000_000 + b'"}\n', "split objects that are larger"),
        ("a.json", b'[{"text": "x"}]', "JSON Lines: one JSON object"),
        (
            "a.html",
            b"<html><body><script>x()</script><div id=app></div></body></html>",
            "if scripts draw the page",
        ),
    ],
)
def test_invalid_pages_are_refused(
    name: str, content: bytes, message: str, bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(bare, capsys, put(tmp_path / name, content))


def test_all_problems_are_reported_and_nothing_is_added(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = refused(
        bare, capsys, put(tmp_path / "good.txt", TEXT), tmp_path / "none.txt", tmp_path, put(tmp_path / "e.txt", "")
    )
    assert all(
        part in output for part in ("none.txt: file-missing", "name the files in it", "page-empty", "3 problems")
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read where Linux keeps it")
@pytest.mark.parametrize("name", ["line.txt", "line.jsonl", "line.html"])
def test_a_line_of_200_megabytes_is_refused_unread(name: str, bare: Benchmark, tmp_path: Path) -> None:
    page = tmp_path / name
    with page.open("wb") as file:
        file.write(b'{"text": "' if name.endswith("jsonl") else b"<html>" if name.endswith("html") else "天".encode())
        block = b"x" * 1_000_000
        for _ in range(200):
            file.write(block)
    program = (
        "import sys\nfrom pathlib import Path\nfrom jinbench.seeds import importer\n"
        "from jinbench.core.benchmark import Benchmark\nfrom jinbench.core.errors import DataError\n"
        "def peak():\n    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "try:\n    importer.plan_import(Benchmark(Path(sys.argv[1])), [Path(sys.argv[2])])\n"
        "except DataError as error:\n"
        "    print(error.problems[0].code, error.problems[0].found.split()[0], peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, bare.root, page], capture_output=True, text=True, cwd=ROOT)
    code, result, kilobytes = done.stdout.split()
    assert code == "file-too-big"
    assert result == ("more" if name.endswith("jsonl") else f"{page.stat().st_size:,}")
    assert int(kilobytes) < 12_000
    page.unlink()


@pytest.mark.parametrize(("encoding", "declared"), [("utf-8", "utf-8"), ("gb18030", "gb2312"), ("big5", "big5")])
def test_the_article_is_extracted_from_a_web_page(
    encoding: str, declared: str, bare: Benchmark, tmp_path: Path
) -> None:
    text = WEB.format(declared)
    if encoding == "big5":
        from jinbench.seeds.repairs import convert_script

        text = convert_script(text, "s2t")
    page = put(tmp_path / "page.html", text.encode(encoding))
    assert add(bare, page) == 0
    entry = entries(bare)["page"][0]
    assert (entry["file"], entry["source"]["file"]) == ("page.txt", "page.html")
    assert entry["source"]["sha256"] == files.sha256(page.read_bytes())
    assert re.fullmatch(r"trafilatura \d+\.\d+\S*", entry["source"]["extractor"])
    assert ("encoding" in entry["source"]) == (encoding != "utf-8")
    text = (bare.pages / "page.txt").read_text()
    assert text.splitlines()[0] == ("新碼頭昨天開工" if encoding == "big5" else "新码头昨天开工")
    assert "首" not in text
    assert len(articles.read_seeds(bare).articles[0].passages) == 6


@pytest.mark.parametrize("title", ["港口", "版权所有", "Port and rail", "港口与铁路 - 某报网"])
def test_the_heading_of_a_short_web_page_is_its_headline(title: str, bare: Benchmark, tmp_path: Path) -> None:
    heading = title.partition(" - ")[0]
    html = f"<html><head><title>{title}</title></head><body><h1>{heading}</h1><p>今天上午,钢厂投产。</p></body></html>"
    page = put(tmp_path / "a.html", html.encode())
    assert add(bare, page) == 0
    assert articles.read_seeds(bare).articles[0].title == heading


def test_invisible_characters_of_a_page_are_left_out_of_its_passages(bare: Benchmark, tmp_path: Path) -> None:
    text = "\u200b港口\u00ad与铁路联动发展\n\n\u2060\n今天上午,华星\u00ad钢\ufeff厂在塘\u200b沽投产,年产八百万吨。\n"
    assert add(bare, put(tmp_path / "a.txt", text.encode())) == 0
    seeds = articles.read_seeds(bare)
    (passage,) = seeds.passages()
    assert passage.text == "今天上午,华星钢厂在塘沽投产,年产八百万吨。"
    aligned = [text[run.page_start : run.page_start + run.length] for run in passage.runs]
    assert aligned == ["今天上午,华星", "钢", "厂在塘", "沽投产,年产八百万吨。"]
    assert seeds.articles[0].title == "港口与铁路联动发展"


def test_markup_is_recognised_by_its_beginning(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(bare, put(tmp_path / "page", "\n<!-- x -->" + WEB.format("utf-8"))) == 0
    assert "extractor" in entries(bare)["page"][0]["source"]
    assert "the page 000" in refused(bare, capsys, put(tmp_path / "again.html", WEB.format("utf-8")))


BOMBS = {
    "deep": "<html><body>" + "<div>" * 100_000 + "深" + "</div>" * 100_000,
    "attribute": f"<html><body><p title='{'x' * 15_000_000}'>",
    "entity": "<!DOCTYPE html [<!ENTITY a 'aa'>"
    + "".join(f"<!ENTITY a{n} '{('&a' + (str(n - 1) if n else '') + ';') * 9}'>" for n in range(20))
    + "]><html><body><p title='&a19;'>",
    "tags": "<html><body>" + "<b><i><p>" * 1_500_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_harmful_web_pages_end_in_time(
    bomb: str, bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of the errors it is depends on the parser."""
    page = put(tmp_path / "page.html", BOMBS[bomb])
    before = contents(bare.root)
    code = add(bare, page, "--seconds", 3)
    output = capsys.readouterr().err
    assert "Traceback" not in output
    if code == 0:  # the parser ignored the entities, and left a line of markup
        assert bomb == "entity"
        assert max(map(len, (bare.pages / "page.txt").read_text().splitlines())) < 5000
    else:
        assert ": extraction-failed" in output or ": page-empty" in output
        assert contents(bare.root) == before
    if bomb == "tags":
        assert "nothing after 3 s" in output


def test_memory_of_the_extractor_is_limited(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "MEMORY_BYTES", 40_000_000)
    output = refused(bare, capsys, put(tmp_path / "page.html", WEB.format("utf-8")))
    assert "extraction-failed\n  expected text within 30 s and 40 MB" in output


def test_a_missing_package_is_reported_with_the_command(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    output = refused(bare, capsys, put(tmp_path / "page.html", WEB.format("utf-8")))
    assert "package-missing" in output
    assert "pip install 'jinbench[pages]'" in output
    assert add(bare, put(tmp_path / "page.txt", TEXT)) == 0


ROWS = [
    {"title": "新码头昨天开工", "text": PAGE[1] + "\n" + PAGE[2] + "\n" + PAGE[3]},
    {"text": PAGE[6], "title": None},
    {"content": "放错了地方"},
    {"text": ""},
    {"text": "坏\u0007了"},
    {"text": 5},
    {"title": ["x"], "text": "题目不是字"},
    {"text": "半个\ud800字"},
    {"text": PAGE[6]},
]


def test_each_row_becomes_a_page_with_one_article(
    mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps(row) for row in ROWS]
    rows = put(tmp_path / "rows.jsonl", "\n".join([lines[0], "{broken", "", *lines[1:]]))
    assert add(mini, rows) == 0
    output = capsys.readouterr().err
    codes = {2: "broken-json", 5: "wrong-shape", 6: "page-empty", 7: "page-control-character", 11: "duplicate-id"}
    for number, code in (codes | dict.fromkeys((8, 9, 10), "wrong-shape")).items():
        assert f"rows.jsonl:{number}: {code}" in output
    assert "8 rows are left out; 2 pages are added." in output
    seeds = articles.read_seeds(mini)
    assert [page.id for page in seeds.pages][3:] == ["rows-1", "rows-4"]
    assert [(article.id, article.title) for article in seeds.articles][5:] == [
        ("rows-1-1", "新码头昨天开工"),
        ("rows-4-1", ""),
    ]
    assert [passage.text for passage in seeds.articles[5].passages] == [PAGE[1], PAGE[2] + PAGE[3]]
    assert entries(mini)["page"][-1]["source"] == {"file": "rows.jsonl", "line": 4}
    assert "rows.jsonl:1: duplicate-id" in refused(mini, capsys, rows)


def test_strict_adds_nothing_if_a_row_is_broken(
    mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = put(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    output = refused(mini, capsys, rows, "--strict")
    assert "rows.jsonl:3: wrong-shape" in output
    assert "7 problems." in output
    assert add(mini, put(tmp_path / "fine.jsonl", json.dumps(ROWS[0])), "--strict") == 0


def test_fields_of_rows_can_be_chosen(bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = put(tmp_path / "rows.jsonl", json.dumps({"headline": "题目", "content": PAGE[1]}))
    assert "a text in the field text\n  found    only content, headline" in refused(bare, capsys, rows)
    assert add(bare, rows, "--field", "content", "--title", "headline") == 0
    assert articles.read_seeds(bare).articles[0].title == "题目"


def test_rows_that_are_not_utf8_are_refused(
    bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.dumps(ROWS[0]).encode() + b"\n"
    assert "rows.jsonl:2: not-utf8" in refused(
        bare, capsys, put(tmp_path / "rows.jsonl", good + '{"text": "码头的"}'.encode("gbk"))
    )
    assert "iconv -f gbk" in refused(bare, capsys, tmp_path / "rows.jsonl", "--encoding", "gbk")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_reported(bare: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = put(tmp_path / "page.txt", TEXT)
    page.chmod(0)
    assert "permission denied" in refused(bare, capsys, page)


def test_a_file_name_that_is_not_utf8_is_recorded_as_far_as_possible(bare: Benchmark, tmp_path: Path) -> None:
    """articles.toml has to be UTF-8."""
    path = put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")), '{"text": "\u5929\u6d25\u3002"}\n')
    assert add(bare, path) == 0
    assert entries(bare)["page"][0]["source"] == {"file": "?.jsonl", "line": 1}
