"""One transaction: that it is whole, whose it is, what came of it, and whether enough endorsed that.

The order of the checks and the codes are a peer's (core/common/validation/msgvalidation.go and
core/committer/txvalidator/v20 of Fabric 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.blocks import ENDORSER_TRANSACTION, Envelope, Payload
from tallystick.proof.fabric.configuration import Configuration, policy_path
from tallystick.proof.fabric.identities import MEMBER, Identity
from tallystick.proof.fabric.rwset import NamespaceSet, parse_rwset
from tallystick.proof.fabric.state import State
from tallystick.proof.fabric.writes import Place, policy_places, private_space
from tallystick.proof.protobuf import TEXT, Message, Shape, bytes_field, shaped

LIFECYCLE: Final = "_lifecycle"

_PLUGIN: Final = "vscc"
_IMPLICIT_COLLECTION: Final = "_implicit_org_"
_KINDS: Final = (1, 2, ENDORSER_TRANSACTION)
_CHAINCODE: Final[Shape] = {1: TEXT, 2: TEXT, 3: TEXT}
_HEADER_EXTENSION: Final[Shape] = {2: _CHAINCODE}
_OUTCOME: Final[Shape] = {3: {2: TEXT}, 4: _CHAINCODE}
_EVENT: Final[Shape] = {1: TEXT, 2: TEXT, 3: TEXT}


class Invalid(Exception):
    """A transaction does not count. ``code`` is a peer's name for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Definition:
    """A chaincode as the channel has agreed on it.

    ``terms`` is the digest, in hex, of all that stands in it beside its version and sequence: who has to
    endorse, how that is judged, and its collections.
    """

    sequence: int
    version: str
    plugin: str
    policy: bytes
    collections: bytes
    terms: str


