pdl.pattern @plus_zero : benefit(1) {
  %t = pdl.type
  %zero = pdl.attribute = 0 : i32
  %c = pdl.operation "arith.constant" {"value" = %zero} -> (%t : !pdl.type)
  %z = pdl.result 0 of %c
  %x = pdl.operand
  %sum = pdl.operation "arith.addi"(%x, %z : !pdl.value, !pdl.value) -> (%t : !pdl.type)
  pdl.rewrite %sum {
    pdl.replace %sum with (%x : !pdl.value)
  }
}
func.func @main(%x: i32) -> i32 {
  %c = arith.constant 0 : i32
  %0 = arith.addi %x, %c : i32
  func.return %0 : i32
}
