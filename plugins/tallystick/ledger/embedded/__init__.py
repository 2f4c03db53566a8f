"""The embedded ledger: one SQLite file that behaves as strictly as Fabric. docs/formats/block.md.

What it can prove and what it cannot: docs/adr/0005-what-the-embedded-ledger-proves.md.
"""
