"""The label set and the page that is made from it."""

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from coloraide import Color
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface
from typer.testing import CliRunner

from jinbench import scaffold
from jinbench.annotation import adjudication, exports
from jinbench.annotation.labels import LabelDefinition, LabelSet, read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.cli.app import app
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.labelstudio import labeling_config
from tests.helpers.commands import run_and_capture


@pytest.fixture(scope="module")
def label_set(real: Benchmark) -> LabelSet:
    return read_label_set(real)


def test_the_label_set(label_set: LabelSet) -> None:
    assert (len(label_set.entities), len(label_set.sectors)) == (11, 11)
    assert label_set.tag_names[:3] == ("O", "B-PERSON", "I-PERSON")
    assert label_set.lone_sectors == {"general"}
    for label in (*label_set.entities, *label_set.sectors):
        assert label.zh
        assert label.en
        assert label.definition
        assert label.examples


def test_colours_and_hotkeys_differ(label_set: LabelSet) -> None:
    assert len({label.colour for label in label_set.entities}) == 11
    assert len({label.hotkey for label in (*label_set.entities, *label_set.sectors)}) == 22


def test_crosswalks_are_complete(label_set: LabelSet) -> None:
    assert all(set(label.crosswalk or {}) == {"msra", "cluener", "ontonotes"} for label in label_set.entities)
    assert all(label.gbt4754 or label.alone for label in label_set.sectors)


def test_the_committed_config_is_up_to_date_and_accepted_by_the_sdk(real: Benchmark, label_set: LabelSet) -> None:
    labeling_config.check_labeling_config(real, label_set)
    interface = LabelInterface(real.labeling_config.read_text())
    interface.validate()
    assert tuple(interface.get_control("entities").labels) == label_set.entity_names
    assert tuple(interface.get_control("sectors").labels) == label_set.sector_names


def test_the_guidelines_speak_of_every_label(real: Benchmark, label_set: LabelSet) -> None:
    text = real.guidelines.read_text()
    for label in (*label_set.entities, *label_set.sectors):
        assert label.name in text
        assert label.zh in text
    assert f"版本 {label_set.version}" in text


def test_the_examples_of_the_guidelines_use_known_types(real: Benchmark, label_set: LabelSet) -> None:
    used = re.findall(r"\[[^\[\]|]+\|([A-Z]+)\]", real.guidelines.read_text())
    assert len(used) > 80
    assert set(used) <= set(label_set.entity_names)


def test_the_colours_are_told_apart_by_colour_blind_readers_too(label_set: LabelSet) -> None:
    """In full, as the line below a stretch, and as pale as Label Studio paints the ground behind it."""
    alike = labeling_config.find_similar_colours(label_set)
    assert [pair.vision for pair in alike] == ["normal", "protanopia", "deuteranopia", "tritanopia"]
    assert min(pair.distance for pair in alike) > 11.6 > labeling_config.MIN_DISTANCE
    tints = [replace(label, colour=tint(label.colour, labeling_config.TINT)) for label in label_set.entities]
    alike = labeling_config.find_similar_colours(replace(label_set, entities=tuple(tints)))
    assert min(pair.distance for pair in alike) > 5.4


def test_the_distance_of_colours_depends_on_the_vision(label_set: LabelSet) -> None:
    """Two colours that differ by what protanopes and deuteranopes lack."""
    first, second, *_ = label_set.entities
    pair = replace(first, colour="#A06A50"), replace(second, colour="#758050")
    alike = labeling_config.find_similar_colours(replace(label_set, entities=pair))
    distances = {closest.vision: closest.distance for closest in alike}
    assert distances["normal"] > 25
    assert distances["tritanopia"] > 25
    assert distances["deuteranopia"] < 8
    assert labeling_config.find_similar_colours(replace(label_set, entities=pair[:1])) == []


def tint(colour: str, opacity: float) -> str:
    """Return the colour of a layer of `colour` on white, as a browser mixes them."""
    return Color.layer([Color(colour).set("alpha", opacity), "white"], space="srgb").to_string(hex=True)


def test_what_is_written_on_a_colour_is_legible(label_set: LabelSet) -> None:
    for label in label_set.entities:
        assert Color(label.colour).contrast("white") > 3  # the line
        assert Color(tint(label.colour, labeling_config.TINT)).contrast("black") > 10
        picked = Color(tint(label.colour, 0.8))  # where Label Studio writes in black or white, as the brightness is
        red, green, blue = picked.coords()
        ink = "black" if 255 * (0.299 * red + 0.587 * green + 0.114 * blue) >= 128 else "white"
        assert picked.contrast(ink) > 4.5


