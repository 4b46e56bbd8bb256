"""Upstream MLIR's custom syntax, read by xDSL's own parser; past errors too.

xDSL's parser ends at the first error. Here an op that fails is replaced by a `textir.failed`, and
the text is read on at the next line that looks like an op (`recovery.py`). What a failed op would
define counts as defined: ops that use it fail without a word. A body under a broken head is read,
but for names that may be the head's.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from xdsl.context import Context
from xdsl.dialects.builtin import (
    FileLineColLoc,
    IntAttr,
    ModuleOp,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, AttributeInvT, Block, Operation, Region, SSAValue, Use
from xdsl.parser import UnresolvedOperand
from xdsl.parser.core import ForwardDeclaredValue
from xdsl.parser.generic_parser import ParserState
from xdsl.traits import HasParent
from xdsl.utils.exceptions import (
    DiagnosticException,
    ParseError,
    UnregisteredConstructException,
)
from xdsl.utils.lexer import Input, Position, Span
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind

from .dense_syntax import DenseParser
from .errors import Malformed, at
from .parser import Reading
from .recovery import (
    FailedOp,
    Problems,
    begins_op,
    brace_balance,
    is_first_on_line,
    is_last_on_line,
    next_op,
)

_RESULTS = re.compile(r"(%[\w$.-]+(:\d+)?\s*,?\s*)+=\s*")
"""What stands before an op's name."""
_NAME = re.compile(r"%([\w$.-]+)")
_SYMBOL = re.compile(r"@([\w$.-]+)")
_REFUSED = (ParseError, DiagnosticException, UnregisteredConstructException)
_FOILED = (AssertionError, LookupError, NotImplementedError, OverflowError, TypeError, ValueError)
"""What xDSL's parsers and constructors raise, besides, for a text that is wrong."""


def parse_upstream(text: str, file: str, context: Context) -> ModuleOp:
    """Read MLIR's custom syntax with xDSL's own parser (`-f mlir`).

    Raises: ParseError, VerifyException: the first error.
    """
    return _LocatingParser(context, text, file).parse_module()


def read_upstream(
    text: str, file: str, context: Context, *, max_errors: int | None = None
) -> Reading:
    """As `parse_upstream`, but on past errors.

    Args: max_errors: how many errors are kept; the others are counted.
    """
    problems = Problems(max_errors)
    try:
        parser = _RecoveringParser(context, text, file, problems)
    except ParseError as error:  # the first token is none
        problems.add(Malformed(error.span.start, error.msg))
        return _reading(text, file, ModuleOp([]), True, problems)
    module, is_implicit = parser.read()
    failed, symbols = frozenset(parser.failed), frozenset(parser.symbols)
    return _reading(text, file, module, is_implicit, problems, failed, symbols)


def _reading(
    text: str,
    file: str,
    module: ModuleOp,
    is_implicit: bool,
    problems: Problems,
    failed: frozenset[Operation] = frozenset(),
    symbols: frozenset[str] = frozenset(),
) -> Reading:
    found = sorted(problems.found, key=lambda error: error.position)
    errors = tuple(at(text, file, one.position, one.message, one.hint) for one in found)
    return Reading(module, errors, problems.num_left_out, failed, symbols, is_implicit)


class _Lexer(MLIRLexer):
    """xDSL's lexer, whose pattern of a string takes exponential time where the string is open."""

    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*"')


class _LocatingParser(DenseParser):
    """xDSL's parser, which leaves out locations: here every op gets its place in the text."""

    def __init__(self, context: Context, text: str, file: str):
        super().__init__(context, "", file)
        self._parser_state = ParserState(_Lexer(Input(text, file)))
        self._text = text
        self._file = file
        self._line_starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]

    def parse_operation(self) -> Operation:
        results = _RESULTS.match(self._text, self.pos)
        start = results.end() if results else self.pos
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc):
            line = bisect_right(self._line_starts, start)
            column = start - self._line_starts[line - 1] + 1
            op.location = FileLineColLoc(StringAttr(self._file), IntAttr(line), IntAttr(column))
        return op


