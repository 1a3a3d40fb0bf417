"""The history of the tables, run by `storage.migrate`. A migration is never edited after a release."""
