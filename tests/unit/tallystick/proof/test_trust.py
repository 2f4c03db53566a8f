"""Trust policies: strict reading, and the judgement of signed heads."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.errors import Malformed, NotProven, NotTrusted
from tallystick.proof.note import COSIGNATURE_V1, ED25519, Verifier, cosign_note, sign_note
from tallystick.proof.trust import TrustPolicy, parse_trust

ORIGIN = "example.com/log"
HEAD = Checkpoint(ORIGIN, 5, bytes(32))


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def vkey(number: int, name: str, key_type: int = COSIGNATURE_V1) -> str:
    return Verifier(name, key_type, key(number).public_key().public_bytes_raw()).vkey


LOG = f"log {vkey(0, ORIGIN, ED25519)}\n"
WITNESSES = "".join(f"witness {name} {vkey(n, name)}\n" for n, name in enumerate("XYZ", start=1))
TWO_LEVELS = (
    LOG
    + "".join(f"witness X{n} {vkey(n, f'x{n}.example')} https://x{n}.example/\n" for n in (1, 2, 3))
    + "group X-witnesses 2 X1 X2 X3\n\n"
    + "".join(f"witness Y{n} {vkey(n + 3, f'y{n}.example')}\n" for n in (1, 2, 3))
    + "  group\tY-witnesses  any Y1 Y2 Y3 \t\n# a comment\n \t# another\n"
    + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


def signed(*witnesses: str) -> str:
    note = sign_note(HEAD.body(), ORIGIN, key(0))
    for name in witnesses:
        number = int(name[1]) + (3 if name[0] == "y" else 0)
        note = cosign_note(note, f"{name}.example", key(number), 1_700_000_000 + number)
    return note


def refused(policy: str | bytes) -> str:
    with pytest.raises(Malformed) as caught:
        parse_trust(policy)
    return str(caught.value)


def test_a_policy_is_read_into_logs_witnesses_groups_and_quorum() -> None:
    policy = parse_trust(TWO_LEVELS)
    assert [log.name for log in policy.logs] == [ORIGIN]
    assert list(policy.witnesses) == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert {name: group.threshold for name, group in policy.groups.items()} == {
        "X-witnesses": 2,
        "Y-witnesses": 1,
        "X-and-Y": 2,
    }
    assert policy.quorum == "X-and-Y"
    assert parse_trust(TWO_LEVELS.encode()) == policy


@pytest.mark.parametrize(
    ("witnesses", "met"),
    [
        (("x1", "x2", "y3"), True),
        (("x1", "x2", "x3", "y1", "y2", "y3"), True),
        (("x1", "y1", "y2", "y3"), False),
        (("x1", "x2", "x3"), False),
        (("x1", "x1", "y1"), False),
        ((), False),
    ],
)
def test_the_quorum_counts_through_groups(witnesses: tuple[str, ...], met: bool) -> None:
    policy, note = parse_trust(TWO_LEVELS), signed(*witnesses)
    judgement = policy.judge(note)
    assert judgement.checkpoint == HEAD
    assert judgement.logs == policy.logs
    assert {item.verifier.name for item in judgement.witnesses} == {f"{name}.example" for name in witnesses}
    assert judgement.quorum_met is judgement.witnessed is met
    if met:
        assert policy.require_quorum(note) == judgement
    else:
        with pytest.raises(NotTrusted, match="too few"):
            policy.require_quorum(note)


def test_witnesses_times_are_in_the_judgement() -> None:
    times = [item.time for item in parse_trust(TWO_LEVELS).judge(signed("x2", "y1")).witnesses]
    assert times == [1_700_000_002, 1_700_000_004]


def test_without_a_quorum_nothing_is_called_witnessed() -> None:
    policy = parse_trust(TWO_LEVELS.replace("quorum X-and-Y", "quorum none"))
    for note in (signed(), signed("x1", "x2", "y1")):
        judgement = policy.require_quorum(note)
        assert judgement.quorum_met
        assert not judgement.witnessed


def test_the_log_must_have_signed_under_the_heads_own_origin() -> None:
    policy = parse_trust(LOG + "quorum none\n")
    assert policy.judge(signed()).checkpoint == HEAD
    elsewhere = Checkpoint("example.com/elsewhere", 5, bytes(32))
    with pytest.raises(NotTrusted, match="of its origin"):
        policy.judge(sign_note(elsewhere.body(), ORIGIN, key(0)))
    with pytest.raises(NotTrusted):
        policy.judge(sign_note(elsewhere.body(), elsewhere.origin, key(0)))


def test_witnesses_alone_do_not_make_a_head() -> None:
    log_line = sign_note(HEAD.body(), ORIGIN, key(0)).splitlines(keepends=True)[-1]
    with pytest.raises(NotTrusted, match="trusted log"):
        parse_trust(TWO_LEVELS).judge(signed("x1", "x2", "y1").replace(log_line, ""))


def test_a_wrong_cosignature_of_a_known_witness_is_not_just_a_missing_one() -> None:
    other = cosign_note(sign_note("other\n", ORIGIN, key(0)), "x1.example", key(1), 7)
    with pytest.raises(NotProven, match=r"x1\.example is wrong"):
        parse_trust(TWO_LEVELS).judge(signed("x2", "y1") + other.splitlines(keepends=True)[-1])


def test_a_trusted_signature_on_something_else_than_a_head_is_malformed() -> None:
    with pytest.raises(Malformed, match="three lines"):
        parse_trust(LOG + "quorum none\n").judge(sign_note("a text\n", ORIGIN, key(0)))


def test_a_policy_of_no_logs_trusts_no_head() -> None:
    with pytest.raises(NotTrusted):
        parse_trust("quorum none\n").judge(signed())


def test_names_are_opaque_octets() -> None:
    kelvin = "witness \u212a {}\nwitness K {}\ngroup both all K \u212a\nquorum both\n"
    policy = parse_trust(LOG + kelvin.format(vkey(1, "a"), vkey(2, "b")))
    assert len(policy.witnesses) == 2
    raw = LOG.encode() + b"witness \xff %s\nquorum \xff\n" % vkey(1, "a").encode()
    assert parse_trust(raw).quorum == "\udcff"
    assert "no earlier line" in refused(raw.replace(b"quorum \xff", b"quorum \xfe"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("logs x", "starts with none of"),
        ("Log x", "starts with none of"),
        ("log", "too few or too many"),
        ("log a b c", "too few or too many"),
        ("log example.com/x", "verifier key"),
        ("log " + vkey(9, "other"), "type must be 1"),
        ("log " + vkey(0, "other", ED25519), "second time"),
        ("witness W", "too few or too many"),
        ("witness W " + vkey(9, "w", ED25519), "type must be 4"),
        ("witness W " + vkey(1, "w"), "second time"),
        ("witness W " + vkey(0, "w"), "second time"),
        ("witness X " + vkey(9, "w"), "taken already"),
        ("witness none " + vkey(9, "w"), "taken already"),
        ("group G any", "too few or too many"),
        ("group X any Y", "taken already"),
        ("group none any X", "taken already"),
        ("group G 0 X Y", "threshold"),
        ("group G 3 X Y", "threshold"),
        ("group G 01 X Y", "threshold"),
        ("group G some X Y", "threshold"),
        ("group G any X X", "member already"),
        ("group G any none", "no earlier line"),
        ("group G any G", "no earlier line"),
        ("group G any W", "no earlier line"),
        ("quorum W", "no earlier line"),
        ("quorum", "too few or too many"),
        ("quorum X Y", "too few or too many"),
        ("quorum\u00a0X", "starts with none of"),
        ("# carriage return\r", "control character"),
        ("# form feed\f", "control character"),
        ("# delete\x7f", "control character"),
        ("# nul\x00", "control character"),
    ],
)
def test_every_syntax_error_names_its_line(line: str, reason: str) -> None:
    message = refused(LOG + WITNESSES + line + "\nquorum none\n")
    assert message.startswith("trust policy, line 5: ")
    assert reason in message


def test_a_member_stands_in_one_group_only() -> None:
    message = refused(LOG + WITNESSES + "group A any X\ngroup B all X Y\nquorum B\n")
    assert message == "trust policy, line 6: a name that is a group's member already"


def test_exactly_one_quorum() -> None:
    assert "no quorum" in refused(LOG)
    assert "no quorum" in refused("")
    assert "line 3: a second quorum" in refused(LOG + "quorum none\nquorum none\n")


def test_a_file_cut_short_is_noticed() -> None:
    assert "line 2: does not end in a newline" in refused(LOG + "quorum none")


def test_the_recommended_limits_are_supported() -> None:
    lines = [f"log {vkey(n, ORIGIN, ED25519)}" for n in range(32)]
    lines += [f"witness w{n} {vkey(n + 32, f'w{n}')}" for n in range(32)]
    lines += [f"group g{n} any w{n}" for n in range(31)]
    lines += ["group all all " + " ".join(f"g{n}" for n in range(31)), "quorum all", ""]
    policy = parse_trust("\n".join(lines))
    assert isinstance(policy, TrustPolicy)
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)
