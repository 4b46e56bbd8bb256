"""nn-reduce: what it drops, that the result is valid and fails, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.core.testing import Outcome, call
from nnc.core.verifier import problems
from nnc.core.walk import walk
from nnc.dialects import context, loop
from nnc.passes.loop.form_tiles import FormTilesPass
from nnc.reference.loop import run_loop_kernel
from nnc.textir import parse, print_module
from nnc.textir.weights import side_file
from nnc.tools import nn_reduce
from nnc.tools.reduce.command import Command
from nnc.tools.reduce.session import Session, num_operations

PLUGIN = Path(__file__).parents[1] / "lit" / "tools" / "Inputs" / "wrong_rewrites.py"
NETWORK = """
func.func @main(%x: tensor<1x16x14x14xf32>) -> (tensor<1x16x14x14xf32>, tensor<1x16x14x14xf32>) {
  %w = graph.constant dense<0.5> : tensor<16x16x3x3xf32>
  %0 = graph.relu(%x) : tensor<1x16x14x14xf32>
  %1 = graph.conv(%0, %w) {pads = [1, 1, 1, 1]} : tensor<1x16x14x14xf32>
  %2 = graph.sub(%1, %0) : tensor<1x16x14x14xf32>
  %3 = graph.sub(%2, %x) : tensor<1x16x14x14xf32>
  %4 = graph.tanh(%3) : tensor<1x16x14x14xf32>
  func.return %4, %1
}
"""


def has(module: ModuleOp, *names: str) -> bool:
    return set(names) <= {op.name for op in walk(module)}


def reduced(text: str, *names: str, limit: int = 2000) -> tuple[Session, str]:
    """A module in which these ops must stay."""
    session = Session(parse(text), lambda module: has(module, *names), limit)
    session.run()
    assert not problems(session.best)
    shown = print_module(session.best)
    parse(shown)
    return session, shown


def test_one_operator_is_left_of_a_network_and_its_extents_are_one() -> None:
    _, text = reduced(NETWORK, "graph.sub")
    assert num_operations(parse(text)) == 1
    assert "tensor<1x1x1x1xf32>" in text


def test_operators_between_two_that_matter_go() -> None:
    session, text = reduced(NETWORK, "graph.conv", "graph.tanh")
    assert num_operations(session.best) == 2
    assert "pads" not in text, "extents follow attributes"


def test_an_op_of_another_dialect_has_its_extents_made_smaller_too() -> None:
    """Else its operand alone would, and two moves would undo each other for ever."""
    session, text = reduced(
        "func.func @main(%x: tensor<4xi32>) -> tensor<4xi32> {"
        " %0 = arith.addi(%x, %x) : tensor<4xi32> func.return %0 }",
        "arith.addi",
    )
    assert "arith.addi(%x, %x) : tensor<1xi32>" in text
    assert session.progress.trials < 20


READS = """
func.func @main(%x: tensor<1x4x8x8xf32>, %y: tensor<1x4x8x8xf32>, %b: tensor<4xf32>) -> tensor<T> {
  %w = graph.constant dense<0.5> : tensor<4x4x3x3xf32>
  %low = graph.constant dense<0.0> : tensor<f32>
  %high = graph.constant dense<6.0> : tensor<f32>
  %0 = graph.conv(%x, %w, %b) {pads = [1, 1, 1, 1]} : tensor<1x4x8x8xf32>
  %1 = graph.clip(%0, %low, %high) : tensor<1x4x8x8xf32>
  %2 = graph.concat(%0, %y, %1, %x) {axis = 1} : tensor<1x16x8x8xf32>
  func.return %2
}
""".replace("<T>", "<1x16x8x8xf32>")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("graph.conv", "graph.conv(%x, %x) : tensor<1x1x1x1xf32>"),
        ("graph.clip", "graph.clip(%x) : tensor<1x1x1x1xf32>"),
        ("graph.concat", "graph.concat(%x) {axis = 1} : tensor<1x1x1x1xf32>"),
    ],
)
def test_operands_that_may_be_absent_go_and_arguments_become_one(name: str, left: str) -> None:
    _, text = reduced(READS, name)
    assert left in text


OPEN = """
func.func @main(%x: tensor<[batch]x32x?x28xf32>, %w: tensor<32x1x7x7xf32>) -> tensor<?x32x?x?xf32> {
  %0 = graph.conv(%x, %w) {group = 32, kernel_shape = [7, 7]} : tensor<[batch]x32x?x22xf32>
  func.return %0
}
"""


def test_extents_that_are_not_known_become_numbers_and_groups_follow() -> None:
    _, text = reduced(OPEN, "graph.conv")
    assert "graph.conv(%x, %x) : tensor<1x1x1x1xf32>" in text
    kept = Session(parse(OPEN), lambda module: "group = " in print_module(module)).run()
    assert "{group = 1} : tensor<1x1x1x1xf32>" in print_module(kept)


def test_a_reduction_is_deterministic() -> None:
    assert reduced(NETWORK, "graph.conv")[1] == reduced(NETWORK, "graph.conv")[1]


def test_trials_are_bounded_and_the_best_so_far_is_kept() -> None:
    session, _ = reduced(NETWORK, "graph.tanh", limit=2)
    assert session.progress.trials == 2
    assert has(session.best, "graph.tanh")


TE = """
te.kernel @f(%x: tensor<32x48xf32>, %w: tensor<48x24xf32> const) -> tensor<32x24xf32> {
  %c = te.compute @c [i: 32, j: 24] sum [k: 48] { %x[i, k] * %w[k, j] } : tensor<32x24xf32>
  %r = te.compute @r [i: 32, j: 24] { max(%c[i, j], 0.0) } : tensor<32x24xf32>
  %e = te.compute @e [i: 32, j: 24] { exp(%r[i, j]) } : tensor<32x24xf32>
  te.return %e
}
"""


def test_computes_and_arguments_of_a_te_kernel_go() -> None:
    _, text = reduced(TE, "arith.mulf")
    assert text.count("te.compute") == 1
    assert "[i: 1, j: 1] sum [k: 1]" in text
    assert "exp" not in text


def test_statements_and_primitives_go() -> None:
    text = """
    loop.kernel @k(%x: buffer<64xf32>, %y: out buffer<64xf32>, %z: out buffer<64xf32>) {
      loop.for %i = 0 to 64 {name = "y.i"} {
        loop.stmt @y [i: 64] = [%i] -> %y[i] { %x[i] * 2.0 }
      }
      loop.for %j = 0 to 64 {name = "z.i"} {
        loop.stmt @z [i: 64] = [%j] -> %z[i] { exp(%x[i]) }
      }
    }
    sched.schedule @k {
      split y.i, 16
      split z.i, 16
      vectorize z.i.i
    }
    """
    session, shown = reduced(text, "math.exp", "sched.vectorize")
    assert "@y" not in shown
    assert "split" not in shown
    assert session.progress.operations < num_operations(parse(text))


CHAIN = """
loop.kernel @k(%x: buffer<64xf32>, %z: out buffer<64xf32>) {
  %a = loop.alloc : buffer<64xf32>
  %b = loop.alloc : buffer<64xf32>
  loop.for %i = 0 to 64 {name = "a.i"} {
    loop.stmt @a [i: 64] = [%i] -> %a[i] { tanh(%x[i]) }
  }
  loop.for %j = 0 to 64 {name = "b.i"} {
    loop.stmt @b [i: 64] = [%j] -> %b[i] { exp(%a[i]) }
  }
  loop.for %k = 0 to 64 {name = "z.i"} {
    loop.stmt @z [i: 64] = [%k] -> %z[i] { sqrt(%b[i]) }
  }
}
"""


@pytest.mark.parametrize("wanted", ["tanh", "exp", "sqrt"])
@pytest.mark.parametrize("form", ["nest", "tiles"])
def test_buffers_of_loop_kernels_become_inputs_and_the_output(wanted: str, form: str) -> None:
    """One statement is left, whichever it is, and the kernel can still be run."""
    module, name = parse(CHAIN), f"math.{wanted}"
    if form == "tiles":
        FormTilesPass().apply(context(), module)
        name = f"loop.{wanted}"
    session = Session(module, lambda module: has(module, name))
    session.run()
    assert not problems(session.best)
    [kernel] = session.best.ops
    assert isinstance(kernel, loop.KernelOp)
    assert len(kernel.body.block.args) == 2
    assert "loop.alloc" not in print_module(session.best)
    extents = loop.buffer_type(kernel.body.block.args[0]).extents
    [output] = run_loop_kernel(kernel, [np.full(extents, 2, np.float32)])
    assert output.ravel()[0] == pytest.approx(getattr(np, wanted)(2.0))


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.nn").write_text(NETWORK)
    return "net.nn"


def run(*args: str) -> Outcome:
    return call(nn_reduce.main, list(args))


TEST = f"nn-opt %s --load-plugin {PLUGIN} -p wrong-commute --check-semantics"


def test_a_command_that_keeps_failing(network: str) -> None:
    outcome = run(network, "--test", TEST, "-o", "small.nn")
    assert outcome.status == 0, outcome.err.decode()
    lines = outcome.err.decode().splitlines()
    assert lines[0].startswith("trial ")
    assert lines[-1].startswith("6 -> 1 operations in ")
    module = parse(Path("small.nn").read_text())
    assert has(module, "graph.sub")
    assert not side_file("small.nn").exists(), "no weight is left"


def test_what_its_output_says_may_be_the_failure(network: str) -> None:
    flags = ["--test", "nn-opt -p convert-te-to-loop", "--output-matches", r"graph\.tanh"]
    outcome = run(network, *flags)
    assert outcome.status == 0
    assert b"graph.tanh" in outcome.out
    assert num_operations(parse(outcome.out.decode())) == 1


@pytest.mark.skipif(shutil.which("grep") is None, reason="needs grep")
def test_any_program_may_be_the_test(network: str) -> None:
    """`grep` fails while there is a tanh, so to say."""
    outcome = run(network, "--test", "sh -c '! grep -q tanh %s'", "--max-trials", "30")
    assert outcome.status == 0
    assert b"graph.tanh" in outcome.out


def test_weights_that_matter_lie_beside_the_result(tmp_path: Path, network: str) -> None:
    from nnc.dialects.graph.base import ConstantOp
    from nnc.tools.reduce.command import write_module

    module = parse(NETWORK)
    constant = next(op for op in walk(module) if isinstance(op, ConstantOp))
    array = np.random.default_rng(0).normal(size=(16, 16, 3, 3)).astype(np.float32)
    constant.properties["value"] = ConstantOp.of(array).value
    write_module(module, "weights.nn")
    flags = ["--output-matches", r"graph\.weight", "-o", "small.nn"]
    assert run("weights.nn", "--test", "nn-opt", *flags).status == 0
    assert "graph.weight" in Path("small.nn").read_text()
    assert side_file("small.nn").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["net.nn", "--test", "nn-opt"], "does not fail on the module as it is"),
        (["none.nn", "--test", "nn-opt"], "cannot read none.nn"),
        (["net.nn", "--test", ""], "the test is empty"),
        (["net.nn", "--test", "nn-opt", "--output-matches", "("], "cannot be read"),
        (["net.nn", "--test", "no-such-program"], "cannot be run"),
        (["net.nn", "--test", "nn-opt", "-f", "zip"], "unknown input format 'zip'"),
        (["net.nn", "--test", "nn-opt", "--max-trials", "0"], "at least 1"),
        (["net.nn", "--test", "nn-opt", "--timeout", "0"], "expected a number of seconds"),
        (["net.nn", "--test", "nn-opt", "--timeout", "nan"], "expected a number of seconds"),
        (["net.nn", "--test", "nn-opt", "--times-out", "--output-matches", "x"], "not allowed"),
        (["net.nn"], "--test"),
    ],
)
def test_mistakes_are_one_message(network: str, args: list[str], message: str) -> None:
    outcome = run(*args)
    assert outcome.status == 1
    assert message in outcome.err.decode()
    assert "Traceback" not in outcome.err.decode()


def test_an_interrupt_keeps_the_best(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fails, trials = Command.fails, iter(range(6))

    def interrupted(self: Command, module: ModuleOp) -> bool:
        if next(trials, None) is None:
            raise KeyboardInterrupt
        return fails(self, module)

    monkeypatch.setattr(Command, "fails", interrupted)
    outcome = run(network, "--test", TEST)
    assert outcome.status == 0
    assert b"the smallest module so far is kept" in outcome.err
    best = parse(outcome.out.decode())
    assert has(best, "graph.sub")
    assert num_operations(best) < num_operations(parse(NETWORK))


def test_our_tools_may_run_as_processes(network: str) -> None:
    program = Path(sys.executable).with_name("nn-opt")
    test = TEST.replace("nn-opt", str(program), 1)
    outcome = run(network, "--isolate", "--test", test, "--max-trials", "1")
    assert outcome.status == 0, outcome.err.decode()
    assert outcome.err.decode().endswith("operations in 1 trials\n")


def test_a_trial_that_takes_too_long_does_not_fail(network: str) -> None:
    outcome = run(network, "--test", "sh -c 'sleep 5; false' %s", "--timeout", "0.1")
    assert outcome.status == 1
    assert "does not fail" in outcome.err.decode()


HANGING = """
import time
from dataclasses import dataclass
from xdsl.passes import ModulePass

