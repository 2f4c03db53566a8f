"""Airflow DAGs own_data: any file and policy, named by the run's configuration (`tally run`)."""

from airflow.sdk import Param
from audited_dags import audited_dags

audited_dags(
    "own_data",
    policy="{{ params.policy }}",
    source="{{ params.data }}",
    parents="{{ params.parents }}",
    transformation="{{ params.transformation }}",
    params={
        "data": Param(type="string", title="CSV or Parquet file"),
        "policy": Param(type="string", title="Policy"),
        "parents": Param("", type="string", title="Ids of the datasets it was made of"),
        "transformation": Param("", type="string", title="File that made it of them"),
    },
)
