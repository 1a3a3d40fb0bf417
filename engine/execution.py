"""Runs one operation: query and mutation to a response, subscription to a stream of deliveries.

The place of a compiled plan is `Engine._execute`: what `Plan` cannot run by itself goes to graphql-core there, operation by operation.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from graphql.execution import (
    Executor,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)

from engine.encoding import encode
from engine.limits import Limits
from engine.plans import Plan, PlanRefused, Plans, with_code
from engine.requests import Delivery, OperationRequest, Response
from engine.selections import FieldName

ErrorFormatter = Callable[[GraphQLError, Any], Mapping[str, Any]]
"""(error, context) → the error as the client sees it: masked, with `extensions.code`. What failed below is `error.original_error`."""

Prepare = Callable[[Plan, Any], None]
"""(plan, context), before a query or mutation is executed: what the context is to know of the operation. A subscription's are left as they are."""

log = logging.getLogger("switchboard.engine")


class Execution:
    """A subscription with its variables, executed for one event after the other, in whatever context.

    `key`: executions of equal keys give equal responses for one event and one audience. `is_viewers_own`: they depend on who asks.
    """

    __slots__ = ("_engine", "_executor", "is_viewers_own", "key")

    def __init__(self, engine: "Engine", executor: Executor[Any], key: Hashable, *, is_viewers_own: bool) -> None:
        self._engine = engine
        self._executor = executor
        self._executor.context_value = None  # each event brings its own, and nobody's must be left for the others
        self.key = key
        self.is_viewers_own = is_viewers_own

    async def response(self, event: Any, context: Any) -> Response:
        """The response for one event. What goes wrong is in it."""
        try:
            one = self._executor.build_per_event_executor(event)
            one.context_value = context
            result = execute_subscription_event(one)
            return self._engine._respond(await result if isawaitable(result) else result, context)
        except Exception as error:
            return self._engine._failure(error, context)

    def broken(self, error: Exception, context: Any) -> Response:
        """The last response of a source stream that broke: errors and no `data`."""
        return self._engine._stream_failure(error, context)


@dataclass(slots=True)
class Subscription:
    """A running subscription. Iterate over it in one task; cancel that task before `aclose()`.

    Whoever shares its source with others takes `source` and `execution` instead, and executes its events.
    """

    source: Any
    execution: Execution
    _deliveries: AsyncGenerator[Delivery, None]

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self._deliveries

    async def aclose(self) -> None:
        """End the subscription and what feeds it. May be called more than once."""
        await self._deliveries.aclose()
        # A generator that never ran closes nothing, so a subscription that nobody iterated closes its source here.
        if hasattr(self.source, "aclose"):
            await self.source.aclose()


