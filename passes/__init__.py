"""Passes: the same level in and out. One line here for each; the key is the flag of nn-opt."""

from ..core.catalog import lazy

PASSES = lazy(
    __name__,
    {
        # level.file_stem:Class, in alphabetical order of flags
        "apply-pdl": "graph.apply_pdl:ApplyPdlPass",
        "assign-layouts": "graph.assign_layouts:AssignLayoutsPass",
        "canonicalize": "graph.canonicalize:CanonicalizePass",
        "cse": "graph.cse:CsePass",
        "dce": "graph.dce:DcePass",
        "declare-inout": "loop.declare_inout:DeclareInoutPass",
        "fold-addends": "loop.fold_addends:FoldAddendsPass",
        "fold-constants": "graph.fold_constants:FoldConstantsPass",
        "form-tiles": "loop.form_tiles:FormTilesPass",
        "fuse": "graph.fuse:FusePass",
        "infer-shapes": "graph.infer_shapes:InferShapesPass",
        "inline-te": "te.inline_te:InlineTePass",
        "place-pieces": "graph.place_pieces:PlacePiecesPass",
        "recognize": "graph.recognize:RecognizePass",
        "simplify-inference": "graph.simplify_inference:SimplifyInferencePass",
        "winograd": "graph.winograd:WinogradPass",
    },
)
