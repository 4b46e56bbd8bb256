"""Code generation and linking of hand-written LLVM IR."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import pytest

from nnc.core.errors import PassError, UnsupportedError
from nnc.lowering import llvm_to_object


@dataclass(frozen=True)
class Machine:
    triple: str
    cpu: str = ""
    features: str = ""


CALLER = """
declare i64 @callee(i64)
@table = internal constant [3 x i64] [i64 1, i64 20, i64 300]
define i64 @caller(i64 %i) {
  %p = getelementptr inbounds [3 x i64], ptr @table, i64 0, i64 %i
  %v = load i64, ptr %p
  %r = call i64 @callee(i64 %v)
  ret i64 %r
}
"""
CALLEE = """
declare i64 @labs(i64)
define i64 @callee(i64 %x) {
  %n = sub i64 0, %x
  %a = call i64 @labs(i64 %n)
  %r = add i64 %a, 5
  ret i64 %r
}
"""


@pytest.fixture
def host() -> Machine:
    return Machine(*llvm_to_object.host_cpu())


def test_objects_link_across_each_other_and_to_libc(host: Machine):
    objects = [llvm_to_object.compile(text, host) for text in (CALLER, CALLEE)]
    library = llvm_to_object.link(objects, ["caller"])
    caller = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("caller"))
    assert [caller(i) for i in range(3)] == [6, 25, 305]


def test_two_libraries_may_define_the_same_symbol(host: Machine):
    def library(value: int) -> llvm_to_object.Library:
        text = f"define i64 @same() {{ ret i64 {value} }}"
        return llvm_to_object.link([llvm_to_object.compile(text, host)], ["same"])

    first, second = library(1), library(2)
    call = ctypes.CFUNCTYPE(ctypes.c_int64)
    assert (call(first.address("same"))(), call(second.address("same"))()) == (1, 2)


def test_objects_for_other_targets():
    text = "define <4 x float> @f(<4 x float> %x) { ret <4 x float> %x }"
    target = Machine("aarch64-unknown-linux-gnu", "generic", "+neon")
    assert llvm_to_object.compile(text, target)[18:20] == b"\xb7\x00"  # ELF's EM_AARCH64
    assert "ret" in llvm_to_object.assembly(text, target)


@pytest.mark.parametrize(
    "text", ["define void @f( {", "define i32 @f() { ret i64 0 }", "define void @f() { }"]
)
def test_malformed_ir_is_refused(host: Machine, text: str):
    with pytest.raises(PassError, match="LLVM refuses"):
        llvm_to_object.compile(text, host)


def test_unknown_triple_is_refused():
    with pytest.raises(UnsupportedError, match="zork"):
        llvm_to_object.compile("define void @f() { ret void }", Machine("zork"))


def test_undefined_and_duplicate_symbols_are_refused(host: Machine):
    caller = llvm_to_object.compile(CALLER, host)
    with pytest.raises(PassError, match="do not link"):
        llvm_to_object.link([caller], ["caller"])
    with pytest.raises(PassError, match="duplicate"):
        llvm_to_object.link([caller, caller], ["caller"])


def test_merged_modules_declare_once_what_they_share(host: Machine):
    calls = "declare i64 @callee(i64)\ndeclare i64 @labs(i64)\n"
    user = 'define i64 @"{0}"(i64 %x) {{\n  %r = call i64 @callee(i64 %x)\n  ret i64 %r\n}}\n'
    one, two = (calls + user.format(name) for name in ("a.0", "b.0"))
    merged = llvm_to_object.merge_modules([one, two, CALLEE])
    assert merged.count("declare i64 @labs") == 1
    assert "declare i64 @callee" not in merged
    library = llvm_to_object.link([llvm_to_object.compile(merged, host)], ["a.0", "b.0"])
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    assert [call(library.address(name))(2) for name in ("a.0", "b.0")] == [7, 7]
