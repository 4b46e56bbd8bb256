// Upstream's custom syntax through xDSL's parser, with places in the file.
// RUN: nn-opt %s -f mlir | filecheck %s
// CHECK: scf.for
func.func @f(%n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  scf.for %i = %zero to %n step %one {
    scf.yield
  }
  func.return
}

// RUN: not nn-opt %S/Inputs/wrong.mlir -f mlir 2>&1 | filecheck %s --check-prefix=WRONG
// WRONG: wrong.mlir:3:22: error:
// WRONG-NEXT: %b = arith.nothing
// WRONG-NEXT: ^
