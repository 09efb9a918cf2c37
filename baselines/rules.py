"""Rules: dates, quantities, bylines and what stands in 《》, by their form alone; nothing is learnt.

Shows how much of the task is a matter of form. The rules follow the annotation guidelines, whose examples come from
these pages, and were tried on the training sentences, which are part of the folds: the cross-validated score is
flattered. Companies, places and products have no form of their own.
"""

import re

from sklearn.base import BaseEstimator

from jinbench import Span

TASK = "ner"
SEED = 0  # nothing here is random

DIGITS = r"(?<![第\d.])\d+(?:[.,]\d+)*"
NUMBER = rf"(?:{DIGITS}|[一二两三四五六七八九十]+)"
HAN_NUMBER = "(?<![第一数几上“])[二两三四五六七八九十百千万亿]+"  # not 一批 and 第二批, nor slogans such as “两重”
UNIT = (
    "(?:个百分点|[十百千万亿]*(?:[美欧日]?元|平方米|立方米|平方公里|公里|千米|厘米|毫米|千瓦时?|兆瓦|公顷|小时|分钟|公斤|克|吨|升|"
    "米|亩|周年|个月|年|天|人次?|个|家|项|条|名|位(?!数)|座|栋|台|套|款|种|批|轮|次|届|场|件|张|辆|架|艘|支|只|所|处|倍|"
    "幅|颗|笔|户|组|度|重|岁|页|本))"
)
TO = "[—~至-]"
MONTH, DAY = rf"\d{{1,2}}(?:{TO}\d{{1,2}})?月份?", r"\d{1,2}[日号]"
QUARTER = "(?:[前第]?[一二三四]季度|[上下]半年)"
PART = f"(?:{QUARTER}|[春夏秋冬]季?|金秋|年?[初底中])"
SPOKEN = "(?:[今去明前后]年|前一年|全年|年内|[昨今明][天日]|[上本下](?:周|月|个?星期))"

RULES = [  # the first one that fits at the leftmost place wins, so longer forms come first
    ("INITIATIVE", "(?<=《)[^《》]+(?=》)"),
    ("DATE", rf"“十[一二三四五六]五”前{NUMBER}年"),
    ("DATE", "(?<=“)十[一二三四五六]五(?=”)"),
    ("DATE", rf"(?:未来|过去|近|下一个){NUMBER}个?(?:年|月|天|周)"),
    ("DATE", r"\d{4}(?:/\d{4})?(?:年度|财年)"),
    ("DATE", rf"(?:(?:\d{{4}}年|{SPOKEN})(?:{MONTH})?|{MONTH})(?:{PART}|{DAY}(?:{TO}(?:{MONTH})?{DAY})?)?"),
    ("DATE", QUARTER),
    ("QUANTITY", rf"{DIGITS}(?:%|\uff05|/\d+)"),
    ("QUANTITY", rf"{DIGITS}(?:{TO}\d+(?:\.\d+)?)?[百千万亿]*[多余]?{UNIT}"),
    ("QUANTITY", rf"(?!万元){HAN_NUMBER}[多余]?{UNIT}"),
]
RULE = re.compile("|".join(f"(?P<{name}_{n}>{pattern})" for n, (name, pattern) in enumerate(RULES)))
BYLINE = re.compile(r"(记者|通讯员)\s+([\u4e00-\u9fff]{2,3})(?![\u4e00-\u9fff])")


class Rules(BaseEstimator):
    def fit(self, X, y):
        return self

    def predict(self, X):
        return [list(self._find(row["text"])) for row in X]

    def _find(self, text):
        for found in RULE.finditer(text):
            yield Span(*found.span(), found.lastgroup.split("_")[0], found[0])
        for found in BYLINE.finditer(text):
            yield Span(*found.span(1), "TITLE", found[1])
            yield Span(*found.span(2), "PERSON", found[2])


def make():
    return Rules()
