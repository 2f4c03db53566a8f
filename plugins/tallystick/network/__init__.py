"""A Fabric network of three organisations on this machine, without Docker: made, started, stopped."""
