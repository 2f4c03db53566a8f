"""Airflow DAGs own_data: any file and policy, named by the run's configuration (`tally run`)."""

from airflow.sdk import Param
from audited_dags import audited_dags

audited_dags(
    "own_data",
    policy="{{ params.policy }}",
    source="{{ params.data }}",
    params={"data": Param(type="string", title="CSV file"), "policy": Param(type="string", title="Policy")},
)