def test_colours_that_look_alike_are_named(mini: Benchmark) -> None:
    listing = mini.labels.read_text()
    mini.labels.write_text(listing.replace("#889900", "#BB2211"))
    done = CliRunner().invoke(app, ["--root", str(mini.root), "labels", "config"])
    assert done.exit_code == 0
    assert "The colours of DATE and QUANTITY look too much alike (deuteranopia: CIEDE2000 0.2," in done.output
    mini.labels.write_text(listing)
    done = CliRunner().invoke(app, ["--root", str(mini.root), "labels", "config"])
    assert "too much alike" not in done.output


def test_colours_are_not_compared_without_the_extra(mini: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coloraide", None)
    mini.labeling_config.unlink()
    done = CliRunner().invoke(app, ["--root", str(mini.root), "labels", "config"])
    assert done.exit_code == 0
    assert "The colours were not compared: pip install 'jinbench[annotate]'" in done.output
    labeling_config.check_labeling_config(mini, read_label_set(mini))


def test_two_labels_that_are_shown_alike_are_refused(mini: Benchmark) -> None:
    mini.labels.write_text(mini.labels.read_text().replace('zh = "时间"', 'zh = "地点"'))
    with pytest.raises(DataError, match="地点: label-set"):
        read_label_set(mini)


NASTY = st.text(st.sampled_from("<>&\"'$;:{}[]()=/\\\n\t\r\x00\x0b\ufffe天 津aZ0_-#.*]") | st.characters(), min_size=1)


@given(st.lists(st.tuples(NASTY, NASTY), min_size=2, max_size=4, unique_by=lambda element: element[0]))
def test_the_page_holds_the_given_names_and_nothing_else(texts: list[tuple[str, str]]) -> None:
    """Whatever stands in them: no element, attribute, style or variable of the task comes out of a name or a hint."""
    made = [
        LabelDefinition(f"L{number}", zh, "x", str(number), hint, (), "#112233")
        for number, (zh, hint) in enumerate(texts)
    ]
    config = labeling_config.build_labeling_config(LabelSet("1", "1.0.0", "t", tuple(made), tuple(made)))
    plain = LabelSet("1", "1.0.0", "t", *([replace(element, zh="a", definition="b") for element in made],) * 2)
    root, bare = ET.fromstring(config), ET.fromstring(labeling_config.build_labeling_config(plain))
    assert [(e.tag, list(e.keys())) for e in root.iter()] == [(e.tag, list(e.keys())) for e in bare.iter()]
    for tag in ("Label", "Choice"):
        elements = list(root.iter(tag))
        assert [element.get("alias") for element in elements] == [label.name for label in made]
        for element, label in zip(elements, made, strict=True):
            for displayed, text in ((element.get("value"), label.zh), (element.get("hint"), label.definition)):
                assert displayed is not None
                assert not re.search(r"\$[\w\[\].{}]", displayed, re.ASCII)  # what Label Studio takes for a variable
                assert not displayed.startswith("$")
                expected = "".join(
                    c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in text
                )
                expected = re.sub("[\ud800-\udfff]", "\ufffd", expected)
                assert displayed.replace("\u2060", "") == expected.replace("\u2060", "")
    style = root.findtext("Style") or ""
    assert not set("<>&") & set(style)
    rules = style.splitlines()[-len(made) - 1 : -1]
    name = r"(?:[^\W_]|[\u0660-\U0003ffff]|\\[0-9a-f]+ )*"
    rule = r'    \.jinbench \.htx-highlight\[data-label\$=":' + name + r'"\] \{ box-shadow: inset 0 -3px #112233; \}'
    assert all(re.fullmatch(rule, element) for element in rules)


def test_what_the_guidelines_do_not_mention_is_said(real: Benchmark, tmp_path: Path) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    assert labeling_config.find_unexplained_labels(benchmark, read_label_set(benchmark)) == []
    assert labeling_config.find_unexplained_labels(real, read_label_set(real)) == []
    benchmark.labels.write_text(benchmark.labels.read_text().replace('zh = "\u4ea4\u901a"', 'zh = "\u94c1\u8def"'))
    assert labeling_config.find_unexplained_labels(benchmark, read_label_set(benchmark)) == ["\u94c1\u8def"]
    done = CliRunner().invoke(app, ["--root", str(benchmark.root), "labels", "config"])
    assert done.exit_code == 0
    assert "does not mention \u94c1\u8def: explain them there" in done.stderr
    benchmark.guidelines.unlink()
    assert labeling_config.find_unexplained_labels(benchmark, read_label_set(benchmark)) == []


TABLE = """
| 类型 | 按键 | 例 |
|---|:-:|---|
| 地点 | `1` | 长江 |
| DATE 时间 | **2** | 昨天 |
| QUANTITY | 3 | 6条 |

| Sector | Key |
|---|---|
| 交通 | `Shift+A` |
| 文化 | shift + s |
| 其他 | ⇧D |
"""


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("⇧D", "Shift+D", []),
        (TABLE, "", []),  # no table is no mistake
        (TABLE[TABLE.index("| Sector") :], "", []),  # nor is one of the types alone
        ("| 类型 | 按键 | 例 |", "| 类型 | 标什么 | 例 |", ["其他 with the key shift+d"]),
        ("`1`", "`4`", ["地点 with the key 1", "其他"]),
        ("`1`", "", ["地点 with the key 1", "其他"]),
        ("| 文化 | shift + s |\n", "", ["none for 文化", "其他"]),
        ("| DATE 时间 |", "| 日期 |", ["日期 with the key 2", "none for 时间", "其他"]),
        ("| DATE 时间 | **2** | 昨天 |", "| DATE 时间 |", ["时间 with the key 2", "其他"]),
        ("\n| Sector", "TODO: 写完\n\n| Sector", ["TODO: 写完", "其他"]),
        ("\n| Sector", "- TODO 写完\n\n| Sector", ["TODO 写完", "其他"]),
        ("\n| Sector", "<!-- TODO: 写完 -->\n\n| Sector", ["TODO: 写完", "其他"]),
        ("\n| Sector", "例外TODO：再想\n\n| Sector", ["例外TODO", "其他"]),
        ("\n| Sector", "标“TODO”时不加引号\n\n| Sector", ["其他"]),
    ],
)
def test_guidelines_that_annotators_could_not_follow(old: str, new: str, problems: list[str], tmp_path: Path) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    assert old in TABLE
    benchmark.guidelines.write_text(TABLE.replace(old, new))
    label_set = read_label_set(benchmark)
    if not problems:
        labeling_config.check_guidelines(benchmark, label_set)
        return
    with pytest.raises(DataError, match="guidelines") as caught:
        labeling_config.check_guidelines(benchmark, label_set)
    assert len(caught.value.problems) == len(problems)
    for part in problems:
        assert part in str(caught.value)


