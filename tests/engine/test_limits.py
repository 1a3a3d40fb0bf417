"""What a document may ask for."""

import time
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.limits import CEILING, Figures, LimitRefused, Limits, Measure, check
from engine.plans import PlanRefused
from engine.requests import OperationRequest
from tests.engine.toy import an_engine, ask, code_of
from tests.tier import count

pytestmark = pytest.mark.anyio
LIMITS = Limits()
ENGINE = an_engine()


def measure(text: str, variables: dict[str, Any] | None = None, limits: Limits = LIMITS) -> Figures:
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return Measure(document, limits, variables).operation(operation)


def refusal(text: str, **limits: Any) -> tuple[str, int, int]:
    """(name, limit, figure) of the limit that the document breaks."""
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    with pytest.raises(LimitRefused) as refused:
        check(operation, Measure(document, Limits(**limits)).operation(operation), Limits(**limits))
    extensions: dict[str, Any] = refused.value.extensions or {}
    assert extensions["code"] == "LIMIT_EXCEEDED"
    assert str(extensions["figure"]) in refused.value.message
    assert str(extensions["limit"]) in refused.value.message
    return extensions["name"], extensions["limit"], extensions["figure"]


def a_fragment(number: int, selections: str) -> str:
    return f"fragment F{number} on Query {{ {selections} }}"


def nested(depth: int) -> str:
    return "{ " + "q { " * (depth - 1) + "a" + " }" * depth


@pytest.mark.parametrize(
    ("inside", "beyond", "name"),
    [
        (nested(12), nested(13), "depth"),
        (
            "{ q {" + "".join(f" a{i}: a" for i in range(30)) + "} }",
            "{ q {" + "".join(f" a{i}: a" for i in range(31)) + "} }",
            "aliases",
        ),
        ("{" + " a" * 20 + "}", "{" + " a" * 21 + "}", "root_fields"),
        ("{ a " + "@include(if: true)" * 20 + "}", "{ a " + "@include(if: true) " * 21 + "}", "directives"),
        ("{ q {" + " a" * 50 + "} }", "{ q {" + " a" * 51 + "} }", "repeated_fields"),
        (
            "{ list(first: 100) { list(first: 100) { b b b b b b b b b } } }",
            "{ list(first: 100) { list(first: 100) { b b b b b b b b b b } } }",
            "cost",
        ),
    ],
)
async def test_figure_at_the_limit_passes_and_one_more_does_not(inside: str, beyond: str, name: str) -> None:
    check_passes(inside)
    assert refusal(beyond)[0] == name


def check_passes(text: str) -> None:
    document = parse(text)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            check(operation, Measure(document, LIMITS).operation(operation), LIMITS)


async def test_refusal_names_limit_and_figure() -> None:
    assert refusal(nested(13)) == ("depth", 12, 13)
    assert refusal("{" + " a" * 25 + "}") == ("root_fields", 20, 25)


async def test_introspection_has_a_limit_of_its_own() -> None:
    """The query that every tool sends is 15 deep; beside it, ordinary fields are still held at 12."""
    figures = measure(get_introspection_query(input_value_deprecation=True))
    assert (figures.depth, figures.introspection_depth) == (0, 15)
    check_passes(get_introspection_query())
    deep = "{ __schema { types { " + "ofType { " * 18 + "name" + " }" * 21
    assert refusal(deep)[:2] == ("introspection_depth", 20)


async def test_typename_is_an_ordinary_field() -> None:
    assert measure("{ __typename }").depth == 1


async def test_fragments_count_where_they_are_spread() -> None:
    figures = measure(
        "{ q { ...F } } fragment F on Query { x: a q { ...G } } fragment G on Query { y: a z: a @skip(if: true) }"
    )
    assert (figures.depth, figures.aliases, figures.directives, figures.cost) == (3, 3, 1, 5)


async def test_inline_fragments_add_no_depth() -> None:
    assert measure("{ ... { ... on Query @include(if: true) { a } } }").depth == 1


async def test_fragment_spread_twice_in_one_place_counts_once() -> None:
    """It is executed once (specification, CollectFields)."""
    assert measure("{ ...F ...F } fragment F on Query { x: a }").aliases == 1


async def test_fragment_spread_in_two_places_counts_twice() -> None:
    assert measure("{ q { ...F } ...F } fragment F on Query { x: a }").aliases == 2


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ("(first: 10)", 10),
        ("(last: 7)", 7),
        ("(first: 3, last: 9)", 9),
        ("", 1),
        ("(first: 0)", 1),
        ("(first: -5)", 1),
        ("(first: null)", 1),
        ('(first: "9")', 1),
        ("(x: 50)", 1),
    ],
)
async def test_sizes_multiply_what_is_below(arguments: str, size: int) -> None:
    assert measure("{ list" + arguments + " { a q { a } } }").cost == 1 + 3 * size


