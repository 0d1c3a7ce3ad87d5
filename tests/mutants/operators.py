"""The small changes: one node of a module's syntax tree becomes another that a tired author might have written."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One changed module."""

    place: str
    """Dotted name of the function or class around the change; empty at module level."""
    line: int
    before: str
    after: str
    source: str
    """The whole module, changed."""

    @property
    def what(self) -> str:
        """The change on one line."""
        return f"{self.before}  ->  {self.after}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every small change to `source` (a module's text), in the order of its lines."""
    tree = ast.parse(source)
    for number, (node, place) in enumerate(_sites(tree)):
        for changed in _changes(node):
            copied = copy.deepcopy(tree)
            target = [one for one, _ in _sites(copied)][number]
            _replace(copied, target, changed)
            text = ast.unparse(ast.fix_missing_locations(copied))
            yield Mutant(place, node.lineno, _short(node), _short(changed), text)


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:120]


def _sites(tree: ast.Module) -> list[tuple[ast.expr | ast.stmt, str]]:
    """The nodes that can be changed, each with the place it stands at. Annotations and docstrings cannot."""
    found: list[tuple[ast.expr | ast.stmt, str]] = []

    def walk(node: ast.AST, place: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            place = f"{place}.{node.name}" if place else node.name
        if isinstance(node, ast.expr | ast.stmt) and any(True for _ in _changes(node)):
            found.append((node, place))
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params", "decorator_list", "keywords_of_class"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    walk(child, place)

    walk(tree, "")
    return found


def _changes(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=right) if type(op) in _COMPARE:
            yield ast.Compare(left, [_COMPARE[type(op)]()], right)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
            yield ast.BinOp(left, _ARITHMETIC[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _ARITHMETIC:
            yield ast.AugAssign(target, _ARITHMETIC[type(op)](), value)
        case ast.BoolOp(op=ast.And(), values=values):
            yield ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(op=ast.Or(), values=values):
            yield ast.BoolOp(ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value * 2 if value else 1)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _NAMES:
            yield ast.Call(ast.Name(_NAMES[name], ast.Load()), args, keywords)
        case ast.If(test=test, body=body, orelse=orelse) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test=test, body=body, orelse=orelse) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Expr(value=ast.Call()) | ast.Expr(value=ast.Await()):
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _is_text(*nodes: ast.expr) -> bool:
    """Joining or formatting text: its wording is not what these tests are for."""
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        for one in nodes
    )


def _replace(tree: ast.Module, target: ast.AST, changed: ast.expr | ast.stmt) -> None:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is target:
                setattr(node, field, changed)
                return
            if isinstance(value, list):
                for index, child in enumerate(value):
                    if child is target:
                        value[index] = changed
                        return
    raise LookupError("the node to be changed is not in the tree")
