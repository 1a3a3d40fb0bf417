"""`switchboard schema`."""

from typing import Annotated

import typer


def schema(
    subgraph: Annotated[
        bool, typer.Option("--subgraph", help="With the directives of Federation, for composing a supergraph.")
    ] = False,
) -> None:
    """Print the GraphQL schema, as clients see it, in SDL."""
    from schema.root import (
        client_sdl,
        subgraph_sdl,
    )  # building it takes most of a second, which other commands need not wait

    typer.echo((subgraph_sdl() if subgraph else client_sdl()).rstrip("\n"))
