"""Transactions of provenance: read, decide, write, emit.

Every writing transaction takes one request; `batch` takes many and is all or nothing. Writing needs
the capability `pipeline`; reading is open to every party of the charter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from chaincode import canonical, shapes
from chaincode.context import Context
from chaincode.draft import Draft
from chaincode.errors import Refusal
from chaincode.parties import Parties
from chaincode.provenance import records, rules
from chaincode.provenance.records import Kind
from chaincode.provenance.rules import Subject
from chaincode.streams import Position, key_of


class Decided(NamedTuple):
    """What a decision leaves: the facts that later decisions read, what the contract itself adds to the
    record's body, and the streams of the record that its request does not tell."""

    facts: Mapping[str, Any] = {}
    adds: Mapping[str, Any] = {}
    streams: tuple[str, ...] = ()


Decision = Callable[[Draft, Any], Awaitable[Decided]]

_CAPABILITY: Final = "pipeline"
_BATCH: Final = shapes.fields(
    {
        "items": shapes.items(
            shapes.fields({"transaction": shapes.name, "request": lambda value, field: None}),
            low=1,
            high=5000,
        )
    }
)


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal


async def _subject(draft: Draft, record_id: str) -> Subject:
    return Subject(
        await draft.get(records.state_key(record_id)), await draft.get(records.retirement_key(record_id))
    )


async def _usable(draft: Draft, request: Any, name: str) -> Subject:
    subject = await _subject(draft, request[name]["id"])
    _refuse(rules.usable(subject, request[name], f"request.{name}"))
    return subject


async def _next_version(draft: Draft, kind: Kind, request: Any) -> None:
    key = records.latest_key(kind.name, request["name"])
    _refuse(rules.is_next(await draft.get(key) or 0, request["version"]))
    draft.put(key, request["version"])


async def _dataset(draft: Draft, request: Any) -> Decided:
    """Register a version of a dataset: the next one, of parents that stand."""
    await _next_version(draft, records.DATASET, request)
    for index, parent in enumerate(request["parents"]):
        subject = await _subject(draft, parent["id"])
        _refuse(rules.usable(subject, parent, f"request.parents[{index}]"))
    return Decided()


async def _screening(draft: Draft, request: Any) -> Decided:
    """Record a screening for identifiers, passed or not."""
    await _usable(draft, request, "dataset")
    _refuse(rules.states_agree(request, "findings"))
    return _check(request)


async def _validation(draft: Draft, request: Any) -> Decided:
    """Record a validation, passed or not."""
    await _usable(draft, request, "dataset")
    _refuse(rules.may_record_validation(request))
    return _check(request)


def _check(request: Any) -> Decided:
    return Decided({"dataset": request["dataset"]["id"], "passed": request["passed"]})


async def _intent(draft: Draft, request: Any) -> Decided:
    """Declare, before training starts, what will be trained on what."""
    await _usable(draft, request, "dataset")
    checks = {name: await _usable(draft, request, name) for name in ("screening", "validation")}
    _refuse(rules.may_declare_run(checks, request))
    return Decided({"dataset": request["dataset"]["id"], "run": None})


async def _run(draft: Draft, request: Any) -> Decided:
    """Record the training run that an intent announced."""
    intent = await _usable(draft, request, "intent")
    record_id = records.RUN.record_id(request)
    _refuse(rules.may_record_run(intent, await draft.get(records.state_key(record_id))))
    draft.put(records.state_key(request["intent"]["id"]), {**intent.facts, "run": record_id})
    dataset = intent.facts["dataset"]
    return Decided(
        {"dataset": dataset, "intent": request["intent"]["id"]},
        streams=(records.stream_of(dataset),),
    )


async def _model(draft: Draft, request: Any) -> Decided:
    """Register a version of a model: the next one, of a run that stands."""
    await _usable(draft, request, "run")
    await _next_version(draft, records.MODEL, request)
    return Decided({"run": request["run"]["id"]})


async def _use(draft: Draft, request: Any) -> Decided:
    """Record that a dataset was used, and what for."""
    await _usable(draft, request, "dataset")
    return Decided()


async def _retirement(draft: Draft, request: Any) -> Decided:
    """Retire what a record speaks of, or mark it erased."""
    subject = await _subject(draft, request["subject"]["id"])
    _refuse(rules.known(subject, request["subject"], "request.subject"))
    _refuse(rules.may_retire(subject, request))
    draft.put(records.retirement_key(request["subject"]["id"]), {"state": request["state"]})
    if records.has_stream(request["subject"]["id"]):
        return Decided()
    return Decided(streams=(records.stream_of(subject.facts["dataset"]),))


async def _outcome(draft: Draft, request: Any) -> Decided:
    """Record how a task ended."""
    return Decided()


async def _pipeline(draft: Draft, request: Any) -> Decided:
    """Record how a pipeline ended, task by task."""
    _refuse(rules.pipeline_agrees(request))
    return Decided()


async def _attestation(draft: Draft, request: Any) -> Decided:
    """State how many records a stream has and when the last one came."""
    position = Position.of(await draft.get(key_of(request["stream"])))
    if position.number == 0:
        raise Refusal("UNKNOWN_STREAM", field="request.stream")
    return Decided(adds={"count": position.number, "time": position.time})


