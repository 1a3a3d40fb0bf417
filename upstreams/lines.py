"""The lines of a streamed answer, wherever its chunks end."""

from collections.abc import AsyncGenerator, AsyncIterator


async def lines_of(chunks: AsyncIterator[bytes], *, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """Each line without its end. One that is longer than `most_bytes` arrives as an empty one, so that it can be counted."""
    pending, too_long = bytearray(), False
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            yield b"" if too_long or len(pending) + len(piece) > most_bytes else bytes(pending + piece)
            pending.clear()
            too_long = False
        pending += rest
        if len(pending) > most_bytes:
            pending.clear()
            too_long = True
    if pending or too_long:
        yield bytes(pending)
