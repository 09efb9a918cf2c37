"""The page of annotators and adjudicators: the real Label Studio in a real browser, worked with mouse and keys."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from coloraide import Color
from selenium.webdriver import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

from jinbench.annotation import adjudication, exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import adjudicate, annotations, labeling_config, projects
from jinbench.labelstudio.server import process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import connect
from jinbench.seeds import articles
from tests.helpers.annotation_page import REGIONS, WRITTEN, AnnotatorBrowser
from tests.helpers.browser import Browser, local_browser
from tests.helpers.labelstudio import AnnotationProject, run_command
from tests.helpers.paths import ROOT

__all__ = ["local_browser"]

pytestmark = pytest.mark.server


@pytest.fixture
def annotator(local_browser: Browser, server: process.Server) -> Iterator[AnnotatorBrowser]:
    """Whatever a page does, it asks this server alone."""
    yield AnnotatorBrowser(local_browser, server)
    own = (server.url, f"blob:{server.url}", "data:", "about:")
    assert [url for url in local_browser.requests if not url.startswith(own)] == []


@pytest.fixture
def real_copy(tmp_path: Path) -> Benchmark:
    for room in ("seeds", "annotation"):
        shutil.copytree(ROOT / room, tmp_path / "real" / room)
    return Benchmark(tmp_path / "real")


def on_white(colour: str) -> Color:
    """Return rgb(…) or rgba(…) of a browser as it looks on white."""
    return Color.layer([colour, "white"], space="srgb")


def only(project: AnnotationProject, article: str, passages: int | None = None) -> None:
    """Of the seeds, only one article, or the beginning of it."""
    (selected,) = (candidate for candidate in project.seeds.articles if candidate.id == article)
    project.seeds = replace(project.seeds, articles=(replace(selected, passages=selected.passages[:passages]),))


def add_page(benchmark: Benchmark, lines: list[str], title: str = "新的一页") -> str:
    """A page of one article with one passage, all of `lines` with their line breaks. Returns the article's id."""
    text = "\n".join([title, "", *lines]) + "\n"
    (benchmark.pages / "z.txt").write_text(text, newline="")
    entry = f"""
[[page]]
id = "z"
file = "z.txt"
sha256 = "{files.sha256(text.encode())}"

[[article]]
id = "added"
page = "z"
story = "added"
lines = ["headline 1", "body 3{f"-{len(lines) + 2}" if len(lines) > 1 else ""}"]
"""
    with benchmark.articles.open("a") as file:
        file.write(entry)
    return "added"


def begin(annotator: AnnotatorBrowser, project: AnnotationProject) -> str:
    """Push, log in, open the first passage. Returns the instructions."""
    project.push()
    annotator.log_in(project.annotator)
    annotator.open_project(projects.project_title(project.label_set, project.annotator))
    instructions = annotator.label_all()
    annotator.at(next(project.seeds.passages()).text)
    return instructions


def spans(labels: PassageLabels) -> list[tuple[str, str]]:
    return [(span.surface, span.type) for span in labels.spans]


def fetched(project: AnnotationProject) -> list[PassageLabels]:
    return annotations.fetch_labels(project.client, project.workspace, project.annotator)


def test_from_the_login_to_a_pulled_label(annotator: AnnotatorBrowser, project: AnnotationProject) -> None:
    project.benchmark.guidelines.write_text(
        "# 指南\n\n## 类型\n\n- 地点\n\n| 标签 | 例 |\n|---|---|\n| PLACE | 天津港 |\n"
    )
    instructions = begin(annotator, project)
    for tag in ("<h1>指南</h1>", "<h2>类型</h2>", "<li>地点</li>", "<td>天津港</td>"):
        assert tag in instructions
    annotator.mark("1", "天津港")
    annotator.mark("2", "昨天")
    annotator.press("A")  # shift+a
    annotator.browser.wait("return document.querySelector('.jinbench input:checked')")
    annotator.tick("水利")
    annotator.tick("其他")
    annotator.tick("其他")  # and off again
    assert annotator.ticked() == ["港口", "水利"]
    annotator.submit()
    second = list(project.seeds.passages())[1].text
    annotator.at(second)  # the next passage, with nothing on it
    assert (annotator.browser.run(REGIONS), annotator.ticked()) == ([], [])
    assert project.pull() == (1, 1)
    (labels,) = read_labels(
        exports.export_path(project.benchmark, project.annotator), project.workspace, project.annotator
    )
    assert (labels.passage_id, labels.sectors) == ("a-L5", ("port", "water"))
    assert sorted(spans(labels)) == [("天津港", "PLACE"), ("昨天", "DATE")]
    text = next(project.seeds.passages()).text
    assert {(span.start, span.end) for span in labels.spans} == {(0, 3), (text.index("昨天"), text.index("昨天") + 2)}


