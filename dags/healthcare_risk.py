"""Airflow DAGs healthcare_risk: the RAND Health Insurance Experiment's 20,190 rows."""

from audited_dags import audited_dags

from tallystick.steps.demo_data import write_rand_hie

audited_dags("healthcare_risk", policy="rand_hie.yaml", source=write_rand_hie)
