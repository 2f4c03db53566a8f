"""Blocks and leaves from bytes: what a real ledger wrote is read, and nothing else."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest
from support import ledgers
from support.ledgers import make_host

from tallystick.proof import block as blocks
from tallystick.proof.block import Header, canonical, judge_config, parse_block, parse_config, parse_proposal
from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.leaves import envelope_leaves, parse_record_leaf, salt
from tallystick.proof.membership import Membership


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A configuration block, the charter's block and a dataset's, as a ledger wrote them."""
    host = make_host(tmp_path_factory.mktemp("ledger"))
    host.submit("register_dataset", ledgers.dataset())
    config, charter, dataset = host.ledger.blocks()
    return SimpleNamespace(config=config, charter=charter, dataset=dataset, host=host)


def rewritten(block, change):
    """Header and data of ``block`` after ``change`` to its parsed data, hashes made to fit."""
    value = json.loads(block.data)
    change(value)
    data = canonical(value)
    header = json.loads(block.header)
    return canonical({**header, "data": hashlib.sha256(data).hexdigest()}), data


def test_what_was_written_is_read(written):
    block = parse_block(written.dataset.header, written.dataset.data)
    (envelope,) = block.valid
    assert (envelope.proposal["contract"], envelope.proposal["transaction"]) == (
        "provenance",
        "register_dataset",
    )
    assert json.loads(envelope.records[0])["id"] == "dataset/claims/1"
    assert block.header.previous == parse_block(written.charter.header, written.charter.data).header.digest


def test_every_changed_byte_is_refused_or_makes_another_block(written):
    """The header names the data's digest, so no byte of the data can change under it."""
    data = written.dataset.data
    for position in range(0, len(data), 7):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(Malformed, match="not what the header names"):
            parse_block(written.dataset.header, changed)


def _change(path, value):
    def change(data):
        *places, last = path
        for place in places:
            data = data[place]
        if value is DROPPED:
            del data[last]
        else:
            data[last] = value

    return change


DROPPED = object()
ENVELOPE = ("transactions", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("v",), 2),
        (("more",), 1),
        (("verdicts",), []),
        (("verdicts", 0), "FINE"),
        (("transactions",), []),
        (("creators",), []),
        (("creators", 0), "***"),
        (("creators", 0), 5),
        (("creators",), ["AAAA"]),
        ((*ENVELOPE, "records"), [5]),
        ((*ENVELOPE, "records"), DROPPED),
        ((*ENVELOPE, "signature"), "AB=="),
        ((*ENVELOPE, "signature"), "not base64"),
        ((*ENVELOPE, "proposal"), "{}"),
        ((*ENVELOPE, "proposal"), "{"),
        ((*ENVELOPE, "more"), 1),
    ],
)
def test_blocks_out_of_their_form_are_refused(written, path, value):
    with pytest.raises(Malformed):
        parse_block(*rewritten(written.dataset, _change(path, value)))


@pytest.mark.parametrize(
    "spare", [lambda creators: [*creators, creators[0]], lambda creators: [*creators, "AAAA"]]
)
def test_a_creator_stands_once_and_for_a_transaction(written, spare):
    def change(value):
        value["creators"] = spare(value["creators"])

    with pytest.raises(Malformed, match="creator"):
        parse_block(*rewritten(written.dataset, change))


def test_a_configuration_block_of_another_version_is_refused(written):
    with pytest.raises(Malformed, match="version"):
        parse_block(*rewritten(written.config, _change(("v",), 7)))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        canonical({"data": "0" * 64, "number": 0}),
        canonical({"data": "0" * 64, "number": True, "previous": "0" * 64}),
        canonical({"data": "0" * 64, "number": -1, "previous": "0" * 64}),
        canonical({"data": "0" * 63, "number": 0, "previous": "0" * 64}),
        b'{"number":0,"data":"' + b"0" * 64 + b'","previous":"' + b"0" * 64 + b'"}',
        b"[" * 100_000,
    ],
)
def test_headers_out_of_their_form_are_refused(header):
    with pytest.raises(Malformed):
        parse_block(header, b"{}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", "00"),
        ("nonce", "Z" * 48),
        ("time", -1),
        ("v", 2),
        ("contract", 5),
        ("more", 1),
        ("origin", DROPPED),
    ],
)
def test_proposals_out_of_their_form_are_refused(written, field, value):
    proposal = json.loads(json.loads(written.dataset.data)["transactions"][0]["proposal"])
    assert parse_proposal(canonical(proposal))
    _change((field,), value)(proposal)
    with pytest.raises(Malformed):
        parse_proposal(canonical(proposal))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("package", "x"),
        ("log_key", "AAAA"),
        ("log_key", 5),
        ("msps", {"OperatorMSP": {"roots": [5], "crls": []}}),
        ("msps", {"OperatorMSP": {"roots": []}}),
        ("name", DROPPED),
    ],
)
def test_configurations_out_of_their_form_are_refused(written, field, value):
    config = json.loads(json.loads(written.config.data)["config"])
    assert parse_config(canonical(config)).name == "tallystick.example/test"
    _change((field,), value)(config)
    with pytest.raises(Malformed):
        parse_config(canonical(config))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda config, pem: config["msps"].update({f"M{n}": {"roots": [], "crls": []} for n in range(64)}),
         "more than 64 organisations"),
        (lambda config, pem: config["msps"]["OperatorMSP"].update(roots=[pem] * 65), "more than 64 roots"),
        (lambda config, pem: config["msps"]["OperatorMSP"].update(crls=[pem] * 65), "more than 64 roots"),
        (lambda config, pem: config.update(name="x" * (4 << 20)), "longer than 4,194,304 bytes"),
    ],
)  # fmt: skip
def test_a_configuration_has_limits(written, change, problem):
    """Every certificate costs a check of a signature, and each is checked against the others."""
    config = json.loads(json.loads(written.config.data)["config"])
    change(config, config["msps"]["OperatorMSP"]["roots"][0])
    with pytest.raises(Malformed, match=problem):
        parse_config(canonical(config))


