"""How the 18 identifiers look: column names, patterns in text, and numbers with a check digit.

Patterns are for polars (Rust's regular expressions: no looking around) and, where a check digit is
computed, for `re` as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars

_NO: Final = "(_?(no|num|nr|number|id|code))?"
# More specific classes come first: an e-mail address is no street address.
_NAMES: Final = tuple(
    (identifier, re.compile(rf"(?:^|_)(?:{pattern})$"))
    for identifier, pattern in {
        "email": r"e_?mails?(_(address|addr|id))?",
        "ip-address": r"ip(_(address|addr|v4|v6))?|ipv[46]",
        "url": r"urls?|web_?(site|page|address)|homepage",
        "device": rf"(device|serial|mac)_?(no|num|number|id|code|address|addr)|imei{_NO}|imsi|udi{_NO}",
        "vehicle": (
            rf"vin{_NO}|(licen[cs]e|number|vehicle|car)_?plate{_NO}|vehicle_?(id|number)|plate_(no|number)"
        ),
        "licence": (
            r"(driving_|drivers?_|medical_)?(licen[cs]e|certificate|permit)_?(no|num|number|id)|npi"
            r"|dea(_number)?"
        ),
        "health-plan": (
            r"(member|beneficiary|subscriber|enrollee|policy|policyholder|plan|medicare|medicaid|insurance)"
            r"_?(no|num|number|id)|mbi|hicn"
        ),
        "medical-record": (
            r"mrn|(medical|med|patient|hospital)_?(record|chart|file)(_?(no|num|number|id))?|nhs_?(no|number)"
        ),
        "ssn": r"ssn|social_?security(_?(no|num|number))?",
        "fax": rf"fax{_NO}",
        "telephone": rf"(tele|mobile_|cell_|home_|work_)?phone{_NO}|tel|mobile(_(no|number))?|msisdn",
        "account": (
            r"(account|acct)_?(no|num|nr|number|id)|iban|bic|(credit_?|debit_?|bank_?)?card_?(no|num|number)"
            r"|routing_number|pan"
        ),
        "name": (
            r"((first|last|middle|given|family|maiden|full|sur|patient|person|member|customer|client"
            r"|employee|physician|doctor|provider|contact|subject|guardian|user)_?)names?|surname|forename"
        ),
        "geographic": (
            r"zip(_?code)?|post(al)?_?code|street(_?(name|number|address))?|(home_|postal_|mailing_)?address"
            r"(_?line)?(_?[0-9])?|city|town|county|precinct|parish|latitude|longitude|lat|lon|lng|geo_?code"
        ),
        "date": (
            r"dob|dod|(date_of_|birth_?|death_?)(birth|death|date|day)|birthday|(admission|admit|discharge"
            r"|service|visit|procedure|diagnosis|encounter)_?date|date_of_[a-z]+"
        ),
        "biometric": r"biometrics?|finger_?print|voice_?print|retina(_scan)?|iris_scan",
        "photograph": r"photos?|photograph|face_?image|portrait|headshot|(photo|image)_?(url|file|path)",
        "other-unique": (
            r"(patient|person|subject|participant|user|customer|client|employee|resident|citizen|national|tax)"
            r"_?(id|no|num|number|code)|passport(_?(no|number))?|uuid|guid"
        ),
    }.items()
)
_WHOLE_NAMES: Final = {"name": "name", "names": "name", "initials": "name"}

_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_YEAR: Final = r"(?:19|20)[0-9]{2}"
_DAY: Final = r"(?:0?[1-9]|[12][0-9]|3[01])"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_MBI: Final = "[AC-HJKMNP-RT-Y]"
_STATE: Final = (
    "(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT"
    "|V[AT]|W[AIVY])"
)

# Nothing below matches a value without one of these: most values are let go at once.
WORTH_A_LOOK: Final = r"[0-9@]|://|www\.|\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b|, |\.[A-Za-z]{3,4}\b|data:image"

CONTENT: Final[dict[str, str]] = {
    "name": r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? (?:[A-Z]\.? )?[A-Z][a-z]{2,}",
    "geographic": (
        rf"\b{_STATE},? [0-9]{{5}}(?:-[0-9]{{4}})?\b|^[0-9]{{5}}-[0-9]{{4}}$"
        r"|\b[0-9]{1,5} (?:[NSEW]\.? )?(?:[A-Z][a-z]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd"
        r"|Lane|Ln|Drive|Court|Ct|Way|Place)\b"
    ),
    "date": (
        rf"\b{_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]{_DAY}\b|\b[0-3]?[0-9][/.-][0-3]?[0-9][/.-]{_YEAR}\b"
        r"|(?:^|[^0-9/])[0-3]?[0-9]/[0-3]?[0-9]/[0-9]{2}(?:$|[^0-9/])"
        rf"|\b{_DAY}(?:st|nd|rd|th)? {_MONTH},? {_YEAR}\b|\b{_MONTH} {_DAY}(?:st|nd|rd|th)?,? {_YEAR}\b"
    ),
    "telephone": (
        r"(?:^|[^0-9.-])(?:\+?1[-. ]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])[0-9]{3}[-. ][0-9]{4}"
        r"(?:$|[^0-9-])"
        r"|(?:^|\s)\+[1-9][0-9]{0,2}[ -]?(?:\(?[0-9]{1,4}\)?[ -]?){2,5}[0-9]{2,4}\b"
    ),
    "fax": r"(?i)\bfax\W{0,3}(?:no\W{0,2})?[0-9(+]",
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    "ssn": r"(?:^|[^0-9-])(?:[0-57-8][0-9]{2}|6[0-57-9][0-9]|66[0-57-9])-[0-9]{2}-[0-9]{4}(?:$|[^0-9-])",
    "medical-record": r"(?i)\b(?:mrn|medical record|patient (?:id|no|number))\W{0,4}[A-Z]{0,3}-?[0-9]{4,}",
    "health-plan": (
        r"(?i)\b(?:member|beneficiary|subscriber|policy)[ _]?(?:id|no|number|#)\W{0,4}[A-Z]{0,4}-?[0-9]{5,}"
        rf"|(?-i:\b[1-9]{_MBI}[AC-HJKMNP-RT-Y0-9][0-9]-?{_MBI}[AC-HJKMNP-RT-Y0-9][0-9]-?{_MBI}{{2}}[0-9]{{2}}\b)"
    ),
    "device": r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b|\(01\)[0-9]{14}",
    "url": r"(?i)\b(?:https?|ftp)://[^\s/]|\bwww\.[a-z0-9-]+\.[a-z]",
    "ip-address": (
        rf"(?:^|[^0-9.])(?:{_OCTET}\.){{3}}{_OCTET}(?:$|[^0-9.])"
        r"|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|\b(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}\b"
    ),
    "photograph": r"(?i)\bdata:image/|[A-Za-z0-9_-]\.(?:jpe?g|png|heic|dcm)\b",
    "other-unique": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
}
LISTED_NAME: Final = r"^[A-Z][A-Za-z'’-]+(?: [A-Z][a-z]+)?, [A-Z][a-z]+(?: [A-Z][a-z]*\.?)?$"

_VIN_VALUES: Final = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True))
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def words(column: str) -> str:
    """A column's name as lower-case words joined by underscores: ``firstName`` is ``first_name``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def by_name(column: str) -> str | None:
    """The identifier class that a column's name speaks of, if any."""
    name = words(column)
    if name in _WHOLE_NAMES:
        return _WHOLE_NAMES[name]
    return next((identifier for identifier, pattern in _NAMES if pattern.search(name)), None)


