pdl.pattern @typo : benefit(1) {
  %t = pdl.type
  %x = pdl.operand
  %a = pdl.operation "graph.reluu"(%x : !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %a {
    pdl.replace %a with (%x : !pdl.value)
  }
}