@dataclass(frozen=True)
class HangPass(ModulePass):
    '''Never ends on a tanh.'''

    name = "hang"

    def apply(self, ctx, op):
        while any(each.name == "graph.tanh" for each in op.walk()):
            time.sleep(0.005)

PASSES = [HangPass]
"""


def test_taking_too_long_may_be_the_failure(network: str) -> None:
    """In this process, where nobody can be killed, too."""
    Path("hanging.py").write_text(HANGING)
    test = "nn-opt %s --load-plugin hanging.py -p hang"
    outcome = run(network, "--test", test, "--times-out", "--timeout", "0.3")
    assert outcome.status == 0, outcome.err.decode()
    assert b"graph.tanh" in outcome.out
    assert num_operations(parse(outcome.out.decode())) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    flags = ["--times-out", "--timeout", "0.1", "--max-trials", "2"]
    assert run(network, "--test", "sh -c 'sleep 5' %s", *flags).status == 0


FLAKY = """
import sys
from pathlib import Path
runs = Path("runs")
number = int(runs.read_text()) if runs.exists() else 0
runs.write_text(str(number + 1))
sys.exit("graph.sub" in Path(sys.argv[1]).read_text() and number % PERIOD == 0)
"""


def test_a_flaky_test_is_tried_again_and_told(network: str) -> None:
    """It fails in every third run only."""
    Path("flaky.py").write_text(FLAKY.replace("PERIOD", "3"))
    outcome = run(network, "--test", f"{sys.executable} flaky.py", "--repeat", "3")
    assert outcome.status == 0, outcome.err.decode()
    assert num_operations(parse(outcome.out.decode())) == 1
    assert b"of 2 runs: it is flaky" in outcome.err


def test_a_test_that_fails_on_anything_is_told(network: str) -> None:
    outcome = run(network, "--test", f"{sys.executable} -c 'raise SystemExit(3)'")
    assert outcome.status == 0
    assert outcome.err.decode().splitlines()[-1] == "6 -> 0 operations in 5 trials"
    assert b"fails on a function that does nothing" in outcome.err


INTERRUPTIBLE = """
import signal, sys
from nnc.tools.nn_reduce import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
"""What a shell starts in the background ignores the signal, and so would what it starts."""


