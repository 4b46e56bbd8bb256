"""`nn-opt --new-pass` and `--new-dialect`: a file that works, and its test, which passes at once.

In a checkout of nnc a pass goes into `passes/<level>/` and a dialect into `dialects/`, each with
its line in the catalogue and its test in `tests/lit/`. Anywhere else both become a plug-in in the
current folder. A file that is there is never changed, but for the line in the catalogue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path

from ...core.errors import InputError
from ..files import writing
from . import skeleton_texts as texts

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DIALECT = re.compile(r"[a-z][a-z0-9_]*")
_PROJECT = 'name = "nnc-compiler"'


@dataclass(frozen=True)
class _File:
    """A file to be written: new, or with a line added to its catalogue."""

    path: Path
    text: str
    is_new: bool = True


def new_pass(name: str, level: str, folder: Path) -> str:
    """Write a pass; what was written, and how it is tested.

    Raises: InputError: no name for a pass, or a file is there already.
    """
    if not _NAME.fullmatch(name) or iskeyword(name):
        raise InputError(
            f"'{name}' is no name for a pass",
            hint="small letters, words joined by dashes, no keyword of Python: fold-relu",
        )
    _check_free("pass", name)
    fields = {"name": name, "stem": name.replace("-", "_"), "cls": _camel(name)}
    body = texts.PASSES[level]
    root = checkout(folder)
    if root is None:
        source = texts.fill(body.source, {**fields, "root": "nnc."})
        listed = f"{source}\n\nPASSES = [{fields['cls']}Pass]\n"
        return _plugin(folder, fields, listed, body.test, f" -p {name}")
    source = root / "passes" / level / f"{fields['stem']}.py"
    catalogue = root / "passes" / "__init__.py"
    line = f'        "{name}": "{level}.{fields["stem"]}:{fields["cls"]}Pass",'
    return _write(
        [
            _File(source, texts.fill(body.source, {**fields, "root": "..."})),
            _File(catalogue, _with_line(catalogue.read_text(), line), is_new=False),
            _File(
                root / "tests" / "lit" / "passes" / f"{name}.nn",
                texts.fill(body.test, {**fields, "flags": f"-p {name}"}),
            ),
        ],
        root,
        f"lit tests/lit/passes/{name}.nn",
    )


def new_dialect(name: str, folder: Path) -> str:
    """Write a dialect of one op; what was written, and how it is tested.

    Raises: InputError: no name for a dialect, or a file is there already.
    """
    if not _DIALECT.fullmatch(name) or iskeyword(name):
        raise InputError(
            f"'{name}' is no name for a dialect",
            hint="small letters, digits and underscores, no keyword of Python: poly",
        )
    _check_free("dialect", name)
    fields = {"name": name, "stem": name, "cls": _camel(name)}
    source = texts.fill(texts.DIALECT, fields)
    root = checkout(folder)
    if root is None:
        listed = f"{source}DIALECTS = [{fields['cls']}]\n"
        return _plugin(folder, fields, listed, texts.DIALECT_TEST, "")
    catalogue = root / "dialects" / "__init__.py"
    line = f'        "{name}": "{name}:{fields["cls"]}",'
    return _write(
        [
            _File(root / "dialects" / f"{name}.py", source),
            _File(catalogue, _with_line(catalogue.read_text(), line), is_new=False),
            _File(
                root / "tests" / "lit" / "dialects" / name / "ops.nn",
                texts.fill(texts.DIALECT_TEST, {**fields, "flags": ""}).replace("%s  --", "%s --"),
            ),
        ],
        root,
        f"lit tests/lit/dialects/{name}/ops.nn",
    )


def checkout(folder: Path) -> Path | None:
    """The root of the checkout of nnc that a folder is in."""
    for place in (folder, *folder.parents):
        project = place / "pyproject.toml"
        if project.is_file() and _PROJECT in project.read_text("utf-8"):
            return place if (place / "passes" / "__init__.py").is_file() else None
    return None


def _check_free(kind: str, name: str) -> None:
    """Raises: InputError: somebody has the name."""
    from .registry import load

    registry = load()
    if name in (registry.passes if kind == "pass" else registry.dialects):
        raise InputError(f"there is a {kind} '{name}' already", hint="choose another name")


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in re.split("[-_]", name))


def _plugin(folder: Path, fields: dict[str, str], source: str, test: str, flags: str) -> str:
    stem = fields["stem"]
    test = texts.fill(test, {**fields, "flags": f"--load-plugin %S/{stem}.py{flags}"})
    files = [_File(folder / f"{stem}.py", source), _File(folder / f"{fields['name']}.nn", test)]
    if not (folder / "lit.cfg.py").exists():
        files.append(_File(folder / "lit.cfg.py", texts.LIT_CONFIG))
    return _write(files, folder, f"lit {fields['name']}.nn")


def _with_line(text: str, line: str) -> str:
    """A catalogue with one more entry, in the order of names."""
    lines = text.split("\n")
    entries = [at for at, each in enumerate(lines) if re.fullmatch(r' {8}".+": ".+",', each)]
    later = [at for at in entries if lines[at] > line]
    lines.insert(later[0] if later else entries[-1] + 1, line)
    return "\n".join(lines)


def _write(files: list[_File], folder: Path, command: str) -> str:
    """Write all files, or none.

    Raises: InputError: one is there already, or cannot be written.
    """
    for file in files:
        if file.is_new and file.path.exists():
            raise InputError("is there already, and stays as it is", where=str(file.path))
    shown: list[str] = []
    for file in files:
        with writing(file.path):
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.text, "utf-8")
        verb = "wrote" if file.is_new else "added a line to"
        shown.append(f"{verb} {file.path.relative_to(folder)}")
    return "\n".join([*shown, f"test it: {command}"])
