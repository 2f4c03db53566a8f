"""The audited chain, made once a module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.bench import Bench, Chain, requests
from support.home import make_home

from tallystick import wiring
from tallystick.steps.anchor import Anchored, anchor
from tallystick.steps.ingest import Ingested
from tallystick.steps.track import Tracked, track
from tallystick.steps.train import Trained, train


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("chain")
    settings = make_home(folder)
    with wiring.open_workspace(settings) as w:
        yield Bench(w, settings, folder)


@pytest.fixture(scope="module")
def chain(bench: Bench) -> Chain:
    """The whole chain on one dataset, every result sent through JSON as Airflow sends it."""
    ingested, screened, validated = bench.checked("visits")
    ingested = Ingested.from_value(ingested.value())
    trained = Trained.from_value(train(bench.w, requests("train"), ingested, screened, validated).value())
    tracked = Tracked.from_value(track(bench.w, requests("track"), ingested, trained).value())
    whole = Chain(ingested, screened, validated, trained, tracked, Anchored(0, 0, ""))
    return replace(whole, anchored=anchor(bench.w, requests("anchor"), whole.records))
