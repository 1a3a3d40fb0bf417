"""Where the clients' SDL is kept."""

from pathlib import Path

SDL_FILE = Path(__file__).with_name("schema.graphql")
