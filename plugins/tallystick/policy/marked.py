"""YAML read strictly, with the line of every part: no tags, anchors, duplicate keys or ambiguous words.

PyYAML reads YAML 1.1, where ``no`` is false, ``010`` is eight and ``1e3`` is text. A policy says what
it says in every reader: such words must be quoted or written plainly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tallystick.errors import InvalidInput, PolicyError
from tallystick.fingerprint.data_file import open_plain

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 12
EDIT_ME: Final = "EDIT-ME"

Place = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = frozenset({"null", "bool", "int", "float", "str", "timestamp"})
_INT: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][+-][0-9]+)?")
_EXPONENT: Final = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")


class _NotAllowed(Exception):
    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


class _Loader(yaml.SafeLoader):
    """PyYAML's composer without aliases and without bottomless nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            raise _NotAllowed("anchors and aliases", event.start_mark.line + 1)
        if self._depth == MAX_DEPTH:
            raise _NotAllowed("nesting this deep", event.start_mark.line + 1)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


@dataclass(frozen=True)
class Marked:
    """Plain values (dict, list, str, int, float, bool, None) and the 1-based line of every place."""

    value: Any
    lines: dict[Place, int]


def read_marked(path: Path) -> Marked:
    """Read ``path``. Raises `PolicyError` with the line, `InvalidInput` when there is no such file."""
    try:
        with open_plain(path) as file:
            data = file.read(MAX_BYTES + 1)
    except InvalidInput as error:
        raise InvalidInput(error.message, hint="Give the path of a policy file.") from None
    if len(data) > MAX_BYTES:
        raise PolicyError(path, 1, "a policy of more than 1 MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(path, data.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from None
    return _Reading(path).read(text)


class _Reading:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}

    def read(self, text: str) -> Marked:
        try:
            loader = _Loader(text)
            try:
                root = loader.get_single_node()
            finally:
                loader.dispose()
        except _NotAllowed as error:
            raise PolicyError(self.path, error.line, f"{error.what} cannot stand in a policy") from None
        except yaml.MarkedYAMLError as error:
            hint = "Indent with spaces; put text that holds a colon or a # in quotes."
            raise PolicyError(self.path, _line(error), f"not YAML: {error.problem}", hint=hint) from None
        except (yaml.YAMLError, ValueError):
            raise PolicyError(self.path, 1, "not YAML: a character that no text has") from None
        if root is None:
            raise PolicyError(self.path, 1, "an empty policy", hint="Start with `tally policy new`.")
        return Marked(self._value(root, ()), self.lines)

    def _value(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        raise PolicyError(self.path, line, "a tag cannot stand in a policy", hint="Leave the !tag out.")

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
                raise PolicyError(self.path, line, "a key that is not a word")
            if key in result:
                raise PolicyError(self.path, line, f'"{key}" stands here a second time')
            self.lines[(*place, key)] = line
            result[key] = self._value(value_node, (*place, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        text, kind = node.value, node.tag.removeprefix(_TAG)
        if kind not in _PLAIN:
            raise PolicyError(self.path, line, "a tag cannot stand in a policy", hint="Leave the !tag out.")
        if node.style is not None and kind == "str":
            return text
        if kind == "null" and text in ("", "~", "null"):
            return None
        if kind == "bool" and text in ("true", "false"):
            return text == "true"
        if kind == "int" and _INT.fullmatch(text):
            return int(text) if len(text) <= 20 else self._ambiguous(text, line)
        if kind == "float" and _FLOAT.fullmatch(text):
            return float(text)
        if kind == "timestamp" or (kind == "str" and not _EXPONENT.fullmatch(text)):
            return text
        return self._ambiguous(text, line)

    def _ambiguous(self, text: str, line: int) -> Any:
        hint = 'Put text in quotes ("no"); write a number as 1000 or 0.5, a truth as true or false.'
        raise PolicyError(
            self.path, line, f"{text[:40]} is read differently by different programs", hint=hint
        )


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1
