"""What judged blocks say, in the port's terms, and as the file keeps it: JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tallystick.ledger.port import (
    Configuration,
    LoggedBlock,
    LoggedRecord,
    LoggedTransaction,
    Organisation,
)
from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.configuration import Configuration as Rules
from tallystick.proof.fabric.endorsements import Definition
from tallystick.proof.fabric.judged import JudgedBlock, JudgedTransaction
from tallystick.proof.leaves import salt
from tallystick.proof.membership import Member


def logged_block(judged: JudgedBlock, first_leaf: int) -> LoggedBlock:
    """``judged``, whose own leaf is ``first_leaf``."""
    transactions = [_transaction(each) for each in judged.transactions if each.verdict == "VALID"]
    invalid = len(judged.transactions) - len(transactions)
    return LoggedBlock(judged.number, judged.digest, first_leaf, tuple(transactions), invalid)


def encode_block(block: LoggedBlock) -> bytes:
    """What `decode_block` reads."""
    return json.dumps(
        {
            "invalid": block.invalid,
            "transactions": [
                {
                    "id": each.id,
                    "msp": each.msp_id,
                    "enrolment_id": each.enrolment_id,
                    "time": each.time_ms,
                    "leaf": each.leaf,
                    "records": [[record.content.decode(), record.salt] for record in each.records],
                }
                for each in block.transactions
            ],
        },
        ensure_ascii=False,
    ).encode()


def decode_block(number: int, digest: str, first_leaf: int, data: bytes) -> LoggedBlock:
    """The block that `encode_block` spelled."""
    value = json.loads(data)
    transactions = tuple(
        LoggedTransaction(
            each["id"],
            each["msp"],
            each["enrolment_id"],
            each["time"],
            each["leaf"],
            tuple(
                LoggedRecord(each["leaf"] + index, content.encode(), salt)
                for index, (content, salt) in enumerate(each["records"], 1)
            ),
        )
        for each in value["transactions"]
    )
    return LoggedBlock(number, digest, first_leaf, transactions, value["invalid"])


def configuration(
    rules: Rules,
    block: int,
    time_ms: int,
    by: Member | None,
    definition: Definition | None,
    changed: tuple[str, ...] = (),
) -> Configuration:
    """The rules that ``block`` puts in force, with the contracts' ``definition``; ``changed`` is as there."""
    organisations = tuple(
        Organisation(o.msp_id, o.roots, o.revoked, o.unfollowed) for o in rules.organisations()
    )
    msp_id, enrolment_id = (by.msp_id, by.enrolment_id) if by else ("", "")
    package, policy = (definition.version, definition.terms) if definition else ("", "")
    return Configuration(block, time_ms, msp_id, enrolment_id, organisations, package, policy, changed)


def encode_configuration(configuration: Configuration) -> bytes:
    """What `decode_configuration` reads."""
    return json.dumps(asdict(configuration)).encode()


def decode_configuration(data: bytes) -> Configuration:
    """The configuration that `encode_configuration` spelled."""
    value = json.loads(data)
    organisations = tuple(
        Organisation(each["msp_id"], tuple(each["roots"]), tuple(each["revoked"]), each["unfollowed"])
        for each in value.pop("organisations")
    )
    changed = tuple(value.pop("changed"))
    return Configuration(organisations=organisations, changed=changed, **value)


def charter_of(block: LoggedBlock) -> str | None:
    """The log's name as the charter in this block states it, if it holds one."""
    for transaction in block.transactions:
        for record in transaction.records:
            value: Any = json.loads(record.content)
            if isinstance(value, dict) and value.get("kind") == "charter":
                return str(value["body"]["origin"])
    return None


def _transaction(judged: JudgedTransaction) -> LoggedTransaction:
    call, outcome = judged.call, judged.outcome
    if call is None or outcome is None:
        raise NotProven(f"transaction {judged.position} counts and cannot be read")
    records = tuple(
        LoggedRecord(judged.leaf + index, content, salt(call.nonce, index))
        for index, content in enumerate(outcome.records, 1)
    )
    return LoggedTransaction(
        call.transaction_id,
        call.caller.msp_id,
        call.caller.enrolment_id,
        call.claimed_time,
        judged.leaf,
        records,
    )
