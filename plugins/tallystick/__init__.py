"""The workshop: everything around the contracts, from fingerprints to the command line."""
