"""Writes the two demonstrations' data: files made from what ships inside statsmodels' and arch's wheels.

The market features look back only: a row's features need nothing after that day's close, and its target
is whether the next trading day's close is higher.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas

WARM_UP: Final = 50
TARGET: Final = "sp500_up_next"


def write_rand_hie(folder: Path) -> Path:
    """Write ``folder/rand_hie.csv``: 20,190 rows of the RAND Health Insurance Experiment."""
    from statsmodels.datasets import randhie

    return _write(randhie.load_pandas().data, folder / "rand_hie.csv")


def write_sp500_nasdaq(folder: Path) -> Path:
    """Write ``folder/sp500_nasdaq.csv``: one row a trading day, made by `market_features`."""
    from arch.data import nasdaq, sp500

    return _write(market_features(sp500.load(), nasdaq.load()), folder / "sp500_nasdaq.csv")


def market_features(sp500: pandas.DataFrame, nasdaq: pandas.DataFrame) -> pandas.DataFrame:
    """Look-back features of both indices and the S&P 500's next-day direction (1: a higher close).

    Takes daily bars (High, Low, Close, Volume by date). The first `WARM_UP` days, which the longest
    look-back needs, and the last day, whose target is unknown, are left out. Returns are fractions.
    """
    import pandas

    days = sp500.index.intersection(nasdaq.index).sort_values()
    columns: dict[str, pandas.Series] = {}
    for name, bars in (("sp500", sp500.loc[days]), ("nasdaq", nasdaq.loc[days])):
        close, volume = bars["Close"], bars["Volume"].astype(float)
        daily = close.pct_change()
        columns |= {
            f"{name}_return_1d": daily,
            f"{name}_return_5d": close.pct_change(5),
            f"{name}_return_20d": close.pct_change(20),
            f"{name}_volatility_20d": daily.rolling(20).std(),
            f"{name}_trend_50d": close / close.rolling(50).mean() - 1,
            f"{name}_range_1d": (bars["High"] - bars["Low"]) / close,
            f"{name}_volume_ratio_20d": volume / volume.rolling(20).mean(),
        }
    close = sp500.loc[days, "Close"]
    columns[TARGET] = (close.shift(-1) > close).astype(int)
    features = pandas.DataFrame(columns, index=days).iloc[WARM_UP:-1].round(10)
    features.insert(0, "date", pandas.DatetimeIndex(features.index).strftime("%Y-%m-%d"))
    return features.reset_index(drop=True)


def _write(frame: pandas.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    frame.to_csv(part, index=False, lineterminator="\n")
    part.replace(path)
    return path
