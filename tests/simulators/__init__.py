"""The simulators are measured too: a kind simulator proves nothing."""
