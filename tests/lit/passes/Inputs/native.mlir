pdl.pattern @native : benefit(1) {
  %x = pdl.operand
  pdl.apply_native_constraint "is_even"(%x : !pdl.value)
  %t = pdl.type
  %a = pdl.operation "graph.relu"(%x : !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %a {
    pdl.replace %a with (%x : !pdl.value)
  }
}
