"""The dashboard in a real browser: it fits 1280 pixels, obeys no record and asks nobody outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support.records import make_recorded_home

from tallystick import wiring
from tallystick.proof.checkpoint import parse_checkpoint
from tallystick.proof.note import parse_note
from tallystick.reports.verification import keep_verification
from tallystick.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
MARKUP = "![x](http://198.51.100.7/a.png) <img src=x onerror=\"document.title='pwned'\"> **bold**"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium at /usr/bin/chromium")


def keep(settings: Settings, report: dict[str, Any]) -> None:
    """Note ``report`` as of the ledger as it stands."""
    with closing(wiring.open_ledger(settings)) as ledger:
        head, block = parse_checkpoint(parse_note(ledger.checkpoint()).text), ledger.height - 1
    keep_verification(settings.home, report, block, head)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = make_recorded_home(tmp_path_factory.mktemp("dashboard"), source=MARKUP)
    subject = {"kind": "dataset", "id": "dataset/people/1", "status": "verified", "detail": ""}
    keep(settings, {"verified": True, "witnessed": False, "subjects": [subject]})
    return settings


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "TALLYSTICK_HOME": str(settings.home),
        "TALLYSTICK_STATE": str(settings.state_dir),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = "import sys; from tallystick.cli import main; sys.exit(main())"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "dashboard", "--port", str(port)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    yield page
    page.close()


def test_the_first_page_answers_without_scrolling(page: Page, url: str, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.get_by_text("Is the record intact?").wait_for(timeout=30_000)
    page.locator("[aria-label=Lineage]").wait_for(timeout=30_000)
    page.screenshot(path=tmp_path / "first-page.png")
    for question in ("Is the record intact?", "Is anything wrong now?", "What ran", "Recent records"):
        box = page.get_by_text(question).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 860
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.get_by_text("NOT witnessed").count() == 1
    assert [
        each for each in asked if not each.startswith((url, url.replace("http", "ws"), "data:", "blob:"))
    ] == []


def test_what_a_record_says_is_shown_and_not_obeyed(page: Page, url: str, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/?record=dataset%2Fpeople%2F1")
    page.get_by_text("What it says").wait_for(timeout=30_000)
    page.get_by_text("198.51.100.7").first.wait_for(timeout=30_000)
    page.screenshot(path=tmp_path / "record.png")
    assert page.title() == "Tallystick"
    assert not any("198.51.100.7" in each for each in asked)


def test_a_tampered_record_turns_the_first_answer_red(
    page: Page, url: str, settings: Settings, tmp_path: Path
) -> None:
    changed = {"kind": "run", "id": "1f0e" * 8, "status": "CHANGED", "detail": "metric mae"}
    keep(settings, {"verified": False, "witnessed": False, "subjects": [changed]})
    page.goto(url)
    answer = page.locator(".card.bad").first
    answer.wait_for(timeout=30_000)
    page.screenshot(path=tmp_path / "tampered.png")
    assert "1f0e1f0e1f0e" in answer.inner_text()
    assert "CHANGED" in answer.inner_text()


def _wait_for(address: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("the dashboard did not start")
