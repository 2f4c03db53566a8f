"""Ledgers: the port that every ledger implements, and the adapters behind it."""
