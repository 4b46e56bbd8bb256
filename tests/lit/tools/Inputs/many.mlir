// Read by upstream.mlir.
func.func @f(%n: index) {
  %b = arith.nothing : i32
  %c = arith.addi %b, %b : i32
  %zero = arith.constant 0 : indx
  %one = arith.constant 1 : index
  %two = arith.addi %one %one : index
  scf.for %i = %zero to %n step %one {
    %r = arith.addi %one, %one : i32
    scf.yield
  }
  scf.for %i = %one to %n step %one {
    %s = arith.muli %one, %undefined : index
    scf.yield %s
  }
  func.return
}
func.func @g(%n: indx) {
  func.return %n : index
}
func.func @h(%n: index) -> i32 {
  func.return %n : index
}
func.func @i(%n: index) {
