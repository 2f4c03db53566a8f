"""Airflow DAGs finance_signal: daily S&P 500 and NASDAQ, 1999 to 2018, walking forward.

Four models, each judged on the years after those it learned from. The last is registered as it was judged,
not refitted: metrics without a suffix are its own (2016 to 2018), `.../all_folds` are of all four models
together and judge the way of training. docs/airflow.md, "finance_signal".
"""

from audited_dags import audited_dags

from tallystick.steps.demo_data import write_sp500_nasdaq

audited_dags("finance_signal", policy="sp500_nasdaq.yaml", source=write_sp500_nasdaq)