_WRITERS: Final[dict[str, tuple[Kind, Decision]]] = {
    "register_dataset": (records.DATASET, _dataset),
    "record_screening": (records.SCREENING, _screening),
    "record_validation": (records.VALIDATION, _validation),
    "declare_run": (records.INTENT, _intent),
    "record_run": (records.RUN, _run),
    "register_model": (records.MODEL, _model),
    "record_use": (records.USE, _use),
    "retire": (records.RETIREMENT, _retirement),
    "record_outcome": (records.OUTCOME, _outcome),
    "record_pipeline": (records.PIPELINE, _pipeline),
    "attest": (records.ATTESTATION, _attestation),
}


class _Item(NamedTuple):
    """A request of the right shape, its own bytes, the key of its first record, and the streams it names."""

    transaction: str
    request: Any
    body: bytes
    first: str
    streams: list[str]

    @classmethod
    def of(cls, transaction: str, request: Any, body: bytes) -> _Item:
        if transaction not in _WRITERS:
            raise Refusal("UNKNOWN_TRANSACTION")
        kind = _WRITERS[transaction][0]
        kind.shape(request, "request")
        first = records.request_key(request["request_id"])
        return cls(transaction, request, body, first, kind.streams(request))


async def _fetch(draft: Draft, items: Sequence[_Item]) -> None:
    """Read in two questions what deciding on ``items`` reads, as far as they tell."""
    await draft.fetch([item.first for item in items])
    new = [item for item in items if await draft.get(item.first) is None]
    reads = [_WRITERS[item.transaction][0].reads(item.request, item.streams) for item in new]
    await draft.fetch([key for keys in reads for key in keys])


async def _write(draft: Draft, item: _Item) -> dict[str, Any]:
    request, body = item.request, item.body
    kind, decide = _WRITERS[item.transaction]
    content = canonical.digest(b'["%s",%s]' % (item.transaction.encode(), body))
    first = await draft.get(item.first)
    if first is not None:
        if first["content"] != content:
            raise Refusal("REQUEST_REUSED", field="request.request_id")
        return {"id": first["id"], "digest": {"sha256": first["digest"]}, "repeated": True}
    decided = await decide(draft, request)
    streams = dict.fromkeys((*item.streams, *decided.streams))
    record_id = kind.record_id(request)
    if decided.adds:
        body = canonical.encode({**request, **decided.adds})
    digest = await draft.record(kind.name, record_id, body, streams)
    draft.put(records.state_key(record_id), {**decided.facts, "digest": digest})
    draft.put(item.first, {"content": content, "id": record_id, "digest": digest})
    return {"id": record_id, "digest": {"sha256": digest}, "repeated": False}


async def _open(context: Context) -> Draft:
    parties = await Parties.load(context)
    parties.require(_CAPABILITY, context.caller)
    return Draft(context, parties.skew_ms)


def _writer(transaction: str) -> Callable[[Context, Any], Awaitable[Any]]:
    async def write(context: Context, request: Any) -> Any:
        draft = await _open(context)
        item = _Item.of(transaction, request, canonical.encode_decoded(request))
        await _fetch(draft, [item])
        result = await _write(draft, item)
        await draft.close()
        return result

    write.__doc__ = _WRITERS[transaction][1].__doc__
    return write


async def batch(context: Context, request: Any) -> Any:
    """Many requests, all or nothing; a refusal names the index of the item that failed.

    Shapes are looked at first, of all items; then each is decided on. Returns their results in order.
    """
    draft = await _open(context)
    _BATCH(request, "request")
    bodies = canonical.encode_each_decoded([item["request"] for item in request["items"]])
    items, results = [], []
    for index, (item, body) in enumerate(zip(request["items"], bodies, strict=True)):
        try:
            items.append(_Item.of(item["transaction"], item["request"], body))
        except Refusal as refusal:
            raise _of_item(refusal, index) from None
    await _fetch(draft, items)
    for index, checked in enumerate(items):
        try:
            results.append(await _write(draft, checked))
        except Refusal as refusal:
            raise _of_item(refusal, index) from None
    await draft.close()
    return results


def _of_item(refusal: Refusal, index: int) -> Refusal:
    return Refusal(refusal.code, **{**refusal.facts, "item": index})


_READ: Final = shapes.fields({"id": shapes.text(records.RECORD_ID)})
_LATEST: Final = shapes.fields({"kind": shapes.one_of("dataset", "model"), "name": shapes.name})


async def read(context: Context, request: Any) -> Any:
    """The facts of a record and its retirement: ``{"facts": …, "retirement": …}``, each or null."""
    (await Parties.load(context)).require_member(context.caller)
    _READ(request, "request")
    subject = await _subject(Draft(context, 0), request["id"])
    return {"facts": subject.facts, "retirement": subject.retirement}


async def latest(context: Context, request: Any) -> Any:
    """The latest version of a dataset or model; 0 where there is none."""
    (await Parties.load(context)).require_member(context.caller)
    _LATEST(request, "request")
    return await Draft(context, 0).get(records.latest_key(request["kind"], request["name"])) or 0


TRANSACTIONS: Final = {
    **{transaction: _writer(transaction) for transaction in _WRITERS},
    "batch": batch,
    "read": read,
    "latest": latest,
}