class _Silent(ParseError):
    """It follows from an error that was told before."""


class _RecoveringParser(_LocatingParser):
    """Goes on after an op that fails.

    Attributes:
        failed: what stands for those.
        symbols: those that they may define.
    """

    def __init__(self, context: Context, text: str, file: str, problems: Problems):
        super().__init__(context, text, file)
        self.failed: set[Operation] = set()
        self.symbols: set[str] = set()
        self._problems = problems
        self._poisoned: set[str] = set()
        self._bodies = 0
        """How many bodies of broken heads are open: names that are not known may be theirs."""
        self._defined: list[str] = []
        self._first_uses: dict[str, Span] = {}
        self._awaited: list[ForwardDeclaredValue[Attribute]] = []

    def read(self) -> tuple[ModuleOp, bool]:
        """The module, and whether the text has no `builtin.module` around all."""
        ops: list[Operation] = []
        while self._current_token.kind != MLIRTokenKind.EOF:
            begin = self.pos
            try:
                if not self._parse_section():
                    ops.append(self.parse_operation())
            except (*_REFUSED, *_FOILED) as error:
                self._keep(error, begin)
                self._go_on(0, begin)
        self._report_undefined()
        if len(ops) == 1 and isinstance(ops[0], ModuleOp):
            return ops[0], False
        return ModuleOp(ops), True

    def _parse_section(self) -> bool:
        """An alias or the metadata at the end of a file."""
        kind = self._current_token.kind
        if kind in (MLIRTokenKind.HASH_IDENT, MLIRTokenKind.EXCLAMATION_IDENT):
            self._parse_alias_def()
        elif kind == MLIRTokenKind.FILE_METADATA_BEGIN:
            self._parse_file_metadata_dictionary()
        else:
            return False
        return True

    def parse_operation(self) -> Operation:
        start, mark = self.pos, len(self._defined)
        blocks, forward = self.blocks, self.forward_block_references
        depth = len(self._parser_state.dialect_stack)
        try:
            return super().parse_operation()
        except (*_REFUSED, *_FOILED) as error:
            self._keep(error, start)
            self.blocks, self.forward_block_references = blocks, forward
            del self._parser_state.dialect_stack[depth:]
            self._forget(mark)
        return self._stand_in(start)

    def _forget(self, mark: int) -> None:
        """Names that were defined since then are not there."""
        for name in self._defined[mark:]:
            self.ssa_values.pop(name, None)
        del self._defined[mark:]

    def _keep(self, error: Exception, start: int) -> None:
        if isinstance(error, _Silent):
            return
        text = self._text
        message = error.msg if isinstance(error, ParseError) else str(error)
        if isinstance(error, _FOILED):
            message = f"xDSL cannot read this op: {type(error).__name__}: {message}"
        if not isinstance(error, ParseError) or message.startswith("Operation "):
            results = _RESULTS.match(text, start)  # its place would be that of the next token
            self._problems.add(Malformed(results.end() if results else start, message))
        elif error.span.start >= len(text):
            line = text.count("\n", 0, start) + 1
            hint = f"what begins in line {line} is not complete"
            self._problems.add(Malformed(len(text), "unexpected end of the text", hint))
        else:
            is_missing = self._is_at_next_op() and error.span.start == self.pos
            position = len(text[: self.pos].rstrip()) if is_missing else error.span.start
            self._problems.add(Malformed(position, error.msg))

    def _stand_in(self, start: int) -> Operation:
        """What stands for the op that began at `start`; the parser is behind it then."""
        text, stop = self._text, self.pos
        results = _RESULTS.match(text, start)
        if results is not None:
            self._poisoned.update(_NAME.findall(results.group()))
        self.symbols.update(_SYMBOL.findall(text[start : self._end_of_line(start)]))
        failed = FailedOp(regions=[])
        self.failed.add(failed)
        depth = brace_balance(text, start, stop)
        if not is_first_on_line(text, stop):  # what is open may close in what is skipped
            depth += min(0, brace_balance(text, stop, self._end_of_line(stop)))
        depth = max(0, depth)
        if self._is_at_next_op() and stop > start:
            self._go_on(depth, start)
            return failed
        brace = text.rfind("{", stop, self._end_of_line(stop))
        if depth == 0 and brace >= 0 and is_last_on_line(text, brace):
            self._go_to(brace + 1, start)
            failed.add_region(self._read_body())
            self._go_to(next_op(text, self.pos, 0, False)[0], start)
        else:
            self._go_on(depth, start)
        return failed

    def _end_of_line(self, position: int) -> int:
        end = self._text.find("\n", position)
        return len(self._text) if end < 0 else end

    def _is_at_next_op(self) -> bool:
        """Whether the next token begins an op, or ends a region, on a line of its own."""
        text, at = self._text, self.pos
        if not is_first_on_line(text, at):
            return False
        return text.startswith("}", at) or begins_op(text, at)

    def _go_on(self, depth: int, begin: int) -> None:
        """Read on at the next op of the region that is open; `depth` more were opened."""
        if depth or self.pos <= begin or not self._is_at_next_op():
            self._go_to(next_op(self._text, self.pos, depth, False)[0], begin)

    def _read_body(self) -> Region:
        """The region under a broken head, up to its `}`."""
        body = Block()
        mark = len(self._defined)
        self._bodies += 1
        self._parse_block_body(body)
        self._bodies -= 1
        self._forget(mark)
        # What stands around them is not known, of which these may ask.
        self.failed.update(op for op in body.ops if op.get_trait(HasParent) or op.next_op is None)
        return Region(body)

    def _go_to(self, position: int, begin: int) -> None:
        """Read on there, and be further than `begin`: a token that is none is told of."""
        position = max(position, begin + 1)
        while True:
            try:
                self._resume_from(Position(position))
                return
            except ParseError as error:
                self._problems.add(Malformed(error.span.start, error.msg))
                position = next_op(self._text, max(position, error.span.start), 0, False)[0]

    def _register_ssa_definition(self, name: str, values: Sequence[SSAValue], span: Span) -> None:
        super()._register_ssa_definition(name, values, span)
        self._defined.append(name)

    def resolve_operand(
        self, operand: UnresolvedOperand, type: AttributeInvT
    ) -> SSAValue[AttributeInvT]:
        self._check_known(operand)
        self._first_uses.setdefault(operand.operand_name, operand.span)
        value = super().resolve_operand(operand, type)
        if isinstance(value, ForwardDeclaredValue):
            self._awaited.append(value)
        return value

    def _parse_optional_operand_without_type(self) -> SSAValue | None:
        before = self.pos
        if (operand := self.parse_optional_unresolved_operand()) is not None:
            self._check_known(operand)
            self._resume_from(Position(before))
        return super()._parse_optional_operand_without_type()

    def _check_known(self, operand: UnresolvedOperand) -> None:
        """Raises: _Silent: the value is not there, and nobody need be told."""
        name = operand.operand_name
        if name not in self.ssa_values and (self._bodies or name in self._poisoned):
            raise _Silent(operand.span, f"%{name} is not there")

    def _report_undefined(self) -> None:
        """Name those that were used and never defined; who uses them is not verified."""
        for name in self.forward_ssa_references:
            span = self._first_uses[name]
            if name not in self._poisoned:
                self._problems.add(Malformed(span.start, f"value %{name} is not defined"))
        for use in [use for value in self._awaited for use in value.uses]:
            self._define_before(use)

    def _define_before(self, use: Use) -> None:
        """Let a stand-in define what an op uses."""
        user = use.operation
        stand_in = FailedOp.create(result_types=[user.operands[use.index].type])
        user.operands[use.index] = stand_in.results[0]
        self.failed |= {stand_in, user}
        if user.parent is not None:
            user.parent.insert_op_before(stand_in, user)
