pdl.pattern @relu_of_four : benefit(1) {
  %t = pdl.type : tensor<4xf32>
  %x = pdl.operand
  %a = pdl.operation "graph.relu"(%x : !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %a {
    pdl.replace %a with (%x : !pdl.value)
  }
}
pdl.pattern @without_results : benefit(1) {
  %x = pdl.operand
  %n = pdl.operation "graph.abs"(%x : !pdl.value)
  pdl.rewrite %n {
    pdl.replace %n with (%x : !pdl.value)
  }
}
