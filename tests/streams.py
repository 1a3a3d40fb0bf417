"""Leaving a stream before it has ended."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TypeVar

T = TypeVar("T")


def leaving(stream: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncGenerator[T, None]]:
    """The stream, left with the block. An iterator is what is promised; what comes is a generator, which can be closed."""
    assert isinstance(stream, AsyncGenerator)
    return aclosing(stream)
