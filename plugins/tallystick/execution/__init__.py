"""Running contract code on a snapshot: what the embedded ledger does once and a verifier does again."""
