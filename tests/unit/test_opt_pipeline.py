"""The text of pass pipelines, in both spellings."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.utils.arg_spec import ParameterListType

from nnc.core.errors import PassError
from nnc.tools.opt.pipeline import Spec, build, parse, render
from nnc.tools.opt.registry import load


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("", []),
        ("cse", [Spec("cse", {})]),
        ("cse,dce", [Spec("cse", {}), Spec("dce", {})]),
        ("builtin.module(cse)", [Spec("cse", {})]),
        ("func.func(cse,dce)", [Spec("cse", {}, ("func.func",)), Spec("dce", {}, ("func.func",))]),
        ("builtin.module(func.func(cse),dce)", [Spec("cse", {}, ("func.func",)), Spec("dce", {})]),
        (" cse { a = 1  b } ", [Spec("cse", {"a": (1,), "b": ()})]),
        (
            'p{i=-1 f=2.5 e=1e3 l=1,2 s="x \\" y" w=word t=true}',
            [
                Spec(
                    "p",
                    {
                        "i": (-1,),
                        "f": (2.5,),
                        "e": (1000.0,),
                        "l": (1, 2),
                        "s": ('x " y',),
                        "w": ("word",),
                        "t": (True,),
                    },
                )
            ],
        ),
    ],
)
def test_parse(text: str, specs: list[Spec]) -> None:
    assert parse(text) == specs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cse,,dce", "expected a pass or an op's name, got ','"),
        ("cse dce", "expected ',' or the end, got 'd'"),
        ("cse{a=}", "expected a value, got '}'"),
        ("cse{a", "expected an option's name or '}', got the end"),
        ("func.func(cse", "expected '\\)', got the end"),
        ("cse)", "expected ',' or the end, got '\\)'"),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(PassError, match=message):
        parse(text)


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
WORDS = NAMES.filter(lambda word: word not in ("true", "false"))
VALUES: st.SearchStrategy[ParameterListType] = st.one_of(
    st.just(()),
    st.lists(st.integers(-9, 9), min_size=1, max_size=3).map(tuple),
    st.tuples(st.booleans()),
    st.tuples(WORDS),
)


def shown(spec: Spec) -> str:
    options = " ".join(
        f"{key}={','.join(str(v).lower() for v in value)}" if value else key
        for key, value in spec.options.items()
    )
    text = f"{spec.name}{{{options}}}" if options else spec.name
    for anchor in reversed(spec.anchors):
        text = f"{anchor}({text})"
    return text


@settings(max_examples=50, deadline=None)  # a busy machine is no failure
@given(
    st.lists(
        st.builds(
            Spec,
            NAMES,
            st.dictionaries(NAMES, VALUES, max_size=3),
            st.lists(NAMES.map("dialect.{}".format), max_size=2).map(tuple),
        ),
        max_size=4,
    )
)
def test_round_trip(specs: list[Spec]) -> None:
    assert parse(",".join(map(shown, specs))) == specs


def test_render_is_what_was_read() -> None:
    registry = load()
    text = "builtin.module(func.func(cse),dce)"
    assert render(build([text], registry)) == text
    assert render(build(["func.func(cse)", "dce"], registry)) == text
