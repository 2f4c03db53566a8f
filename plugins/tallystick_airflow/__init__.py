"""What Airflow sees of Tallystick; Airflow finds it through entry points."""
