pdl.pattern @relu_of_relu : benefit(1) {
  %t = pdl.type
  %x = pdl.operand
  %a = pdl.operation "graph.relu"(%x : !pdl.value) -> (%t : !pdl.type)
  %y = pdl.result 0 of %a
  %b = pdl.operation "graph.relu"(%y : !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %b {
    pdl.replace %b with %a
  }
}

pdl.pattern @abs_of_neg : benefit(2) {
  %t = pdl.type
  %x = pdl.operand
  %a = pdl.operation "graph.neg"(%x : !pdl.value) -> (%t : !pdl.type)
  %y = pdl.result 0 of %a
  %b = pdl.operation "graph.abs"(%y : !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %b {
    %c = pdl.operation "graph.abs"(%x : !pdl.value) -> (%t : !pdl.type)
    pdl.replace %b with %c
  }
}
