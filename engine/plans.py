"""From the text of a document to a plan: parsed, measured against the limits and validated once, then kept.

Two caches. What was accepted is kept by its text, bounded by entries and by bytes. What was refused is kept in a small
cache of its own, so that a client that repeats a broken document can neither cost a validation each time nor push out a good one.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    validate,
)
from graphql.validation import recommended_rules, specified_rules

from engine.limits import LimitRefused, Limits, Measure, check
from engine.mentions import mentioned
from engine.requests import OperationRequest
from engine.selections import FieldName, selected_fields, variables_only_in

V = TypeVar("V")
_RULES = (*specified_rules, *recommended_rules)
_FEDERATION = frozenset({"_service", "_entities"})


class PlanRefused(Exception):
    """The document is not executed. `errors` have their `extensions.code`."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One operation of an accepted document, ready to be executed against `schema`."""

    text: str
    """The document as the client sent it."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    name: str | None
    """The name to select it by; None where the request named none."""
    cost: int
    """Fields that may have to be resolved, sizes given by variables taken for `Limits.page_size`."""
    sizes_unknown: bool
    """Whether a variable decides about the cost, so that large values have to be looked at for each request."""
    mentions: frozenset[str] = frozenset()
    """Which of the fields that `Plans` watches for stand in the operation, at any depth."""
    _only_in: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.operation

    @cached_property
    def fields(self) -> frozenset[FieldName]:
        """Every field that it may resolve."""
        return selected_fields(self.schema, self.document, self.operation)

    def variables_only_in(self, argument: str) -> frozenset[str]:
        """The variables that do nothing but give the argument of that name at the root."""
        if argument not in self._only_in:
            self._only_in[argument] = variables_only_in(self.document, self.operation, argument)
        return self._only_in[argument]


@dataclass(slots=True)
class _Accepted:
    """A document and the plans of its operations, by the name that requests gave."""

    text: str
    document: DocumentNode
    measure: Measure
    schema: GraphQLSchema
    plans: dict[str | None, Plan] = field(default_factory=dict)


class _Cache(Generic[V]):
    """The most recently used values by text. `weight` bytes are counted for each; what is too heavy is not kept at all."""

    def __init__(self, *, entries: int, weight_bytes: int) -> None:
        self._entries = entries
        self._weight_bytes = weight_bytes
        self._values: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, text: str) -> V | None:
        found = self._values.get(text)
        if found is None:
            return None
        self._values.move_to_end(text)
        return found[0]

    def put(self, text: str, value: V, weight: int) -> None:
        if weight > self._weight_bytes:
            return
        self._values[text] = (value, weight)
        self.weight += weight
        while len(self._values) > self._entries or self.weight > self._weight_bytes:
            _, (_, freed) = self._values.popitem(last=False)
            self.weight -= freed


class Plans:
    """All plans of one engine."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        federation: GraphQLSchema | None = None,
        suggestions: bool = False,
        watched: frozenset[str] = frozenset(),
        entries: int = 1000,
        weight_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """`suggestions`: whether errors may say "Did you mean …", which tells the schema to whoever guesses at it.

        `watched`: the names of fields of which each plan says whether its operation mentions them.
        """
        self._schema = schema
        self._federation = federation
        self._limits = limits
        self._suggestions = suggestions
        self._watched = watched
        self.accepted: _Cache[_Accepted] = _Cache(entries=entries, weight_bytes=weight_bytes)
        self.refused: _Cache[list[GraphQLError]] = _Cache(entries=200, weight_bytes=1024 * 1024)

    def get(self, request: OperationRequest) -> Plan:
        """The plan of the request's operation. Raises `PlanRefused`."""
        accepted = self.accepted.get(request.query) or self._accept(request.query)
        plan = accepted.plans.get(request.operation_name)
        if plan is None:
            plan = _plan(accepted, request.operation_name, self._watched)
            accepted.plans[request.operation_name] = plan
        if plan.sizes_unknown:
            self._check_sizes(accepted, plan, request)
        return plan

    def _accept(self, text: str) -> _Accepted:
        errors = self.refused.get(text)
        if errors is None:
            try:
                accepted = self._read(text)
            except PlanRefused as refused:
                errors = [_without_nodes(error) for error in refused.errors]
                self.refused.put(text, errors, 2 * len(text) + sum(400 + len(error.message) for error in errors))
            else:
                self.accepted.put(text, accepted, _weight(accepted.document, text))
                return accepted
        raise PlanRefused(errors)

    def _read(self, text: str) -> _Accepted:
        document = self._parse(text)
        schema = self._federation if self._federation and _asks_for_federation(document) else self._schema
        # Sizes by variables are checked against their values in `get`, which knows them.
        measure = Measure(document, self._limits)
        for operation in _operations(document):
            figures = measure.operation(operation)
            if figures.sizes_unknown:
                figures.cost = 0
            try:
                check(operation, figures, self._limits)
            except LimitRefused as error:
                raise PlanRefused([error]) from None
        errors = validate(schema, document, _RULES, hide_suggestions=not self._suggestions)
        if errors:
            raise PlanRefused([with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in errors])
        return _Accepted(text, document, measure, schema)

    def _parse(self, text: str) -> DocumentNode:
        limits = self._limits
        try:
            # Selection sets without selections are not GraphQL, though graphql-core reads them unless told otherwise.
            return parse(
                text,
                max_lexical_tokens=limits.tokens,
                max_comments=limits.comments,
                allow_empty_selection_sets=False,
            )
        except GraphQLSyntaxError as error:
            if error.description.startswith(f"Document contains more than {limits.tokens} tokens"):
                raise PlanRefused(
                    [LimitRefused("tokens", limits.tokens, limits.tokens + 1, "it has tokens:")]
                ) from None
            if error.description.startswith(f"Document contains more than {limits.comments} comments"):
                refused = LimitRefused("comments", limits.comments, limits.comments + 1, "it has comments:")
                raise PlanRefused([refused]) from None
            raise PlanRefused([with_code(error, "GRAPHQL_PARSE_FAILED")]) from None

    def _check_sizes(self, accepted: _Accepted, plan: Plan, request: OperationRequest) -> None:
        """Raise `PlanRefused` when the sizes that the variables give make the operation too large."""
        page_size = self._limits.page_size
        variables = request.variables or {}
        is_large = any(
            (isinstance(value, int) and value > page_size) or (isinstance(value, list) and len(value) > page_size)
            for value in variables.values()
        )
        if plan.cost <= self._limits.cost and not is_large:
            return
        try:
            check(
                plan.operation, Measure(plan.document, self._limits, variables).operation(plan.operation), self._limits
            )
        except LimitRefused as error:
            raise PlanRefused([error]) from None


