"""What an operation selects, as far as sharing its execution depends on it. Looked at once per plan, after validation."""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_abstract_type,
    visit,
)

FieldName = tuple[str, str]
"""(type, field)."""


def selected_fields(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> frozenset[FieldName]:
    """Every field that the operation may resolve. One that is selected of an abstract type counts for each type behind it."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    root = schema.get_root_type(operation.operation)
    assert root is not None
    found: set[FieldName] = set()
    seen: set[tuple[str, int]] = set()
    waiting: list[tuple[GraphQLNamedType, SelectionSetNode]] = [(root, operation.selection_set)]
    while waiting:
        parent, selections = waiting.pop()
        if (parent.name, id(selections)) in seen:
            continue
        seen.add((parent.name, id(selections)))
        for selection in selections.selections:
            match selection:
                case FieldNode():
                    for type_ in _concrete(schema, parent):
                        found.add((type_.name, selection.name.value))
                        field = type_.fields.get(selection.name.value)
                        if field is not None and selection.selection_set is not None:
                            waiting.append((get_named_type(field.type), selection.selection_set))
                case InlineFragmentNode():
                    condition = selection.type_condition
                    waiting.append(
                        (schema.type_map[condition.name.value] if condition else parent, selection.selection_set)
                    )
                case FragmentSpreadNode():
                    fragment = fragments[selection.name.value]
                    waiting.append((schema.type_map[fragment.type_condition.name.value], fragment.selection_set))
    return frozenset(found)


def variables_only_in(document: DocumentNode, operation: OperationDefinitionNode, argument: str) -> frozenset[str]:
    """The variables that are used as `argument` of a root field and nowhere else in the document."""
    here = [
        given.value
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
        for given in field.arguments or ()
        if given.name.value == argument and isinstance(given.value, VariableNode)
    ]
    counter = _VariableUses()
    visit(document, counter)
    return frozenset(
        name
        for name in {value.name.value for value in here}
        if counter.uses[name] == sum(value.name.value == name for value in here)
    )


class _VariableUses(Visitor):
    """Counts where variables are used; their definitions are no uses."""

    def __init__(self) -> None:
        super().__init__()
        self.uses: dict[str, int] = {}

    def enter_variable(self, node: VariableNode, _key: object, parent: Node, *_: object) -> None:
        if getattr(parent, "kind", "") != "variable_definition":
            self.uses[node.name.value] = self.uses.get(node.name.value, 0) + 1


def _concrete(schema: GraphQLSchema, type_: GraphQLNamedType) -> Iterator[GraphQLObjectType]:
    if isinstance(type_, GraphQLObjectType):
        yield type_
    elif is_abstract_type(type_):
        abstract: GraphQLAbstractType = type_
        yield from schema.get_possible_types(abstract)