@pytest.mark.parametrize("number", ["1.5", "1e3", "NaN", "9007199254740992", "1" * 5000])
def test_a_number_beyond_the_model_is_refused(written, number):
    config = json.loads(written.config.data)["config"]
    changed = config.replace('"number":0', f'"number":{number}')
    assert changed != config
    with pytest.raises(Malformed, match="not JSON"):
        parse_config(changed.encode())
    assert parse_config(config.replace('"number":0', '"number":9007199254740991').encode())


class TestConfigurations:
    def parts(self, written, user="admin", **changes):
        config = json.loads(json.loads(written.config.data)["config"]) | changes
        identity = written.host.user("operator", user)
        parsed = parse_config(canonical(config))
        return parsed, identity.serialised, identity.sign(parsed.encoded)

    def test_block_0_vouches_for_itself(self, written):
        assert judge_config(*self.parts(written), None).roles == {"admin"}

    def test_an_administrator_makes_the_next_one(self, written):
        current = self.parts(written)[0]
        assert judge_config(*self.parts(written, number=1), current).msp_id == "OperatorMSP"

    @pytest.mark.parametrize(
        "changes", [{"number": 2}, {"number": 0}, {"number": 1, "name": "tallystick.example/x"}]
    )
    def test_it_is_the_next_one_of_this_ledger(self, written, changes):
        with pytest.raises(NotProven, match="next one"):
            judge_config(*self.parts(written, **changes), self.parts(written)[0])

    def test_nobody_else_configures(self, written):
        with pytest.raises(NotProven, match="administrator"):
            judge_config(*self.parts(written, user="pipeline", number=1), self.parts(written)[0])

    def test_a_configuration_admits_its_author_only_under_the_one_before(self, written):
        current, *_ = self.parts(written)
        config, creator, signature = self.parts(written, number=1)
        stripped = blocks.Config(
            current.encoded, current.name, 0, current.msps[:1], current.package, current.log_key, current.time
        )
        with pytest.raises(ProofError):
            judge_config(config, creator, signature, stripped)


class TestLeaves:
    def leaves(self, written):
        block = parse_block(written.dataset.header, written.dataset.data)
        config = parse_block(written.config.header, written.config.data).config
        (envelope,) = block.valid
        member = Membership(config.msps).judge(envelope.creator, envelope.proposal["time"])
        digest = hashlib.sha256(envelope.encoded).hexdigest()
        return envelope, envelope_leaves(envelope, member, config.package, digest)

    def test_a_transaction_has_a_leaf_and_one_for_each_record(self, written):
        envelope, (transaction, record) = self.leaves(written)
        assert json.loads(transaction)["id"] == envelope.transaction_id
        assert json.loads(transaction)["records"] == 1
        assert parse_record_leaf(record) == json.loads(envelope.records[0])
        assert parse_record_leaf(transaction) is None

    def test_leaves_are_canonical(self, written):
        for leaf in self.leaves(written)[1]:
            assert canonical(json.loads(leaf)) == leaf

    def test_salts_differ_and_depend_on_the_nonce(self, written):
        envelope, leaves = self.leaves(written)
        salts = [json.loads(leaf)["salt"] for leaf in leaves]
        nonce = bytes.fromhex(envelope.proposal["nonce"])
        assert salts == [salt(nonce, 0), salt(nonce, 1)]
        assert salt(b"x" * 24, 0) not in salts


def test_a_headers_digest_is_over_its_canonical_bytes():
    header = Header(3, "1" * 64, "2" * 64)
    expected = b'{"data":"' + b"2" * 64 + b'","number":3,"previous":"' + b"1" * 64 + b'"}'
    assert header.encode() == expected
    assert header.digest == hashlib.sha256(expected).hexdigest()
