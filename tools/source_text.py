"""Helpers shared by the checks: which files belong to the tree, and C++ text without its comments and strings."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

_NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL,
)


def tree_files(root: pathlib.Path) -> list[pathlib.Path]:
    """All files of the checkout that git tracks or would track, sorted; every file where there is no git."""
    try:
        out = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
            check=True, capture_output=True).stdout.decode()
        files = {root / name for name in out.split("\0") if name}
    except (OSError, subprocess.CalledProcessError):
        files = {p for p in root.rglob("*") if not {".git", "build"} & set(p.relative_to(root).parts)}
    return sorted(p for p in files if p.is_file() and not p.is_symlink())


def code_only(text: str) -> str:
    """The text with comments and literals blanked, line numbers kept. `#include "x"` lines keep their name."""

    def blank(match: re.Match) -> str:
        line_start = text.rfind("\n", 0, match.start()) + 1
        if match.group().startswith('"') and re.match(r"\s*#\s*include\b", text[line_start:match.start()]):
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    return _NOISE.sub(blank, text)