class Engine:
    """One schema, its limits, and the plans of the operations that were asked of it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        format_error: ErrorFormatter,
        limits: Limits | None = None,
        federation: GraphQLSchema | None = None,
        suggestions: bool = False,
        watched: frozenset[str] = frozenset(),
        prepare: Prepare | None = None,
        viewers_own: frozenset[FieldName] = frozenset(),
        position_argument: str | None = None,
    ) -> None:
        """`federation` answers documents that ask for `_service` or `_entities`, which the clients' schema does not show.

        `watched`: names of fields of which `Plan.mentions` tells. `viewers_own` are the fields that depend on who asks; `position_argument`
        is the argument of subscriptions that says from where on to tell, and nothing of what is told.
        """
        self.limits = limits or Limits()
        self.plans = Plans(schema, self.limits, federation=federation, suggestions=suggestions, watched=watched)
        self._format_error = format_error
        self._prepare = prepare
        self._hide_suggestions = not suggestions
        self._viewers_own = viewers_own
        self._position_argument = position_argument

    def plan(self, request: OperationRequest) -> Plan:
        """The plan of the operation, so that a protocol can look at its kind first. Raises `PlanRefused`."""
        return self.plans.get(request)

    def refusal(self, errors: Sequence[GraphQLError], context: Any) -> Response:
        """The response of an operation that is not executed: errors and no `data`."""
        return Response({"errors": [dict(self._format_error(error, context)) for error in errors]})

    async def execute(self, request: OperationRequest, context: Any, plan: Plan | None = None) -> Response:
        """Run a query or mutation. Never raises but for cancellation: what goes wrong is in the response."""
        try:
            plan = plan or self.plan(request)
        except PlanRefused as refused:
            return self.refusal(refused.errors, context)
        if plan.kind is OperationType.SUBSCRIPTION:
            message = "Executing the operation: a subscription has no single response. Ask for a stream of server-sent events, or use graphql-transport-ws."
            return self.refusal([with_code(GraphQLError(message), "GRAPHQL_VALIDATION_FAILED")], context)
        if self._prepare is not None:
            self._prepare(plan, context)
        try:
            return self._respond(await self._execute(plan, request, context), context)
        except Exception as error:
            return self._failure(error, context)

    async def subscribe(
        self,
        request: OperationRequest,
        context: Any,
        plan: Plan | None = None,
        *,
        event_context: Callable[[], Any] | None = None,
    ) -> Subscription | Response:
        """Start a subscription; a `Response` says why it did not start.

        `event_context` makes a fresh context for each event, so that nothing which one event loaded is shown by the next.
        """
        try:
            plan = plan or self.plan(request)
        except PlanRefused as refused:
            return self.refusal(refused.errors, context)
        try:
            executor = self._executor(plan, request, context)
            if isinstance(executor, ExecutionResult):
                return self._respond(executor, context)
            stream = create_source_event_stream(executor)
            if isawaitable(stream):
                stream = await stream
        except Exception as error:
            return self._failure(error, context)
        if isinstance(stream, ExecutionResult):
            return self._respond(_RequestError(None, stream.errors), context)
        execution = Execution(
            self, executor, self._key(plan, request), is_viewers_own=not self._viewers_own.isdisjoint(plan.fields)
        )
        return Subscription(stream, execution, self._deliver(execution, stream, context, event_context))

    async def _deliver(
        self, execution: Execution, stream: Any, context: Any, event_context: Callable[[], Any] | None
    ) -> AsyncGenerator[Delivery, None]:
        """One delivery per event; an error of the source stream is the last one, never silence."""
        try:
            events = aiter(stream)
            async with aclosing(events) if hasattr(events, "aclose") else _NoClosing():
                async for event in events:
                    each = event_context() if event_context else context
                    yield Delivery(await execution.response(event, each), event)
        except Exception as error:
            yield Delivery(execution.broken(error, context), ends=True)

    def _key(self, plan: Plan, request: OperationRequest) -> Hashable:
        """What two subscriptions have in common that differ at most in where they begin."""
        apart = plan.variables_only_in(self._position_argument) if self._position_argument else frozenset()
        variables = {name: value for name, value in (request.variables or {}).items() if name not in apart}
        return (plan.text, plan.name, encode(sorted(variables.items())))

    async def _execute(self, plan: Plan, request: OperationRequest, context: Any) -> ExecutionResult:
        executor = self._executor(plan, request, context)
        if isinstance(executor, ExecutionResult):
            return executor
        result = execute_root_selection_set(executor)
        return await result if isawaitable(result) else result

    def _executor(self, plan: Plan, request: OperationRequest, context: Any) -> Executor[Any] | ExecutionResult:
        """What runs the operation, or why its variables do not fit."""
        executor = Executor.build(
            plan.schema,
            plan.document,
            context_value=context,
            raw_variable_values=dict(request.variables or {}),
            operation_name=plan.name,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(executor, Executor):
            return executor
        errors = [with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in executor]
        return _RequestError(None, errors)

    def _respond(self, result: ExecutionResult, context: Any) -> Response:
        errors = [dict(self._format_error(error, context)) for error in result.errors or ()]
        body: dict[str, Any] = {"errors": errors} if errors else {}
        if not isinstance(result, _RequestError):
            body["data"] = result.data
        if result.extensions:
            body["extensions"] = result.extensions
        response = Response(body)
        # Serialised here, where a value that JSON cannot hold still becomes an error of the operation.
        _ = response.json
        return response

    def _failure(self, error: Exception, context: Any) -> Response:
        """Something of our own broke around the resolvers. `data` is null: parts may have been executed."""
        log.exception("an operation failed outside its resolvers", exc_info=error)
        located = GraphQLError("The operation failed.", original_error=error)
        return Response({"errors": [dict(self._format_error(located, context))], "data": None})

    def _stream_failure(self, error: Exception, context: Any) -> Response:
        located = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
        return Response({"errors": [dict(self._format_error(located, context))]})


class _RequestError(ExecutionResult):
    """Nothing was executed, so the response has no `data`."""


class _NoClosing:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...