def interrupted(*args: str, after: str) -> tuple[int, str, str]:
    """A process that gets SIGINT once its file of progress holds something."""
    program = [sys.executable, "-c", INTERRUPTIBLE, *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True) as process:
        until = time.monotonic() + 60
        while not (Path(after).exists() and Path(after).read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


SLOW = """
import sys, time
from pathlib import Path
tried = len(Path("tried").read_text()) if Path("tried").exists() else 0
if tried >= LIMIT:
    Path("reached").write_text("x")
    time.sleep(60)
Path("tried").write_text("x" * (tried + 1))
sys.exit("graph.tanh" in Path(sys.argv[1]).read_text())
"""


@pytest.mark.parametrize(("limit", "status"), [(0, 130), (9, 0)])
def test_ctrl_c_ends_the_command_and_keeps_the_best(network: str, limit: int, status: int) -> None:
    Path("slow.py").write_text(SLOW.replace("LIMIT", str(limit)))
    found, out, err = interrupted(network, "--test", f"{sys.executable} slow.py", after="reached")
    assert found == status, err
    assert "Traceback" not in err
    if status:
        assert "interrupted before the test has failed once" in err
    else:
        assert "the smallest module so far is kept" in err
        assert "graph.tanh" in out
        assert num_operations(parse(out)) < num_operations(parse(NETWORK))


def test_a_reduction_is_the_same_in_another_process(network: str) -> None:
    """Whatever the seed of its hashes is."""
    program = [sys.executable, "-m", "nnc.tools.nn_reduce", network]
    flags = ["--test", "nn-opt -p convert-te-to-loop", "--output-matches", r"graph\.conv"]
    texts = {
        subprocess.run(
            [*program, *flags], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert b"graph.conv" in texts.pop()