async def test_ids_multiply_by_their_number() -> None:
    assert measure('{ nodes(ids: ["1", "2", "3"]) { a } }').cost == 4


async def test_absurd_numbers_end_at_the_ceiling() -> None:
    assert measure("{ list(first: %s) { a } }" % ("9" * 5000)).cost == CEILING


@pytest.mark.parametrize(
    ("variables", "size"),
    [(None, 100), ({}, 100), ({"n": 3}, 3), ({"n": 5000}, 5000), ({"n": "x"}, 100), ({"n": [1, 2]}, 2)],
)
async def test_size_by_variable_is_its_value_or_a_page(variables: dict[str, Any] | None, size: int) -> None:
    figures = measure("query($n: Int) { list(first: $n) { a } }", variables)
    assert figures.cost == 1 + size
    assert figures.sizes_unknown


async def test_default_of_a_variable_is_its_size_where_the_client_sends_none() -> None:
    query = "query($n: Int = 7) { list(first: $n) { a } }"
    assert measure(query, {}).cost == 8
    assert measure(query, {"n": 9}).cost == 10


async def test_default_of_a_variable_counts_where_it_is_larger_than_a_page() -> None:
    assert measure("query($n: Int = 5000) { list(first: $n) { a } }").cost == 5001


async def test_variables_are_looked_at_for_each_request() -> None:
    """The plan is kept; what its variables say is not."""
    engine = an_engine(limits=Limits(cost=1000))
    query = "query($n: Int) { list(first: $n) { list(first: $n) { a } } }"
    assert "data" in await ask(engine, query, variables={"n": 20})
    assert code_of(await ask(engine, query, variables={"n": 40})) == "LIMIT_EXCEEDED"
    assert code_of(await ask(engine, query, variables={"n": 4000})) == "LIMIT_EXCEEDED"
    assert "data" in await ask(engine, query, variables={"n": 2})


async def test_one_huge_list_of_ids_by_variable_is_refused() -> None:
    query = "query($ids: [ID!]) { nodes(ids: $ids) { a } }"
    assert (
        code_of(await ask(an_engine(limits=Limits(cost=1000)), query, variables={"ids": ["x"] * 2000}))
        == "LIMIT_EXCEEDED"
    )


async def test_every_operation_of_a_document_is_held_to_the_limits() -> None:
    query = "query A { a } query B " + nested(13)
    assert code_of(await ask(an_engine(), query, operation_name="A")) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("kind", ["tokens", "comments"])
async def test_parser_stops_at_the_limit(kind: str) -> None:
    query = "{" + " a" * 100_000 + "}" if kind == "tokens" else "#\n" * 100_000 + "{ a }"
    started = time.process_time()
    body = await ask(an_engine(), query)
    assert body["errors"][0]["extensions"]["name"] == kind
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "body",
    [
        "...F%d ...F%d",
        "q { ...F%d } q { ...F%d }",
        "x: q { ...F%d } y: q { ...F%d }",
        "... { ...F%d } ... on Query { ...F%d }",
        "list(first: 100) { ...F%d } q { ...F%d }",
    ],
)
async def test_doubling_fragments_are_answered_in_milliseconds(body: str) -> None:
    """25 fragments, each spread twice, are 2^25 fields in 1 KB: walked without a memo, they hang a server for half a minute."""
    chain = " ".join(a_fragment(i, body.replace("%d", str(i + 1))) for i in range(25))
    started = time.process_time()
    answer = await ask(an_engine(), "{ ...F0 } " + chain + " fragment F25 on Query { a }")
    assert time.process_time() - started < 0.5
    assert answer == {"data": {"a": "a"}} or code_of(answer) == "LIMIT_EXCEEDED"


async def test_long_chain_of_fragments_needs_no_stack() -> None:
    chain = " ".join(a_fragment(i, f"...F{i + 1}") for i in range(230))
    assert measure("{ ...F0 } " + chain + " fragment F230 on Query { a }").depth == 1


async def test_cycle_of_fragments_is_left_to_validation() -> None:
    query = "{ ...F } fragment F on Query { q { ...G } } fragment G on Query { q { ...F } }"
    assert code_of(await ask(an_engine(), query)) == "GRAPHQL_VALIDATION_FAILED"


async def test_overlapping_fields_do_not_block() -> None:
    """Comparing n fields of one name costs n²; they are refused before validation compares them."""
    started = time.process_time()
    body = await ask(an_engine(), "{ q {" + " b(x: 1)" * 380 + "} }")
    assert body["errors"][0]["extensions"]["name"] in {"repeated_fields", "tokens"}
    assert time.process_time() - started < 0.5


