"""Fields below a list are resolved for all parents at once: keys asked for in one turn of the loop go to one call.

`await batches.load(load_folders, ref)` collects; `load_folders(context, [ref, …])` answers for all, in the order of the keys.
A value that is an exception is raised for its key alone, so one parent's failure costs one field.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

C = TypeVar("C")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BatchFunction = Callable[[C, Sequence[K]], Awaitable[Sequence[V | BaseException]]]


class Batches(Generic[C]):
    """The batches of one operation. Values are kept until its end, or until `forget` after a mutation."""

    def __init__(self, context: C) -> None:
        self._context = context
        self._values: dict[Any, dict[Any, asyncio.Future[Any]]] = {}
        self._waiting: dict[Any, list[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, function: BatchFunction[C, K, V], key: K) -> asyncio.Future[V]:
        """The value of `function` for `key`; the same key is asked for once."""
        values = self._values.setdefault(function, {})
        future = values.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            values[key] = future
            waiting = self._waiting.setdefault(function, [])
            waiting.append(key)
            if len(waiting) == 1:
                # One turn later all sibling fields have asked. `call_soon` twice lets their resolvers start first.
                loop = asyncio.get_running_loop()
                loop.call_soon(loop.call_soon, self._start, function)
        return future

    def know(self, function: BatchFunction[C, K, V], key: K, value: V) -> None:
        """Hand in a value that is at hand already."""
        future = asyncio.get_running_loop().create_future()
        future.set_result(value)
        self._values.setdefault(function, {})[key] = future

    def forget(self) -> None:
        """Forget all values: what was read before a mutation is not true after it."""
        self._values.clear()

    def _start(self, function: BatchFunction[C, K, V]) -> None:
        keys = self._waiting.pop(function)
        futures = [self._values[function][key] for key in keys] if function in self._values else []
        task = asyncio.get_running_loop().create_task(self._run(function, keys, futures))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self, function: BatchFunction[C, K, V], keys: Sequence[K], futures: Sequence[asyncio.Future[V]]
    ) -> None:
        try:
            values = await function(self._context, keys)
        except BaseException as error:
            values = [error] * len(keys)
            if isinstance(error, asyncio.CancelledError):
                for future in futures:
                    future.cancel()
                raise
        for future, value in zip(futures, values, strict=True):
            if future.done():
                continue
            if isinstance(value, BaseException):
                future.set_exception(value)
                future.exception()  # mark as seen: the reader may have gone
            else:
                future.set_result(value)
