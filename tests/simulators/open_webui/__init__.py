"""What the comparison with a real server (`tests/open_webui`) does not reach: the seed, switches, clocks, sessions."""