def with_code(error: GraphQLError, code: str) -> GraphQLError:
    """The error with `extensions.code`, unless whoever raised it has put one there."""
    error.extensions = {"code": code, **(error.extensions or {})}
    return error


def _plan(accepted: _Accepted, name: str | None, watched: frozenset[str]) -> Plan:
    operations = list(_operations(accepted.document))
    named = operations if name is None else [o for o in operations if o.name and o.name.value == name]
    if len(named) != 1:
        raise PlanRefused([with_code(GraphQLError(_selection_problem(operations, name)), "GRAPHQL_VALIDATION_FAILED")])
    figures = accepted.measure.operation(named[0])
    return Plan(
        text=accepted.text,
        schema=accepted.schema,
        document=accepted.document,
        operation=named[0],
        name=name,
        cost=figures.cost,
        sizes_unknown=figures.sizes_unknown,
        mentions=mentioned(accepted.document, named[0], watched),
    )


def _selection_problem(operations: list[OperationDefinitionNode], name: str | None) -> str:
    if not operations:
        return "Selecting the operation: the document holds none. Add a query, mutation or subscription."
    if name is None:
        return "Selecting the operation: the document holds several. Name one in `operationName`."
    return f"Selecting the operation: the document holds none named {name[:100]!r}. Send the name of one of its operations in `operationName`."


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [definition for definition in document.definitions if isinstance(definition, OperationDefinitionNode)]


def _asks_for_federation(document: DocumentNode) -> bool:
    """Whether a root selection, directly or by fragments, has `_service` or `_entities`; a router sends those, clients do not."""
    fragments = {d.name.value: d.selection_set for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    waiting: list[SelectionSetNode] = [operation.selection_set for operation in _operations(document)]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                if selection.name.value in _FEDERATION:
                    return True
                continue
            # A fragment is taken out as it is followed: each once, and a cycle ends.
            nested: Any = getattr(selection, "selection_set", None) or fragments.pop(selection.name.value, None)  # type: ignore[attr-defined]
            if nested is not None:
                waiting.append(nested)
    return False


def _without_nodes(error: GraphQLError) -> GraphQLError:
    """The error without what keeps the whole document alive; message, locations and extensions stay."""
    error.nodes = None
    error.source = None
    error.positions = None
    return error.with_traceback(None)


def _weight(document: DocumentNode, text: str) -> int:
    """About how many bytes a document occupies: a token with its nodes and locations was measured at 400."""
    token = document.loc.end_token if document.loc else None
    tokens = 0
    while token is not None:
        tokens += 1
        token = token.prev
    return 2 * len(text) + 400 * tokens