@dataclass(frozen=True, slots=True)
class Action:
    """What was proposed, what the endorsers say came of it, and their signatures.

    ``proposer`` is the creator and the nonce that the endorsers saw: Fabric does not compare them with the
    envelope's.
    """

    proposer: tuple[bytes, bytes]
    proposal: bytes
    outcome: bytes
    signatures: tuple[policies.Signed, ...]


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A transaction's content: the call, what the endorsers say came of it, and their signatures.

    ``version`` is that of the chaincode that they ran, ``event`` its event's name and payload;
    ``proposer`` is as in `Action`.
    """

    proposer: tuple[bytes, bytes]
    chaincode: str
    arguments: tuple[bytes, ...]
    version: str
    status: int
    response: bytes
    event: tuple[str, bytes] | None
    sets: tuple[NamespaceSet, ...]
    signatures: tuple[policies.Signed, ...]


def judge_creator(envelope: Envelope, payload: Payload, rules: Configuration) -> Identity:
    """Who signed an envelope. Raises `Invalid`."""
    if payload.kind not in _KINDS or payload.epoch or not payload.nonce or not payload.creator:
        raise Invalid("BAD_COMMON_HEADER")
    try:
        return rules.members.verified(payload.creator, envelope.signature, envelope.payload)
    except ProofError:
        raise Invalid("BAD_CREATOR_SIGNATURE") from None


def parse_action(payload: Payload) -> Action:
    """What a payload proposed and how that was answered, each fitting the other. Raises `Invalid`."""
    if payload.transaction_id != payload.computed_id:
        raise Invalid("BAD_PROPOSAL_TXID")
    try:
        return _action(payload)
    except ProofError:
        raise Invalid("INVALID_ENDORSER_TRANSACTION") from None


def _action(payload: Payload) -> Action:
    actions = Message(payload.data, "transaction").messages(1)
    if len(actions) != 1:
        raise Malformed("transaction: not of one action")
    header = Message(actions[0].blob(1), "signature header")
    if not header.blob(1) or not header.blob(2):
        raise Malformed("transaction: an action without creator or nonce")
    content = Message(actions[0].blob(2), "action")
    action, proposal = content.message(2), content.blob(1)
    if not proposal:
        raise Malformed("transaction: of no proposal")
    response = action.blob(1)
    asked = sha256(payload.channel_header + actions[0].blob(1) + proposal).digest()
    answer = Message(response, "proposal response")
    if answer.blob(1) != asked:
        raise NotProven("transaction: endorsed for another proposal")
    signatures = [
        policies.Signed(each.blob(1), response + each.blob(1), each.blob(2)) for each in action.messages(2)
    ]
    return Action((header.blob(1), header.blob(2)), proposal, answer.blob(2), tuple(signatures))


def parse_endorsed(payload: Payload, action: Action) -> Endorsed:
    """What came of a call, as its endorsers say. Raises `Invalid`."""
    extension = _or_invalid(
        "BAD_HEADER_EXTENSION", shaped, payload.extension, "header extension", _HEADER_EXTENSION
    )
    outcome = _or_invalid("BAD_RESPONSE_PAYLOAD", shaped, action.outcome, "response", _OUTCOME)
    sets = _or_invalid("BAD_RWSET", parse_rwset, outcome.blob(1))
    if not extension.has(2) or not outcome.has(4):
        raise Invalid("INVALID_OTHER_REASON")
    called, ran = extension.message(2), outcome.message(4)
    name = called.text(2)
    if not name or name != ran.text(2) or not ran.text(3):
        raise Invalid("INVALID_CHAINCODE")
    event = _or_invalid("INVALID_OTHER_REASON", _event, outcome, name)
    namespaces = [each.namespace for each in sets]
    if len(set(namespaces)) != len(namespaces):
        raise Invalid("ILLEGAL_WRITESET")
    answer = outcome.message(3)
    arguments = _arguments(action.proposal)
    return Endorsed(
        action.proposer,
        name,
        arguments,
        ran.text(3),
        answer.int32(1),
        answer.blob(3),
        event,
        sets,
        action.signatures,
    )


def judge_endorsements(endorsed: Endorsed, rules: Configuration, state: State, changed: set[Place]) -> None:
    """Whether each namespace that is written, and the chaincode called, has the endorsements it needs.

    ``changed`` are the keys whose own policy was written by a transaction before it in the block that was
    endorsed enough; it adds its own. Raises `Invalid`, and `NotProven` for what is not followed here.
    """
    by = policies.signers(rules.members, endorsed.signatures)
    written = {each.namespace: each for each in endorsed.sets if each.changes}
    failure, own = None, set[Place]()
    for namespace in dict.fromkeys([endorsed.chaincode, *written]):
        try:
            _judge_namespace(namespace, written.get(namespace), rules, state, by, changed)
        except Invalid as invalid:
            failure = failure or invalid
        else:
            own.update(policy_places(written[namespace]) if namespace in written else ())
    changed |= own
    if failure:
        raise failure


def _judge_namespace(
    namespace: str,
    written: NamespaceSet | None,
    rules: Configuration,
    state: State,
    by: list[Identity],
    changed: set[Place],
) -> None:
    definition = definition_of(namespace, state)
    if namespace != LIFECYCLE and (definition is None or not definition.plugin or not definition.policy):
        raise Invalid("INVALID_CHAINCODE")
    if definition and definition.plugin != _PLUGIN:
        raise NotProven(f"the chaincode {namespace} is judged by a plugin that is not Fabric's own")
    places = list(_places(written)) if written else []
    if not changed.isdisjoint(place for _, place in places):
        raise Invalid("ENDORSEMENT_POLICY_FAILURE")
    if not _agreed(definition, places, rules, state, by):
        raise Invalid("ENDORSEMENT_POLICY_FAILURE")
    if written and any(each.changes and not each.name for each in written.collections):
        raise NotProven("a collection without a name is written, which is not followed here")


def definition_of(chaincode: str, state: State) -> Definition | None:
    """The definition in force of a chaincode. Raises `Malformed` for one that cannot be read."""
    metadata = state.value(LIFECYCLE, f"namespaces/metadata/{chaincode}")
    if metadata is None or Message(metadata, "definition").text(1) != "ChaincodeDefinition":
        return None

    def field(name: str) -> Message:
        value = state.value(LIFECYCLE, f"namespaces/fields/{chaincode}/{name}") or b""
        return Message(value, "definition")

    endorsement = Message(field("EndorsementInfo").blob(2), "definition")
    judged_by, collections = field("ValidationInfo").blob(2), field("Collections").blob(2)
    validation = Message(judged_by, "definition")
    initialised = b"first" if endorsement.number(2) else b""
    terms = (endorsement.blob(3), judged_by, collections, initialised)
    return Definition(
        field("Sequence").number(1),
        endorsement.text(1),
        validation.text(1),
        validation.blob(2),
        collections,
        sha256(b"".join(bytes_field(number, each) for number, each in enumerate(terms, 1))).hexdigest(),
    )


def _places(written: NamespaceSet) -> Iterator[tuple[str, Place]]:
    """All keys that are written, each with its collection; that of a public key is empty."""
    for key in (*(key for key, _ in written.writes), *(key for key, _ in written.policies)):
        yield "", (written.namespace, key)
    for each in written.collections:
        space = private_space(written.namespace, each.name)
        for hashed in (*(key for key, _ in each.writes), *(key for key, _ in each.policies)):
            yield each.name, (space, hashed.hex())


def _agreed(
    definition: Definition | None,
    places: Sequence[tuple[str, Place]],
    rules: Configuration,
    state: State,
    by: list[Identity],
) -> bool:
    """A key's own policy decides on it, where it has one; else its collection's; else the chaincode's.

    So does the chaincode's where nothing is written (core/common/validation/statebased).
    """
    by_collection = set() if places else {""}
    for collection, place in places:
        if policy := state.policy(*place):
            if not _satisfied(policy, rules, by):
                return False
        else:
            by_collection.add(collection)
    return all(_collection_agreed(each, definition, rules, by) for each in by_collection)


def _satisfied(policy: bytes, rules: Configuration, by: list[Identity]) -> bool:
    try:
        return policies.signature_satisfied(policy, rules.members, by)
    except ProofError:
        return False


def _collection_agreed(
    name: str, definition: Definition | None, rules: Configuration, by: list[Identity]
) -> bool:
    if not name:
        if definition:
            return _application_satisfied(definition.policy, rules, by)
        return rules.satisfied(("Application", "LifecycleEndorsement"), by)
    if not name.startswith(_IMPLICIT_COLLECTION):
        return definition is not None and _own_collection_agreed(name, definition, rules, by)
    msp_id = name.removeprefix(_IMPLICIT_COLLECTION)
    group = rules.organisation_of(msp_id)
    path = ("Application", group or "", "Endorsement")
    if group and not rules.has_policy(path):
        # Fabric's default (lifecycle.ImplicitCollectionEndorsementPolicyAsBytes): any member will do.
        return any(rules.members.has_role(each, msp_id, MEMBER) for each in by)
    return rules.satisfied(path, by)


def _own_collection_agreed(
    name: str, definition: Definition, rules: Configuration, by: list[Identity]
) -> bool:
    """Of a collection that the chaincode's definition names; it may say nothing of who has to endorse."""
    package = Message(definition.collections, "collections")
    configured = [each.message(1) for each in package.messages(1)]
    found = next((each for each in configured if each.text(1) == name), None)
    policy = b"".join(found.blobs(8)) if found else b""
    if found is None or not _application_satisfied(policy or definition.policy, rules, by):
        return False
    if found.number(5):
        raise NotProven("private data that expires is written, which is not followed here")
    return True


def _application_satisfied(policy: bytes, rules: Configuration, by: list[Identity]) -> bool:
    try:
        message = Message(policy, "endorsement policy")
        which, parts = message.oneof(blobs=(1, 2))
        if which == 1:
            return policies.signature_satisfied(b"".join(parts), rules.members, by)
        return bool(which) and rules.satisfied(policy_path(message.text(2), ()), by)
    except ProofError:
        return False


def _event(action: Message, chaincode: str) -> tuple[str, bytes] | None:
    if not action.blob(2):
        return None
    event = shaped(action.blob(2), "event", _EVENT)
    if event.text(1) != chaincode:
        raise Malformed("event: of another chaincode")
    return event.text(3), event.blob(4)


def _arguments(proposal: bytes) -> tuple[bytes, ...]:
    """The call's arguments; none where they cannot be read: a peer does not look at them here."""
    try:
        specification = Message(Message(proposal, "proposal").blob(1), "invocation").message(1)
        return tuple(specification.message(3).blobs(1))
    except Malformed:
        return ()


def _or_invalid(code: str, read: Callable[..., Any], *arguments: object) -> Any:
    try:
        return read(*arguments)
    except Malformed:
        raise Invalid(code) from None
