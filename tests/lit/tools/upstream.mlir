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
// WRONG: wrong.mlir:3:8: error: Operation arith.nothing is not registered
// WRONG-NEXT: %b = arith.nothing
// WRONG-NEXT: ^

// All errors in one run, what follows from them left out; a body under a broken head is read.
// RUN: not nn-opt %S/Inputs/many.mlir -f mlir 2>&1 | filecheck %s --check-prefix=MANY
// MANY: many.mlir:3:{{[0-9]+}}: error: Operation arith.nothing is not registered
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:5:{{[0-9]+}}: error: type expected
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:7:26: error: Expected ','
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:9:21: error: operand is used with type i32
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:13:27: error: value %undefined is not defined
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:14:17: error: Expected ':'
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:18:18: error: type expected
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:22:3: error: 'func.return': Expected arguments to have the same types
// MANY-NEXT: {{^  *[%a-z]|^func}}
// MANY-NEXT: {{^ *\^}}
// MANY-NEXT: {{.*}}many.mlir:25:1: error: unexpected end of the text
// MANY-NEXT: help: what begins in line 24 is not complete
// MANY-EMPTY:
// RUN: not nn-opt %S/Inputs/many.mlir -f mlir --max-errors=2 2>&1 | filecheck %s --check-prefix=FEW
// FEW: many.mlir:5:{{[0-9]+}}: error: type expected
// FEW-NEXT: arith.constant
// FEW-NEXT: ^
// FEW-NEXT: note: 7 more errors were left out
