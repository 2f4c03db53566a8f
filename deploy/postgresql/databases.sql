-- One role with a database for each of the two that keep something here. Run once, when there is no database yet.
-- Passwords are the last field of the files that their owners show (libpq's password file).
\set ON_ERROR_STOP on
\set airflow `cut -d : -f 5 /run/secrets/airflow_pgpass`
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE DATABASE airflow OWNER airflow;
\set mlflow `cut -d : -f 5 /run/secrets/mlflow_pgpass`
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE DATABASE mlflow OWNER mlflow;
