"""The plain functions that a pipeline is made of; who calls them, and when, is decided in dags/."""
