"""Airflow DAGs finance_signal: daily S&P 500 and NASDAQ, 1999 to 2018, walking forward."""

from audited_dags import audited_dags

from tallystick.steps.demo_data import write_sp500_nasdaq

audited_dags("finance_signal", policy="sp500_nasdaq.yaml", source=write_sp500_nasdaq)
