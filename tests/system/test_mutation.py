"""A flipped comparison in any rules.py makes a test fail: every such mutant is made and killed."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLIPPED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
#: The nearest neighbours of an ordering: off by one at the limit.
NUDGED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Each (description, mutated source): one comparison, connective or negation changed."""
    count = len(list(ast.walk(ast.parse(source))))
    for index in range(count):
        for change in (_flip, _nudge, _connect, _negate):
            tree = ast.parse(source)
            node = list(ast.walk(tree))[index]
            if change(node):
                yield f"line {getattr(node, 'lineno', '?')}: {change.__name__[1:]}", ast.unparse(tree)


def _swap(node: ast.AST, table: dict[type, type]) -> bool:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in table:
        node.ops[0] = table[type(node.ops[0])]()
        return True
    return False


def _flip(node: ast.AST) -> bool:
    return _swap(node, FLIPPED)


def _nudge(node: ast.AST) -> bool:
    return _swap(node, NUDGED)


def _connect(node: ast.AST) -> bool:
    if isinstance(node, ast.BoolOp):
        node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        return True
    return False


def _negate(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        node.test = ast.UnaryOp(ast.Not(), node.test)
        return True
    return False


def _survives(directory: Path, rules: Path, mutated: str) -> bool:
    shutil.copytree(ROOT / "chaincode", directory / "chaincode", ignore=shutil.ignore_patterns("__pycache__"))
    (directory / rules).write_text(mutated)
    tests = ROOT / "tests" / "unit" / "chaincode" / "test_rules.py"
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-c", os.devnull, str(tests)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout.decode()
    return done.returncode == 0


def test_every_mutant_of_a_rule_is_killed(tmp_path):
    cases = [
        (path.relative_to(ROOT), description, mutated)
        for path in sorted((ROOT / "chaincode").glob("*/rules.py"))
        for description, mutated in mutants(path.read_text())
    ]
    assert len(cases) > 30
    untouched = cases[0][0]
    assert _survives(tmp_path / "untouched", untouched, (ROOT / untouched).read_text()), "the tests must pass"
    with ThreadPoolExecutor(2) as pool:
        survived = list(
            pool.map(
                lambda item: _survives(tmp_path / str(item[0]), item[1][0], item[1][2]), enumerate(cases)
            )
        )
    left = [f"{case[0]} {case[1]}" for case, alive in zip(cases, survived, strict=True) if alive]
    assert left == [], f"{len(left)} of {len(cases)} mutants survived"
