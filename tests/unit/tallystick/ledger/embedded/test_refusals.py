"""Every refusal of the host says what to do about it, on the screen and on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import ledgers
from support.ledgers import make_host

import tallystick
from tallystick.errors import Refused
from tallystick.ledger.embedded.refusals import HINTS
from tallystick.proof.block import VERDICTS

_HOST = Path(tallystick.__file__).parent
_PAGE = Path(__file__).parents[5] / "docs" / "cli.md"
_CODE = re.compile(r'(?:Refusal|NotInForce)\(\s*"([A-Z_]+)"|code="([A-Z_]+)"')


def raised():
    """The codes that the host's own rooms raise."""
    files = [*(_HOST / "ledger").rglob("*.py"), *(_HOST / "execution").rglob("*.py")]
    texts = [path.read_text("utf-8") for path in [*files, _HOST / "proof" / "membership.py"]]
    return {code for text in texts for pair in _CODE.findall(text) for code in pair if code}


def test_every_code_of_the_host_has_a_hint_and_no_other():
    assert HINTS.keys() == raised() | (set(VERDICTS) - {"VALID"}) | {"NOT_A_MEMBER"}


def test_every_code_stands_on_the_page():
    page = _PAGE.read_text("utf-8")
    assert [code for code in HINTS if f"| `{code}` |" not in page] == []


@pytest.mark.parametrize(("minutes", "refused"), [(4, False), (6, True)])
def test_a_refusal_says_what_to_do(tmp_path, minutes, refused):
    host = make_host(tmp_path)
    claimed = host.clock() - minutes * 60_000
    if not refused:
        assert host.submit("register_dataset", ledgers.dataset(), time_ms=claimed)["id"]
        return
    with pytest.raises(Refused, match="CLOCK_SKEW") as caught:
        host.submit("register_dataset", ledgers.dataset(), time_ms=claimed)
    assert caught.value.hint == HINTS["CLOCK_SKEW"]
