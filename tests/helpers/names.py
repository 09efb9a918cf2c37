"""Test helpers: names that no file may have, and unusual ones that it may."""

HOSTILE_NAMES = (
    "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/./b", "a//b", "a/", "./x", "x\n/../../../y", "x\r", "a\tb",
    "a\0b", "..\\x", "a\\b", "C:x", "C:\\x", "file:///x", "x.txt:stream", "..\uff0fx", "\uff0e\uff0e/x",
    "\u2025/x", "a\u2215b", "a\u2044b", "a\u29f8b", "a\u2571b", "a\u2216b", "a\uff3cb", "a\u29f5b",
    "a\u202eb", "a\u200bb", "a\ufeff", "a\u2028b", "a\u2029b", "\x1b[2J",
    "\x85", "\ud800", ".git/config", ".x", "a/.y", "CON", "nul.txt", "a/AUX", "com1",
    "LPT\u00b9.txt", "prn .txt", "x ", " x", "x.", "x./y", "\u5929" * 86, "a/" * 600 + "b",
)  # fmt: skip
NAMES = ("a", "a/b.txt", "天津：一.txt", "x y(1).txt", "a..b", "-x", "~x", "conx", "天" * 85, "console.txt", "𠮷.txt")