def test_a_new_annotator_in_an_empty_folder(annotator: AnnotatorBrowser, tmp_path: Path) -> None:
    """By what the commands print alone: from nothing to a first passage that is submitted and pulled."""
    output = run_command(tmp_path, "annotate", "push", "--annotators", "first-day")
    url, login = re.findall(r"Open (\S+), log in as (\S+);", output)[0]
    (command,) = re.findall(r"the passwords: jinbench (.*)", output)
    (mine,) = (row for row in run_command(tmp_path, *command.split(), "--json") if row["login"] == login)
    annotator.browser.driver.delete_all_cookies()
    annotator.browser.go(url)
    annotator.enter_login(login, mine["password"])
    assert "<h1>" in annotator.label_all()
    annotator.at("长江上的一座新桥昨天通车。大桥全长2.3公里\uff0c设6条车道\uff0c工期3年。")
    annotator.mark("1", "长江")
    annotator.mark("3", "6条")
    annotator.tick("交通")
    annotator.submit()
    (person,) = run_command(tmp_path, "annotate", "status", "--json")["people"]
    assert (person["submitted"], person["left"]) == (1, 3)
    assert person["characters_per_minute"] > 0
    run_command(tmp_path, "annotate", "pull")
    benchmark = Benchmark(tmp_path)
    (labels,) = exports.read_export(exports.export_path(benchmark, "first-day"), Workspace(benchmark))
    assert [(span.type, span.surface) for span in labels.spans] == [("PLACE", "长江"), ("QUANTITY", "6条")]
    assert labels.sectors == ("transport",)


def test_suggestions_are_filled_in_and_can_be_taken_back(annotator: AnnotatorBrowser, real_copy: Benchmark) -> None:
    """Passages are labelled once. The suggestions as corrected are submitted."""
    gold = exports.export_path(real_copy, "adjudicator")
    gold.write_text(json.dumps(json.loads(gold.read_text())[:12]))  # to learn from; more would take longer
    made = run_command(real_copy.root, "annotate", "push", "--annotators", "helped", "--json")
    first = next(articles.read_seeds(real_copy).passages())
    client = connect()
    tasks = projects.list_tasks_by_passage(client, made["projects"][0]["project"])
    (suggested,) = (p for p in client.predictions.list(task=tasks[first.id][0].id))
    annotator.log_in("helped")
    annotator.open_project(projects.project_title(read_label_set(real_copy), "helped"))
    annotator.label_all()
    annotator.at(first.text)
    annotator.browser.wait(f"return (() => {{ {REGIONS} }})().length === arguments[0]", len(suggested.result))
    annotator.tick("综合时政")
    annotator.submit()
    run_command(real_copy.root, "annotate", "pull", "-a", "helped")
    (labels,) = exports.read_export(exports.export_path(real_copy, "helped"), Workspace(real_copy))
    assert [(s.start, s.end) for s in labels.spans] == [
        (region["value"]["start"], region["value"]["end"]) for region in suggested.result
    ]
    assert labels.spans


