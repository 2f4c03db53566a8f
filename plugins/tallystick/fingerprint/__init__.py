"""Fingerprints of data: of files, of folders, and of tables under their keys."""
