"""Lowerings: one level down. One line here for each; the key is the flag of nn-opt."""

from ..core.catalog import lazy

CONVERSIONS = lazy(
    __name__,
    {
        # passes that go from one dialect to the next, in alphabetical order of flags
        "convert-graph-to-te": "graph_to_te.convert_graph_to_te:ConvertGraphToTePass",
        "convert-loop-to-mlir": "loop_to_mlir.convert_loop_to_mlir:ConvertLoopToMlirPass",
        "convert-te-to-linalg": "te_to_linalg.convert_te_to_linalg:ConvertTeToLinalgPass",
        "convert-te-to-loop": "te_to_loop.convert_te_to_loop:ConvertTeToLoopPass",
    },
)

TARGETS = lazy(
    __name__,
    {
        # what `nn-opt -t NAME` can write, as xDSL `Target` classes
        "asm": "emit_targets:AssemblyTarget",
        "dot": "dump_targets:DotTarget",
        "json": "dump_targets:JsonTarget",
        "llvm": "emit_targets:LlvmTarget",
        "obj": "emit_targets:ObjectTarget",
    },
)