def test_a_type_is_changed_and_a_region_is_taken_back(annotator: AnnotatorBrowser, project: AnnotationProject) -> None:
    """Selected first, then the key: on a stretch that is labelled already. Without any type nothing is labelled."""
    begin(annotator, project)
    annotator.drag("昨天")
    annotator.browser.wait("return getSelection().toString() === '昨天'")
    annotator.press("2")
    assert annotator.browser.run(REGIONS) == []
    annotator.click(
        "return document.querySelector('.jinbench h3')"
    )  # else the mouse would carry the selected characters away
    annotator.mark("1", "昨天")
    annotator.mark("3", "3万平方米")
    annotator.click("return document.querySelector('.passage [data-label$=地点]')")
    annotator.browser.wait("return document.querySelector('.passage .__active')")
    annotator.press("2")
    annotator.browser.wait("return document.querySelector('.passage [data-label$=时间]')")
    annotator.press("\ue00c")  # Escape
    annotator.browser.wait("return !document.querySelector('.passage .__active')")
    annotator.click("return document.querySelector('.passage [data-label$=数量]')")
    annotator.browser.wait("return document.querySelector('.passage .__active')")
    annotator.press("\ue003")  # Backspace
    annotator.browser.wait(f"return (() => {{ {REGIONS} }})().length === 1")
    annotator.tick("港口")
    annotator.submit()
    (labels,) = fetched(project)
    assert spans(labels) == [("昨天", "DATE")]
    texts = [passage.text for passage in project.seeds.passages()]
    annotator.at(texts[1])
    annotator.click("return document.querySelector('[data-testid=prev-task]:not([disabled])')")
    annotator.at(texts[0])  # what was submitted is opened again, and corrected
    annotator.browser.wait(f"return (() => {{ {REGIONS} }})().length === 1")
    annotator.mark("1", "天津港")
    annotator.button("Update")
    corrected = [("天津港", "PLACE"), ("昨天", "DATE")]
    WebDriverWait(annotator.browser.driver, 30).until(lambda _: sorted(spans(fetched(project)[0])) == corrected)


WIDE = [
    "\U00020bb7祥轮和\U0001f468\u200d\U0001f469\u200d\U0001f467号昨天从\U0001f1e8\U0001f1f3天津港出发,",
    "\u3000\u3000今年运过5万吨\u3000粮食,经滦",
    "河到天津新港去年的码头。",
]


def test_spans_behind_wide_characters_are_what_was_selected(
    annotator: AnnotatorBrowser, project: AnnotationProject
) -> None:
    """Behind a character of two UTF-16 units, a joined emoji, a flag, full-width spaces and line breaks."""
    add_page(project.benchmark, WIDE)
    project.seeds = articles.read_seeds(project.benchmark)
    only(project, "added")
    (passage,) = project.seeds.passages()
    assert passage.text.count("\n") == 2
    begin(annotator, project)
    wanted = [
        ("1", "祥轮"),
        ("1", "\U0001f468\u200d\U0001f469\u200d\U0001f467号"),
        ("2", "昨天"),
        ("1", "天津港"),
        ("2", "今年"),
        ("3", "5万吨\u3000粮"),
        ("1", "滦\n河"),
        ("2", "去年"),
    ]
    for hotkey, needle in wanted:
        annotator.mark(hotkey, needle)
    annotator.press("A")
    annotator.submit()
    (labels,) = fetched(project)
    kinds = {label.hotkey: label.name for label in project.label_set.entities}
    at = passage.text.index
    assert [(s.start, s.end, s.type) for s in labels.spans] == [
        (at(needle), at(needle) + len(needle), kinds[hotkey]) for hotkey, needle in wanted
    ]


EVIL = (
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">\'"/></Labels></View>'
    "<Style>*{display:none}</Style>$title $text {{title}} ${title} &lt;b&gt; &amp; ]]> \\n"
)