def test_guidelines_of_the_template(real: Benchmark, tmp_path: Path) -> None:
    """The template asks for something to be written; the example, which is pushed as it is, does not."""
    labeling_config.check_guidelines(real, read_label_set(real))
    example = scaffold.create_benchmark(tmp_path / "example", example=True)
    labeling_config.check_guidelines(example, read_label_set(example))
    template = scaffold.create_benchmark(tmp_path / "template")
    with pytest.raises(DataError, match=r"(?s)line 25: guidelines.*TODO"):
        labeling_config.check_guidelines(template, read_label_set(template))
    template.guidelines.unlink()
    labeling_config.check_guidelines(template, read_label_set(template))


def test_what_the_sectors_are_called(mini: Benchmark) -> None:
    """On the page, in reasons and in lists, by labels.toml alone."""
    mini.labels.write_text(mini.labels.read_text().replace('title = "Mini"', 'title = "Mini"\nsector_title = "產業"'))
    label_set = read_label_set(mini)
    for decisions in (False, True):
        config = labeling_config.build_labeling_config(label_set, decisions)
        assert "產業" in config
        assert "产业" not in config
    exports.export_path(mini, "adjudicator").unlink()
    subjects = [item.subject for item in adjudication.check_decisions(Workspace(mini), "adjudicator", allow_open=True)]
    assert subjects == ["3万平方米", "產業", "滦河"]


def test_two_labels_on_one_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    text = files.read_text(benchmark.labels)
    before = benchmark.labeling_config.read_bytes()
    benchmark.labels.write_text(text.replace('hotkey = "shift+s"', 'hotkey = "2"'), encoding="utf-8")
    output = run_and_capture(capsys, "--root", str(benchmark.root), "labels", "config", code=1)
    assert "labels.toml [[entity]] DATE and [[sector]] culture: label-set\n" in output
    assert "'2' for DATE and culture" in output
    assert benchmark.labeling_config.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('unit = true\n', 'unit = true\nholds_no = ["PERSON"]\n', "[[entity]] QUANTITY holds_no: label-set"),
        ("[[entity]]\nname", "[[entitty]]\nname", "labels.toml entitty: wrong-shape"),
    ],
)  # fmt: skip
def test_labels_that_contradict_themselves(
    old: str, new: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    benchmark.labels.write_text(files.read_text(benchmark.labels).replace(old, new), encoding="utf-8")
    assert says in run_and_capture(capsys, "--root", str(benchmark.root), "labels", "config", code=1)


def test_no_label_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    benchmark.labels.write_text('version = "1.0.0"\ntitle = "Nothing"\n')
    output = run_and_capture(capsys, "--root", str(benchmark.root), "labels", "config", code=1)
    assert "an [[entity]] or a [[sector]]" in output