def luhn(text: str) -> bool:
    """Whether the digits of ``text`` pass the Luhn check (ISO/IEC 7812-1)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [(digit * 2 - 9 if digit > 4 else digit * 2) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """Whether ``text`` passes the check of an IBAN (ISO 13616: modulo 97)."""
    compact = text.replace(" ", "")
    number = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4])
    return int(number) % 97 == 1


def vin(text: str) -> bool:
    """Whether ``text`` passes the check digit of a vehicle identification number (49 CFR 565.15)."""
    total = sum(
        int(_VIN_VALUES.get(char, char)) * weight for char, weight in zip(text, _VIN_WEIGHTS, strict=True)
    )
    return text[8] == "0123456789X"[total % 11]


def dea(text: str) -> bool:
    """Whether ``text`` passes the check digit of a DEA registration number."""
    digits = [int(char) for char in text[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def card_or_iban(text: str) -> bool:
    """Whether ``text`` is a payment card's number or an IBAN by its check digits."""
    return iban(text) if text[0].isalpha() else luhn(text)


CHECKED: Final[dict[str, tuple[str, Callable[[str], bool]]]] = {
    "account": (
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
        r"|\b[3-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b",
        card_or_iban,
    ),
    "vehicle": (r"\b[A-HJ-NPR-Z0-9]{17}\b", vin),
    "licence": (r"\b[ABFGMPR][A-Z9][0-9]{7}\b", dea),
}


def luhn_numbers(numbers: polars.Series) -> int:
    """How many whole numbers have the 14 to 19 digits of a payment card and pass the Luhn check."""
    long = numbers.filter(numbers >= 30_000_000_000_000)
    if len(long) == 0:
        return 0
    total = (long * 0).rename("total")
    rest = long
    for position in range(19):
        digit = rest % 10
        if position % 2:
            digit = digit * 2
            digit = digit // 10 + digit % 10
        total, rest = total + digit, rest // 10
    return int((total % 10 == 0).sum())
