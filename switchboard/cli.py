"""The command line: `switchboard --help`."""


def main() -> None:
    """Run the command line."""
