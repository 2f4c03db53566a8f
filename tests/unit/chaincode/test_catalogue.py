"""The one way in: what exists is run on canonical JSON, and anything else is refused."""

from __future__ import annotations

import asyncio

import pytest

from chaincode.catalogue import CONTRACTS, invoke
from chaincode.errors import Refusal
from chaincode.host_limits import MAX_REQUEST


@pytest.mark.parametrize(
    ("contract", "transaction", "request_", "code"),
    [
        ("provenance", "read", b'{"id": 1}', "NOT_CANONICAL"),
        ("provenance", "read", b"", "NOT_CANONICAL"),
        ("provenance", "read", b'"' + b"x" * MAX_REQUEST + b'"', "TOO_LARGE"),
        ("provenance", "erase", b"{}", "UNKNOWN_TRANSACTION"),
        ("governance", "read", b"{}", "UNKNOWN_CONTRACT"),
    ],
)
def test_what_cannot_be_run_is_refused(contract, transaction, request_, code):
    with pytest.raises(Refusal) as refused:
        asyncio.run(invoke(None, contract, transaction, request_))
    assert refused.value.code == code


def test_every_transaction_says_what_it_does():
    undocumented = [
        f"{contract}.{name}"
        for contract, transactions in CONTRACTS.items()
        for name, transaction in transactions.items()
        if not transaction.__doc__
    ]
    assert undocumented == []
