"""Runs one contract package for `tallystick.execution.isolated`, as a process of its own.

Started as a script by `python -I -S`, on the standard library alone. Messages are a length (4 bytes,
big-endian) and JSON, in on standard input and out on standard output: docs/formats/contract-package.md.
Nothing that is said here is trusted there.
"""

from __future__ import annotations

import base64

# What contracts may import. Loaded before the process is shut in, because afterwards no file opens.
import collections.abc
import ctypes
import dataclasses  # noqa: F401
import functools  # noqa: F401
import hashlib  # noqa: F401
import importlib
import json
import platform
import re  # noqa: F401
import resource
import struct
import sys
import typing
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

Files = collections.abc.Mapping[str, bytes]
_encode: typing.Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode

_LIMITS: typing.Final = {
    resource.RLIMIT_CPU: 3600,
    resource.RLIMIT_AS: 1 << 30,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NOFILE: 16,
    resource.RLIMIT_NPROC: 0,
    resource.RLIMIT_CORE: 0,
}

# Linux on x86-64: the system calls that are left, by number, and what asks the kernel to refuse the rest
# (linux/audit.h, linux/filter.h, linux/prctl.h, linux/seccomp.h).
_CALLS: typing.Final = {
    "read": 0, "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13,
    "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "exit": 60,
    "sigaltstack": 131, "futex": 202, "clock_gettime": 228, "exit_group": 231, "getrandom": 318,
}  # fmt: skip
_ARCHITECTURE: typing.Final = 0xC000003E
_NO_NEW_PRIVILEGES: typing.Final = (38, 1, 0, 0, 0)
_SET_FILTER: typing.Final = (22, 2)
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001


def shut_in() -> None:
    """Lower the process's limits for good and, on Linux on x86-64, give up every system call but a few."""
    for limit, value in _LIMITS.items():
        resource.setrlimit(limit, (value, value))
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return
    numbers = list(_CALLS.values())
    refuse = len(numbers)
    program = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 0, refuse + 1, _ARCHITECTURE),
        (_LOAD, 0, 0, 0),
        *((_JUMP_EQUAL, refuse - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    if prctl(*_NO_NEW_PRIVILEGES) == 0:
        prctl(*_SET_FILTER, filter_)


class _Package(MetaPathFinder, Loader):
    """Imports `chaincode` from memory: the very bytes that were digested, and no file beside them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: typing.Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "chaincode":
            return None
        name = self._file(fullname)
        if name is None:
            return None
        return spec_from_loader(fullname, self, is_package=name.endswith("__init__.py"))

    def exec_module(self, module: ModuleType) -> None:
        name = self._file(module.__name__) or ""
        exec(compile(self._files[name], f"chaincode/{name}", "exec"), module.__dict__)  # noqa: S102

    def _file(self, fullname: str) -> str | None:
        parts = fullname.split(".")[1:]
        names = ("/".join([*parts, "__init__.py"]), "/".join(parts) + ".py")
        return next((name for name in names if name in self._files), None)


class _Context:
    """`chaincode.context.Context`; the values that will probably be read came with the call."""

    def __init__(self, call: typing.Any, limits: typing.Any, caller: typing.Any) -> None:
        self.caller = caller
        self.transaction_id = call["id"]
        self.claimed_time = call["time"]
        self._contract = call["contract"]
        self._limits = limits
        self._known: dict[str, str | None] = dict(call["known"])
        self._event_size = 0
        self.reads: dict[str, None] = {}
        self.writes: dict[str, str | None] = {}
        self.records: list[str] = []

    async def get(self, key: str) -> bytes | None:
        self._limits.check_key(key)
        self.reads[key] = None
        text = self._known[key] if key in self._known else _ask({"get": key})
        return None if text is None else text.encode()

    async def get_many(self, keys: typing.Any) -> list[bytes | None]:
        return [await self.get(key) for key in keys]

    async def put(self, key: str, value: bytes) -> None:
        self._limits.check_write(self._contract, key, value)
        self.writes[key] = value.decode()

    async def delete(self, key: str) -> None:
        self._limits.check_write(self._contract, key, None)
        self.writes[key] = None

    async def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        self._limits.check_scan(start, end, limit)
        return [(key, text.encode()) for key, text in _ask({"scan": [start, end, limit]})]

    def emit(self, record: bytes) -> None:
        self._event_size += len(record)
        self._limits.check_event(record, self._event_size)
        self.records.append(record.decode())


def _run(call: typing.Any, package: typing.Mapping[str, ModuleType]) -> typing.Any:
    """What became of one transaction. A fault of this process, not of the contract, ends it."""
    refusal = package["errors"].Refusal
    caller = package["context"].Caller(*call["caller"][:2], frozenset(call["caller"][2]))
    context = _Context(call, package["host_limits"], caller)
    running = package["catalogue"].invoke(
        context, call["contract"], call["transaction"], call["request"].encode()
    )
    try:
        running.send(None)
    except StopIteration as done:
        response = done.value.decode()
    except refusal as refused:
        return {"refused": refused.code}
    except (MemoryError, ImportError, OSError):
        raise
    except Exception:
        return {"refused": "CONTRACT_FAULT"}
    else:
        running.close()
        return {"refused": "CONTRACT_FAULT"}
    return {
        "reads": list(context.reads),
        "records": context.records,
        "response": response,
        "writes": [[key, text] for key, text in context.writes.items()],
    }


_in, _out = sys.stdin.buffer, sys.stdout.buffer


def _ask(question: typing.Any) -> typing.Any:
    _send(question)
    return _receive()


def _send(message: typing.Any) -> None:
    data = _encode(message).encode()
    _out.write(struct.pack(">I", len(data)) + data)
    _out.flush()


def _receive() -> typing.Any:
    """The next message; ends the process where there is none."""
    head = _in.read(4)
    if len(head) < 4:
        raise SystemExit
    return json.loads(_in.read(struct.unpack(">I", head)[0]))


def main() -> None:
    """Load the package that comes first, then run what comes, one transaction at a time."""
    # What a contract prints is nobody's answer.
    sys.stdin = sys.stdout = None
    files = {path: base64.b64decode(data) for path, data in _receive()}
    shut_in()
    sys.meta_path.insert(0, _Package(files))
    names = ("catalogue", "context", "errors", "host_limits")
    package = {name: importlib.import_module(f"chaincode.{name}") for name in names}
    _send("ready")
    while True:
        _send(_run(_receive(), package))


if __name__ == "__main__":
    main()