async def test_circular_introspection_is_refused() -> None:
    query = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"
    assert "Maximum introspection depth exceeded" in str(await ask(an_engine(), query))


# Documents at random

names = st.sampled_from(["a", "b", "q", "list", "nodes", "__typename", "__schema"])
arguments = st.sampled_from(["", "(first: 3)", "(last: 2)", "(x: 9)", "(first: $n)", "(ids: [1, 2])"])
directives = st.sampled_from(["", "", "", " @include(if: true)", " @skip(if: $s)"])
spreads = st.builds("...F{}{}".format, st.integers(0, 4), directives)
leaves = st.builds("{}{}{}{}".format, st.sampled_from(["", "", "x: ", "y: "]), names, arguments, directives)
selections = st.recursive(
    st.lists(leaves | spreads, min_size=1, max_size=4).map(" ".join),
    lambda inner: st.lists(
        st.builds("{}{}{} {{ {} }}".format, st.sampled_from(["", "z: "]), names, arguments, inner)
        | st.builds("...{} {{ {} }}".format, st.sampled_from(["", " on Query"]), inner)
        | leaves
        | spreads,
        min_size=1,
        max_size=4,
    ).map(" ".join),
    max_leaves=12,
)
documents = st.builds(
    lambda operation, fragments: (
        "query($n: Int, $s: Boolean!) { "
        + operation
        + " } "
        + " ".join(a_fragment(number, fragment) for number, fragment in enumerate(fragments))
    ),
    selections,
    st.lists(selections, max_size=5),
)


@settings(max_examples=count(long=2000), deadline=None)
@given(documents)
def test_any_document_is_measured(text: str) -> None:
    """Whatever the grammar allows, cycles included: a figure or a refusal, and never anything else."""
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    try:
        check(operation, Measure(document, LIMITS, {"n": 7}).operation(operation), LIMITS)
    except LimitRefused:
        return


@settings(max_examples=count(long=1000), deadline=None)
@given(documents)
def test_figures_equal_those_of_a_walk_without_memo(text: str) -> None:
    document = parse(text)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    if _has_cycle(fragments):
        return
    figures = measure(text)
    assert (figures.aliases, figures.depth, figures.cost) == _walk(document)


def _has_cycle(fragments: dict[str, FragmentDefinitionNode]) -> bool:
    def visit(selection_set: SelectionSetNode, path: tuple[str, ...]) -> bool:
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in path or (name in fragments and visit(fragments[name].selection_set, (*path, name))):
                    return True
            elif selection.selection_set and visit(selection.selection_set, path):  # type: ignore[attr-defined]
                return True
        return False

    return any(visit(fragment.selection_set, (name,)) for name, fragment in fragments.items())


def _walk(document: DocumentNode) -> tuple[int, int, int]:
    """(aliases, depth, cost), by following each spread each time."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def walk(selection_set: SelectionSetNode) -> tuple[int, int, int]:
        aliases = depth = cost = 0
        seen: set[str] = set()
        for selection in selection_set.selections:
            size, below = 1, (0, 0, 0)
            if isinstance(selection, FieldNode):
                if selection.selection_set:
                    below = walk(selection.selection_set)
                    sizes = {"first": 1, "last": 1, "ids": 1}
                    for argument in selection.arguments or ():
                        value: Any = argument.value
                        if argument.name.value in sizes:
                            size = max(
                                size,
                                {"int_value": lambda v: int(v.value), "list_value": lambda v: len(v.values)}.get(
                                    value.kind, lambda v: 100
                                )(value),
                            )
                aliases += selection.alias is not None
                cost += 1
                is_introspection = selection.name.value == "__schema"
                depth = max(depth, 0 if is_introspection else below[1] + 1)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in seen or name not in fragments:
                    continue
                seen.add(name)
                below = walk(fragments[name].selection_set)
                depth = max(depth, below[1])
            else:
                below = walk(selection.selection_set)  # type: ignore[attr-defined]
                depth = max(depth, below[1])
            aliases += below[0]
            cost += below[2] * size
        return aliases, depth, cost

    return walk(next(d for d in document.definitions if isinstance(d, OperationDefinitionNode)).selection_set)


@settings(max_examples=count(long=2000), deadline=None)
@given(
    st.text(alphabet='{}()[]:$@!.…"#\\ab1 \n,&|=qn', max_size=120) | documents.map(lambda text: text[: len(text) // 2])
)
def test_any_text_is_a_plan_or_a_refusal(text: str) -> None:
    errors: list[GraphQLError] = []
    try:
        ENGINE.plan(OperationRequest(query=text))
    except PlanRefused as refused:
        errors = refused.errors
    assert all((error.extensions or {})["code"] for error in errors)
