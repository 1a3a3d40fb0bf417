"""The simulator of Splox: its documented quirks, one rule per test, and the vendor's own SDK against it."""
