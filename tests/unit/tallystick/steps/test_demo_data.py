"""The demonstrations' data: what it is, and that no feature looks ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tallystick.policy import load_policy
from tallystick.steps.demo_data import TARGET, WARM_UP, market_features, write_rand_hie

POLICIES = Path(__file__).parents[4] / "policies" / "datasets"


def bars(seed: int, days: int = 120) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(draw.normal(0, 0.01, days).cumsum())
    index = pd.bdate_range("2020-01-01", periods=days, name="Date")
    columns = {
        "High": close * 1.01,
        "Low": close * 0.99,
        "Close": close,
        "Volume": draw.integers(10, 99, days),
    }
    return pd.DataFrame(columns | {"Volume": draw.integers(10, 99, days)}, index=index)


def test_no_feature_looks_ahead() -> None:
    one, two = bars(1), bars(2)
    whole = market_features(one, two)
    changed_one, changed_two = one.copy(), two.copy()
    changed_one.iloc[90:] *= 3
    changed_two.iloc[90:] *= 5
    changed = market_features(changed_one, changed_two)
    known = 90 - WARM_UP
    features = [name for name in whole.columns if name != TARGET]
    pd.testing.assert_frame_equal(whole[features][:known], changed[features][:known])
    assert not whole[features][known:].equals(changed[features][known:])


def test_the_target_is_the_next_days_direction() -> None:
    one = bars(3)
    made = market_features(one, bars(4))
    assert len(made) == len(one) - WARM_UP - 1
    close = one["Close"].to_numpy()
    assert made[TARGET].tolist() == (close[WARM_UP + 1 :] > close[WARM_UP:-1]).astype(int).tolist()
    assert made["date"].iloc[0] == one.index[WARM_UP].strftime("%Y-%m-%d")


def test_rand_hie_holds_the_duplicates_that_its_split_must_mind(tmp_path: Path) -> None:
    assert int(pd.read_csv(write_rand_hie(tmp_path)).duplicated().sum()) == 11_065
    assert load_policy(POLICIES / "rand_hie.yaml").split.equal_covariates_together