def test_texts_and_labels_are_escaped(annotator: AnnotatorBrowser, project: AnnotationProject) -> None:
    listing = project.benchmark.labels.read_text()
    for plain in ("地点", "港口"):  # a type and a sector
        listing = listing.replace(f'zh = "{plain}"', f"zh = {json.dumps('$title' + plain + EVIL)}")
    listing = listing.replace('definition = "有名称的地点"', f"definition = {json.dumps(EVIL)}")
    project.benchmark.labels.write_text(listing)
    project.benchmark.guidelines.write_text(f"# {EVIL}\n\n{EVIL}\n\n- [{EVIL}](javascript:window.hacked=1)\n")
    add_page(project.benchmark, [f"{EVIL}天津港今年", "和明年。"], EVIL.replace("\\n", ""))
    project.seeds, project.label_set = articles.read_seeds(project.benchmark), read_label_set(project.benchmark)
    only(project, "added")
    (passage,) = project.seeds.passages()
    before = replace(passage, id="z-before", text=EVIL * 2)  # as what stands around it, too
    (article,) = project.seeds.articles
    project.seeds = replace(project.seeds, articles=(replace(article, passages=(passage, before)),))
    instructions = begin(annotator, project)
    assert "<script" not in instructions
    assert "<img" not in instructions
    assert "<a" not in instructions
    assert "&lt;script&gt;" in instructions
    run = annotator.browser.run
    joiner = "\u2060"
    displayed = run("return [...document.querySelectorAll('.jinbench .lsf-label__text')].map(e => e.textContent)")
    assert [text.replace(joiner, "") for text in displayed] == [label.zh for label in project.label_set.entities]
    displayed = run("return [...document.querySelectorAll('.jinbench .lsf-choice input')].map(e => e.name)")
    assert [text.replace(joiner, "") for text in displayed] == [label.zh for label in project.label_set.sectors]
    after = run("return [...document.querySelectorAll('.context')].at(-1).textContent")
    assert after == projects.build_task_data(project.seeds)[0]["after"]
    assert run("return document.querySelector('.jinbench h3').textContent") == article.title
    label = run("return document.querySelector('.jinbench .lsf-label')")
    ActionChains(annotator.browser.driver, duration=0).move_to_element(label).perform()
    annotator.mark("1", "天津港今年")
    annotator.press("A")
    annotator.browser.wait("return document.querySelector('.jinbench input:checked')")
    annotator.submit()
    (labels,) = fetched(project)
    assert (spans(labels), labels.sectors) == ([("天津港今年", "PLACE")], ("port",))
    assert run("return window.hacked ?? null") is None
    assert run("return document.querySelectorAll('img[src=x], .jinbench script').length") == 0


