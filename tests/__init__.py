"""The tests mirror the packages: `storage/messages.py` is tested in `tests/storage/test_messages.py`."""
