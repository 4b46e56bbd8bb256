// Read by upstream.mlir.
func.func @f() {
  %b = arith.nothing : i32
}
