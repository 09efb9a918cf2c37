rows = [
    dict(
        name="I at the start",
        gold=[["B-X", "I-X"]],
        predicted=[["I-X", "I-X"]],
        why="conlleval, seqeval's default and nervaluate let an I begin a span; seqeval's strict mode leaves the span out. JinBench refuses, unless one of the two is asked for by name",
    ),
    dict(
        name="I of another type",
        gold=[["B-X", "B-Y"]],
        predicted=[["B-X", "I-Y"]],
        why="as above, for an I whose type is not that of the tag before",
    ),
    dict(
        name="E in BIO",
        gold=[["B-X", "I-X"]],
        predicted=[["B-X", "E-X"]],
        why="seqeval's default knows no schemes and mixes them; nervaluate looks at no letter but B; the strict mode refuses. JinBench refuses, and no repair helps: the tags are of another scheme",
    ),
    dict(
        name="a prefix that nothing has",
        gold=[["B-X", "I-X"]],
        predicted=[["Q-X", "I-X"]],
        why="seqeval's default warns and takes Q for the beginning, because the type changes there",
    ),
    dict(
        name="a type that is not in the list",
        gold=[["B-X", "O", "B-X"]],
        predicted=[["B-X", "O", "B-Z"]],
        why="nervaluate leaves out what is not in its list of types, so that precision stays 1; seqeval has no list, and counts it as wrong",
    ),
    dict(
        name="a span that is not closed",
        scheme="BIOES",
        gold=[["B-X", "E-X", "O"]],
        predicted=[["B-X", "I-X", "O"]],
        why="seqeval's strict mode for IOBES wants E or S at the end; its default and nervaluate do not",
    ),
    dict(
        name="S beside another span",
        scheme="BIOES",
        gold=[["B-X", "E-X", "S-X"]],
        predicted=[["B-X", "E-X", "O"]],
        why="nervaluate reads BIO only: S does not begin a span, so that two gold spans become one",
    ),
    dict(
        name="nothing anywhere",
        gold=[["O", "O"]],
        predicted=[["O", "O"]],
        why="nothing to find and nothing found is neither right nor wrong; the others give 0 (seqeval with a warning, or 1 if `zero_division=1`)",
    ),
    dict(
        name="an item without a prediction",
        gold=[["B-X"], ["B-X"]],
        predicted=[["B-X"]],
        why="JinBench knows items by id: what is not there is missed. The others go by position, and need one sequence for each",
    ),
    dict(
        name="wrong boundary",
        gold=[["B-X", "I-X", "O"]],
        predicted=[["B-X", "O", "O"]],
        why="nervaluate's partial gives a half; our overlap asks whether the place was found, and gives one",
    ),
    dict(
        name="wrong type",
        gold=[["B-X", "I-X"]],
        predicted=[["B-Y", "I-Y"]],
        why="nervaluate's exact and partial do not look at types, as our boundary and overlap do not",
    ),
    dict(
        name="one gold span, two predicted",
        gold=[["B-X", "I-X", "I-X", "I-X"]],
        predicted=[["B-X", "I-X", "B-X", "I-X"]],
        why="all pair one to one; nervaluate's partial gives a half for the pair",
    ),
    dict(
        name="a chain",
        spans=True,
        gold=[[[0, 2, "X"], [3, 6, "X"]]],
        predicted=[[[1, 5, "X"], [5, 6, "X"]]],
        why="nervaluate's ent_type pairs one predicted span after the other, each with the nearest gold span, which may have been the only one for a later one. JinBench makes as many pairs as possible",
    ),
    dict(
        name="a wrong type first",
        spans=True,
        gold=[[[0, 4, "X"]]],
        predicted=[[[0, 2, "Y"], [2, 4, "X"]]],
        why="in nervaluate a span of the wrong type takes the gold span away from the right one behind it; were the two in the other order, ent_type would be 0.667",
    ),
    dict(
        name="a wrong span around the right one",
        spans=True,
        gold=[[[0, 2, "X"]]],
        predicted=[[[0, 3, "X"], [0, 2, "X"]]],
        why="the same in nervaluate's strict and exact where predicted spans overlap: what is right does not count because something wrong stands before it",
    ),
    dict(
        name="the same span twice",
        spans=True,
        gold=[[[0, 2, "X"]]],
        predicted=[[[0, 2, "X"], [0, 2, "X"]]],
        why="labels are a set; in nervaluate the second is spurious. (A file that says it twice is refused: `spans-overlap`)",
    ),
    dict(
        name="one place, two types",
        spans=True,
        gold=[[[0, 2, "X"], [0, 2, "Y"]]],
        predicted=[[[0, 2, "Y"]]],
        why="nervaluate pairs with the first that fits; without types JinBench counts the place once, as there is nothing else to find there",
    ),
    dict(
        name="one character of many",
        spans=True,
        gold=[[[0, 101, "X"]]],
        predicted=[[[100, 103, "X"]]],
        why="nervaluate asks for 1 % of the gold span by default, JinBench for one character",
    ),
    dict(
        name="a type with no gold",
        macro=True,
        repeat=30,
        gold=[["B-X", "O"]],
        predicted=[["B-X", "B-Y"]],
        why="seqeval takes the mean over every type that either side has, JinBench over those with 30 gold mentions, here 1 of 2. nervaluate and conlleval give no macro-F1",
    ),
    dict(
        name="a rare type",
        macro=True,
        repeat=29,
        gold=[["B-X", "B-Y"], ["B-X", "O"]],
        predicted=[["B-X", "O"], ["B-X", "O"]],
        why="Y has 29 mentions, too few for a number of its own: JinBench says 1 of 2 types",
    ),
]
import sys

sys.path.insert(0, ".")
import json
from pathlib import Path

T = Path("tests/vectors/differences.toml")
HEAD = """# Where other scorers give another number, each with a small example. tests/test_differences.py measures all of them
# again, but for conlleval, and checks that docs/scoring.md has each row.
#
# `gold` and `predicted` have a list of tags for each item, or of spans [start, end, type] where `spans` is true. The
# numbers are micro-F1, or macro-F1 where `macro` is true, with all items `repeat` times. `jinbench` is the exact rule,
# then boundary, type and overlap; or a code, then the F1 under each repair. A name of an error is what the scorer raises.
# conlleval is not run: its numbers follow from the rules that are published with it. "–": it cannot be asked.

types = ["X", "Y"]
"""
if not T.exists():
    T.write_text(HEAD + '\n[[case]]\nname = "x"\ngold = []\npredicted = []\n')
from tests import test_differences as D


def val(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    return json.dumps(v, ensure_ascii=False)


out = [HEAD]
for r in rows:
    r = dict(r)
    why = r.pop("why")
    m = D.measured(r)
    out.append(
        "\n[[case]]\n"
        + "".join(
            f"{k} = {val(v)}\n"
            for k, v in {
                **{k: r[k] for k in ("name",)},
                "why": why,
                **{k: v for k, v in r.items() if k != "name"},
                **m,
            }.items()
        )
    )
T.write_text("".join(out), encoding="utf-8")
for r in D.vectors("differences")[1]:
    print(D.rendered(r))
