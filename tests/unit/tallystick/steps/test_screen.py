"""The 18 identifiers are found by class, name and content; numbers that only look alike are not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tallystick.policy import IDENTIFIER_CLASSES, DatasetPolicy
from tallystick.steps import identifiers
from tallystick.steps import screen as room
from tallystick.steps.screen import Finding, ScreeningResult
from tallystick.steps.tables import read_table

HIPAA = "{regime: hipaa-safe-harbor}"
NOTE = "{name: note, type: string}"


def screen(path: Path, policy: DatasetPolicy) -> ScreeningResult:
    return room.screen(read_table(path, policy), policy)


def found(make_policy, write, text: str) -> set[str]:
    quoted = text.replace('"', '""')
    result = screen(write(f'cost,n,note\n1,2,"{quoted}"\n1,2,fine\n'), make_policy(NOTE, privacy=HIPAA))
    assert result.checked_classes == 18
    assert all(f.column == "note" and f.by == "content" and f.rows == 1 and f.stops for f in result.findings)
    return {finding.identifier_class for finding in result.findings}


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("seen by Dr. Miller today", "name"),
        ("asked Mrs J. Doe", "name"),
        ("lives at 12 Main Street", "geographic"),
        ("Cambridge, MA 02139", "geographic"),
        ("admitted 2019-03-07", "date"),
        ("on 3/7/2019", "date"),
        ("on 3/7/19 again", "date"),
        ("born 7 March 2019", "date"),
        ("Mar 7, 2019", "date"),
        ("call 617-555-0123", "telephone"),
        ("call (617) 555-0123 now", "telephone"),
        ("call +49 30 1234567", "telephone"),
        ("fax: 6175550123", "fax"),
        ("jane.doe+x@mail.example.org", "email"),
        ("ssn 123-45-6789", "ssn"),
        ("MRN: 00123456", "medical-record"),
        ("member id 1EG4-TE5-MK73", "health-plan"),
        ("card 4111 1111 1111 1111", "account"),
        ("GB82 WEST 1234 5698 7654 32", "account"),
        ("DEA AB1234563", "licence"),
        ("1HGCM82633A004352", "vehicle"),
        ("mac 00:1A:2b:3c:4d:5e", "device"),
        ("see https://example.org/x", "url"),
        ("www.example.org", "url"),
        ("from 192.168.10.7", "ip-address"),
        ("from 2001:db8::ff00:42", "ip-address"),
        ("face_12.jpg", "photograph"),
        ("123e4567-e89b-12d3-a456-426614174000", "other-unique"),
    ],
)
def test_an_identifier_in_text_is_found(make_policy, write, text: str, identifier: str) -> None:
    assert identifier in found(make_policy, write, text)


@pytest.mark.parametrize(
    "text",
    [
        "mild asthma, no change",
        "dose 12.5 mg twice",
        "bp 120/80",
        "version 1.2.33",
        "between 2018 and 2019",
        "E11.9",
        "card 4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "DEA AB1234564",
        "1HGCM82633A004353",
        "999-45-6789",
        "1,234,567",
        "Drip 5 ml",
        "500 units",
        "12:30",
        "A+",
        "300.10.1",
    ],
)
def test_what_only_looks_alike_is_not(make_policy, write, text: str) -> None:
    assert found(make_policy, write, text) == set()


def test_a_column_of_listed_names_is_found_and_one_listed_place_is_not(make_policy, write) -> None:
    policy = make_policy(NOTE, privacy=HIPAA)
    result = screen(write('cost,n,note\n1,2,"Doe, Jane"\n1,2,"O\'Neill, Sam T."\n1,2,\n'), policy)
    assert result.findings == (Finding("note", "name", "content", 2, True),)
    listed = '1,2,"Fever, Mild"\n' + "1,2,fever\n" * 9
    assert screen(write("cost,n,note\n" + listed), policy).findings == ()


@pytest.mark.parametrize(
    ("column", "identifier"),
    [
        ("Patient Name", "name"), ("lastName", "name"), ("name", "name"), ("zip_code", "geographic"),
        ("ZIP", "geographic"), ("home_address", "geographic"), ("dob", "date"), ("admission_date", "date"),
        ("phone", "telephone"), ("homePhoneNumber", "telephone"), ("fax_no", "fax"), ("email", "email"),
        ("e-mail address", "email"), ("SSN", "ssn"), ("mrn", "medical-record"), ("member_id", "health-plan"),
        ("account_number", "account"), ("npi", "licence"), ("drivers_license_no", "licence"),
        ("vin", "vehicle"), ("license_plate", "vehicle"), ("device_serial_no", "device"), ("url", "url"),
        ("ip_address", "ip-address"), ("fingerprint", "biometric"), ("photo", "photograph"),
        ("patient_id", "other-unique"),
    ],
)  # fmt: skip
def test_a_columns_name_gives_it_away(column: str, identifier: str) -> None:
    assert identifiers.by_name(column) == identifier


def test_every_class_but_the_patterns_own_is_known_to_the_policy() -> None:
    named = {identifier for identifier, _ in identifiers._NAMES}
    assert named == set(IDENTIFIER_CLASSES)
    assert len(IDENTIFIER_CLASSES) == 18
    assert set(identifiers.CONTENT) | set(identifiers.CHECKED) < set(IDENTIFIER_CLASSES)


@pytest.mark.parametrize(
    "column",
    ["drug_name", "plan_type", "account_balance", "idp", "lpi", "disea", "volume", "shape", "flat", "vintage",
     "email_count", "date_range", "pan_size", "age", "race", "tell", "phones_owned", "velocity", "candidate"],
)  # fmt: skip
def test_a_harmless_columns_name_does_not(column: str) -> None:
    assert identifiers.by_name(column) is None


def test_numbers_are_found_by_name_or_check_digit_only(make_policy, write) -> None:
    draw = random.Random(1)
    rows = []
    for _ in range(200):
        phone, volume = draw.randrange(2_000_000_000, 9_999_999_999), draw.randrange(10**15, 10**16)
        stem = f"4{draw.randrange(10**14):014d}"
        card = next(stem + str(digit) for digit in range(10) if identifiers.luhn(stem + str(digit)))
        rows.append(f"{phone},{volume},{card},{phone}")
    policy = make_policy("{name: paid, type: int}", "{name: mobile, type: int}", privacy=HIPAA)
    result = screen(write("cost,n,paid,mobile\n" + "\n".join(rows) + "\n"), policy)
    assert result.findings == (
        Finding("mobile", "telephone", "name", 200, True),
        Finding("paid", "account", "content", 200, True),
    )


def test_declared_classes_dates_and_ages_over_89_are_found(make_policy, write) -> None:
    policy = make_policy(
        "{name: area, type: string, class: geographic}", "{name: seen, type: date, class: excluded}",
        "{name: age, type: int}", privacy=HIPAA,
    )  # fmt: skip
    result = screen(write("cost,n,area,seen,age\n1,2,north,2020-01-02,89\n1,2,,2020-01-02,90\n"), policy)
    assert result.findings == (
        Finding("age", "date", "content", 1, True),
        Finding("area", "geographic", "class", 1, True),
        Finding("seen", "date", "content", 2, True),
    )


def stops(result) -> bool:
    return any(finding.stops for finding in result.findings)


def test_without_a_regime_only_an_undeclared_direct_identifier_stops(make_policy, write) -> None:
    columns = ("{name: note, type: string}", "{name: mail, type: string, class: email}")
    path = write("cost,n,note,mail\n1,2,see http://example.org/a,a.b@example.org\n")
    result = screen(path, make_policy(*columns))
    assert [(f.identifier_class, f.by) for f in result.findings] == [("email", "class"), ("url", "content")]
    assert not stops(result)
    path = write("cost,n,note,mail\n1,2,ask c.d@example.org,a.b@example.org\n")
    assert stops(screen(path, make_policy(*columns)))
    declared = make_policy(columns[0].replace("}", ", class: other-unique}"), columns[1])
    assert not stops(screen(path, declared))


def test_the_subjects_code_may_be_named_as_one_but_not_be_an_email(make_policy, write) -> None:
    privacy = "{regime: hipaa-safe-harbor, subject: patient_id}"
    policy = make_policy("{name: patient_id, type: string}", privacy=privacy)
    assert screen(write("cost,n,patient_id\n1,2,k77\n"), policy).findings == ()
    assert stops(screen(write("cost,n,patient_id\n1,2,a@b.org\n"), policy))


def test_a_finding_never_holds_the_value(make_policy, write) -> None:
    result = screen(write("cost,n,note\n1,2,canary@example.org\n"), make_policy(NOTE, privacy=HIPAA))
    assert b"canary" not in result.canonical
    assert "canary" not in repr(result)
    assert result.canonical == (
        b'{"checked_classes":18,"findings":[{"by":"content","class":"email","column":"note","rows":1,'
        b'"stops":true}],"v":1}'
    )
