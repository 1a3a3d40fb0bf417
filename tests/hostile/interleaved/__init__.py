"""Two organizations at once, and one person's own sources: what the test of interleaved operations is made of."""
