"""Provenance: where data came from, what was checked, what was trained on it, and what it became."""
