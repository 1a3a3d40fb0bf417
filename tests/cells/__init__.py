"""What every cell of the capability table promises, checked through GraphQL and behind the gateway's back. `tests.test_capabilities` runs it."""
