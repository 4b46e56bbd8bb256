"""Diagnostics: where they point, how they print, what is heard of them."""

import pytest
from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    FileLineColLoc,
    IntAttr,
    LocationAttr,
    NameLoc,
    NoneAttr,
    StringAttr,
)
from xdsl.dialects.test import TestOp

from nnc.core.diagnostics import (
    Diagnostic,
    Place,
    Severity,
    at,
    collecting,
    from_exception,
    place_of,
    report,
)
from nnc.core.errors import PassError
from nnc.core.locations import fuse

SOURCE = "first\n\tsecond line\n" + "x" * 400 + "y" + "x" * 400 + "\n"
LINE = FileLineColLoc(StringAttr("net.nn"), IntAttr(2), IntAttr(9))
NODE = NameLoc(StringAttr("Conv_4"), NoneAttr())


def error(place: Place | None) -> Diagnostic:
    return Diagnostic(Severity.ERROR, "wrong", place)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (None, "error: wrong"),
        (Place("net.nn", 1, 1), "net.nn:1:1: error: wrong\nfirst\n^"),
        (Place("net.nn", 1, 6), "net.nn:1:6: error: wrong\nfirst\n     ^"),
        (Place("net.nn", 2, 9), "net.nn:2:9: error: wrong\n\tsecond line\n\t       ^"),
        (Place("net.nn", 1), "net.nn:1: error: wrong\nfirst"),
        (Place("net.nn", 1, 40), "net.nn:1:40: error: wrong\nfirst"),
        (Place("net.nn", 99, 1), "net.nn:99:1: error: wrong"),
        (Place("other.nn", 1, 1), "other.nn:1:1: error: wrong"),
    ],
)
def test_render(place: Place | None, text: str) -> None:
    assert error(place).render({"net.nn": SOURCE}) == text


def test_a_long_line_is_cut_around_the_caret() -> None:
    _, shown, caret = error(Place("net.nn", 3, 401)).render({"net.nn": SOURCE}).split("\n")
    assert len(shown) == 160
    assert shown[caret.index("^")] == "y"


@pytest.mark.parametrize(
    ("location", "place", "name"),
    [
        (UNKNOWN_LOC, None, None),
        (LINE, Place("net.nn", 2, 9), None),
        (NODE, None, "node 'Conv_4'"),
        (fuse([NODE, LINE]), Place("net.nn", 2, 9), None),
    ],
)
def test_where_a_location_is(location: LocationAttr, place: Place | None, name: str | None) -> None:
    assert place_of(location) == place
    made = at(Severity.NOTE, "here", location)
    assert (made.place, made.name) == (place, name)


@pytest.mark.parametrize(
    ("where", "place", "name"),
    [
        (None, None, None),
        ("net.nn:2:9", Place("net.nn", 2, 9), None),
        ("net.nn:2", Place("net.nn", 2), None),
        ("net.nn:2:9, net.nn:3:1", Place("net.nn", 2, 9), None),
        ("node 'Conv_4'", None, "node 'Conv_4'"),
    ],
)
def test_an_error_of_ours(where: str | None, place: Place | None, name: str | None) -> None:
    made = from_exception(PassError("wrong", where=where, hint="do better"))
    assert made == Diagnostic(Severity.ERROR, "wrong", place, name, "do better")
    assert made.render({}).endswith("error: wrong\n  help: do better")


def test_reports_are_heard_inside_the_block_alone() -> None:
    op = TestOp()
    report(Severity.WARNING, op, "nobody listens")
    with collecting() as outer:
        report(Severity.WARNING, op, "outer")
        with collecting() as inner:
            report(Severity.REMARK, op, "inner")
        report(Severity.NOTE, op, "outer again")
    assert [d.message for d in outer] == ["outer", "outer again"]
    assert [d.severity for d in inner] == [Severity.REMARK]
