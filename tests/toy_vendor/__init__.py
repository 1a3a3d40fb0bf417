"""A seventh vendor that does not exist, added as the README says: one file, recorded answers, a simulator. `tests.test_toy_vendor` adds its line to the registry."""
