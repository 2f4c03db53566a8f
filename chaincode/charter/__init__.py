"""The charter: the first record. It names the parties, so that no contract has to."""