def test_the_page_of_an_annotator_fits_one_screen(
    annotator: AnnotatorBrowser, real_copy: Benchmark, tmp_path: Path
) -> None:
    """With the real labels, a passage of median length and more marks than most have."""
    project = AnnotationProject(real_copy, annotator.server, "annotator-a")
    lengths = sorted(len(passage.text) for passage in project.seeds.passages())
    (article,) = (a for a in project.seeds.articles if a.passages[0].id == "000-L81")
    assert len(article.passages[0].text) == lengths[len(lengths) // 2]
    wanted = next(entry for entry in project.labels() if entry.passage_id == "000-L81")
    only(project, article.id)
    begin(annotator, project)
    keys = {label.name: label.hotkey for label in project.label_set.entities}
    text = article.passages[0].text
    for span in wanted.spans:
        annotator.mark(keys[span.type], span.surface, text[: span.start].count(span.surface))
    for label in project.label_set.sectors:
        if label.name in wanted.sectors:
            annotator.tick(label.zh)
    annotator.pick("6")
    assert annotator.unseen() == []
    names = {label.name: label.zh for label in project.label_set.entities}
    assert annotator.browser.run(REGIONS) == [names[span.type] for span in wanted.spans]  # beside each, to be read
    hotkeys = annotator.browser.run(
        "return [...document.querySelectorAll('.lsf-label__hotkey')].map(e => e.textContent)"
    )
    hotkeys += annotator.browser.run(
        "return [...document.querySelectorAll('.lsf-hint')].map(e => e.textContent.slice(1, -1))"
    )
    assert hotkeys == [label.hotkey for label in (*project.label_set.entities, *project.label_set.sectors)]
    painted = annotator.browser.run(
        "return [...document.querySelectorAll('.passage [data-label]')].map(e => [getComputedStyle(e).backgroundColor,"
        " getComputedStyle(e).boxShadow, getComputedStyle(e, '::after').display, e.dataset.label.split(':')[1]])"
    )
    colour_of = {label.zh: label.colour for label in project.label_set.entities}
    for ground, line, after, name in painted:
        colour = colour_of[name]
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert ground == f"rgba({red}, {green}, {blue}, {labeling_config.TINT})"
        assert line.startswith(f"rgb({red}, {green}, {blue})")
        assert after != "none"
    for ink, ground in annotator.browser.run(WRITTEN):
        assert on_white(ink).contrast(on_white(ground)) > 4.5
    annotator.picture("annotating.png", tmp_path)
    annotator.submit()
    (labels,) = fetched(project)
    assert (labels.spans, labels.sectors) == (wanted.spans, wanted.sectors)


def test_an_adjudicator_decides_with_a_reason(
    annotator: AnnotatorBrowser, real_copy: Benchmark, tmp_path: Path
) -> None:
    benchmark = real_copy
    workspace = Workspace(benchmark)
    id, subject = "001-L77", "中国(天津)"  # the one open question of its article
    (article,) = (a for a in workspace.seeds.articles if id in {passage.id for passage in a.passages})
    seeds = replace(workspace.seeds, articles=(article,))
    workspace = Workspace.from_parts(benchmark, seeds=seeds, label_set=workspace.label_set)
    ids = {passage.id for passage in article.passages}
    for name in ("annotator-a", "annotator-b", "adjudicator"):
        path = exports.export_path(benchmark, name)
        path.write_text(json.dumps([t for t in json.loads(path.read_text()) if t["data"]["passage_id"] in ids]))
    gold = {e.passage_id: e for e in exports.read_export(exports.export_path(benchmark, "adjudicator"), workspace)}[id]
    exports.export_path(benchmark, "adjudicator").unlink()
    client = connect()
    ensure_local_member(annotator.server.url, "adjudicator")
    pushed = adjudicate.push_adjudication(client, workspace, "adjudicator", lambda what, done, total: None)
    assert [disagreement.passage_id for disagreement in pushed.to_decide] == [id]

    annotator.log_in("adjudicator")
    task = projects.list_tasks_by_passage(client, pushed.pushed.project)[id][0].id
    annotator.browser.driver.get(f"{annotator.server.url}/projects/{pushed.pushed.project}/data?task={task}")
    annotator.at(next(passage.text for passage in article.passages if passage.id == id))
    labels_by_annotator = adjudication.labels_to_adjudicate(workspace, "adjudicator")
    display_names = {label.name: label.zh for label in workspace.label_set.entities}
    tabs = annotator.tabs(4)
    assert tabs == ["adjudicator", "agreed", "annotator-b", "annotator-a"]
    for name, labels in labels_by_annotator.items():
        annotator.open_tab(tabs.index(name), [display_names[span.type] for span in labels[id].spans])
    agreed = adjudication.intersect_labels(labels_by_annotator, "adjudicator")[id]
    annotator.open_tab(0, [display_names[span.type] for span in agreed.spans])
    assert subject not in {span.surface for span in agreed.spans}
    annotator.mark("6", subject)
    table = annotator.browser.run("return document.querySelector('.decisions table').innerText")
    for part in ("annotator-a\nlanguage model", "annotator-b\nlanguage model", f"»{subject}«", f"[{subject}|地名]"):
        assert part in table
    annotator.click("return document.querySelector('.reasons [data-testid=htx-textbox-edit-button]')")
    annotator.browser.wait("return Boolean(document.activeElement.closest('[data-testid=textarea-region]'))")
    annotator.press(f"\ue010{gold.reasons[0].removeprefix(f'{subject}: ')}\ue007")  # behind what is begun; Enter
    annotator.browser.wait(
        "return document.querySelector('.reasons').innerText.includes(arguments[0])", gold.reasons[0]
    )
    annotator.picture("adjudicating.png", tmp_path)
    assert annotator.unseen(".decisions table", ".reasons input", ".reasons [data-testid=textarea-region]") == []
    annotator.button("Submit")
    annotator.browser.wait("return [...document.querySelectorAll('button')].some(b => b.innerText.trim() === 'Update')")
    annotations.pull_labels(client, workspace, "adjudicator")
    (decision,) = adjudication.check_decisions(workspace, "adjudicator")
    assert (decision.passage_id, decision.subject) == (id, subject)
    assert exports.read_export(exports.export_path(benchmark, "adjudicator"), workspace)[0].same_labels(gold)
