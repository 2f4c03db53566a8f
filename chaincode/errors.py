"""Why a contract refuses: a code that programs match and facts that hold no value of a payload."""

from __future__ import annotations


class Refusal(Exception):
    """A contract's refusal. Nothing of the transaction remains in state.

    ``code`` is an upper-case constant. ``facts`` say where (the name of a field, the index of an
    item, a limit of the format) and never repeat what a caller sent: hosts keep them in logs.
    """

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts: dict[str, str | int] = dict(sorted(facts.items()))

    def __str__(self) -> str:
        return " ".join([self.code, *(f"{name}={fact}" for name, fact in self.facts.items())])
