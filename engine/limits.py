"""What a document may ask for, decided before it is validated.

One pass over the document. Each fragment is measured once, whatever how often it is spread, and its figures are added
where it is spread; so a document of 1 KB whose fragments double at each level (2^25 fields) costs as much as any other of 1 KB.
Within one selection set a fragment that is spread twice counts once, as it is executed once.

The figures are upper bounds: fields of one name that execution would merge are counted each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

CEILING = 1_000_000_000
"""Figures stop growing here: sums over doubling fragments would have hundreds of digits."""
_INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest figures that are answered."""

    tokens: int = 2000
    """Lexical tokens of the whole document; the parser stops there."""
    comments: int = 1000
    """Comments of the whole document, which are no tokens but are read all the same."""
    depth: int = 12
    """Fields inside fields; `{ a { b } }` is 2 deep."""
    introspection_depth: int = 20
    """The same below `__schema` and `__type`: the introspection query of the tools is 15 deep."""
    aliases: int = 30
    """Fields with an alias, fragments spread out."""
    root_fields: int = 20
    """Fields of the operation itself, fragments spread out."""
    directives: int = 20
    """Directives at any place, fragments spread out."""
    repeated_fields: int = 50
    """How often one response name may stand in one selection set, fragments spread out."""
    cost: int = 100_000
    """Fields that may have to be resolved: each counts 1, and what is below `first`, `last` or a list of `ids` counts that many times."""
    page_size: int = 100
    """What a size or list given by a variable is taken for until the variable is known to be larger."""
    size_arguments: frozenset[str] = frozenset({"first", "last"})
    """Arguments that say how many nodes a field gives."""
    list_arguments: frozenset[str] = frozenset({"ids"})
    """Arguments whose number of entries says how many nodes a field gives."""


class LimitRefused(GraphQLError):
    """The document asks for more than a limit allows. Both numbers are in `extensions`, beside the limit's name."""

    def __init__(self, name: str, limit: int, figure: int, subject: str) -> None:
        at_least = "at least " if name in {"tokens", "comments"} or figure >= CEILING else ""
        super().__init__(
            f"Reading the document: {subject} {at_least}{figure}, and {limit} is the limit. Ask for less at once, or split the operation.",
            extensions={"code": "LIMIT_EXCEEDED", "limit": limit, "figure": figure, "name": name},
        )


@dataclass(slots=True)
class Figures:
    """What one selection set or fragment amounts to, everything below it included."""

    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0
    repeated: int = 0
    """The largest number of one response name in one selection set that is closed, i.e. below this level."""
    names: dict[str, int] = field(default_factory=dict)
    """Response name → how often it stands at this very level."""
    sizes_unknown: bool = False
    """Whether a variable decides about `cost`."""

    def add_level(self, other: "Figures") -> None:
        """Take in what a fragment holds at the same level."""
        for name, times in other.names.items():
            self.names[name] = min(CEILING, self.names.get(name, 0) + times)
        self.depth = max(self.depth, other.depth)
        self.introspection_depth = max(self.introspection_depth, other.introspection_depth)
        self._add_sums(other, 1)

    def add_below(self, other: "Figures", name: str, size: int) -> None:
        """Take in what stands below the field `name` at this level, `size` times."""
        if name in _INTROSPECTION:
            self.introspection_depth = max(self.introspection_depth, 1 + max(other.depth, other.introspection_depth))
        else:
            self.depth = max(self.depth, 1 + other.depth)
            if other.introspection_depth:
                self.introspection_depth = max(self.introspection_depth, 1 + other.introspection_depth)
        self.repeated = max(self.repeated, other.most_repeated)
        self._add_sums(other, size)

    @property
    def most_repeated(self) -> int:
        """`repeated`, this level included."""
        return max(self.repeated, max(self.names.values(), default=0))

    def _add_sums(self, other: "Figures", size: int) -> None:
        self.aliases = min(CEILING, self.aliases + other.aliases)
        self.directives = min(CEILING, self.directives + other.directives)
        self.cost = min(CEILING, self.cost + other.cost * size)
        self.repeated = max(self.repeated, other.repeated)
        self.sizes_unknown |= other.sizes_unknown


_NOTHING = Figures()


class Measure:
    """Measures the operations of one document, each fragment once. `variables` are the values as sent, where they are known."""

    def __init__(self, document: DocumentNode, limits: Limits, variables: Mapping[str, Any] | None = None) -> None:
        self._limits = limits
        self._variables = variables
        self._defaults = dict(_defaults(document))
        self._fragments: dict[str, Figures] = {}
        definitions = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        for definition in _innermost_first(definitions):
            figures = self._selection_set(definition.selection_set)
            figures.directives += len(definition.directives or ())
            self._fragments[definition.name.value] = figures

    def operation(self, operation: OperationDefinitionNode) -> Figures:
        """The figures of one operation, its fragments included."""
        figures = self._selection_set(operation.selection_set)
        figures.directives += len(operation.directives or ())
        figures.directives += sum(len(variable.directives or ()) for variable in operation.variable_definitions or ())
        return figures

    def _selection_set(self, selection_set: SelectionSetNode) -> Figures:
        """Recursive over the nesting inside one definition, which the parser holds below 200."""
        figures = Figures()
        spread: set[str] = set()
        for selection in selection_set.selections:
            figures.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._add_field(figures, selection)
            elif isinstance(selection, InlineFragmentNode):
                figures.add_level(self._selection_set(selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                figures.add_level(self._fragments.get(selection.name.value, _NOTHING))
        return figures

    def _add_field(self, figures: Figures, node: FieldNode) -> None:
        name = node.name.value
        key = node.alias.value if node.alias else name
        figures.names[key] = figures.names.get(key, 0) + 1
        figures.aliases += node.alias is not None
        figures.cost += 1
        below = self._selection_set(node.selection_set) if node.selection_set else _NOTHING
        figures.add_below(below, name, self._size(figures, node) if node.selection_set else 1)

    def _size(self, figures: Figures, node: FieldNode) -> int:
        """How many nodes the field gives at most, as far as its arguments tell; 1 where they do not."""
        size = 1
        for argument in node.arguments or ():
            name = argument.name.value
            if name in self._limits.size_arguments or name in self._limits.list_arguments:
                figures.sizes_unknown |= isinstance(argument.value, VariableNode)
                size = max(size, self._size_of(argument))
        return size

    def _size_of(self, argument: ArgumentNode) -> int:
        value = argument.value
        if isinstance(value, IntValueNode):
            return _int_of(value)
        if isinstance(value, ListValueNode):
            return len(value.values)
        if not isinstance(value, VariableNode):
            return 1
        return self._size_of_variable(value.name.value)

    def _size_of_variable(self, name: str) -> int:
        """Its value or its default; a page where neither is known, and at least a page as long as no values are at hand."""
        default = self._defaults.get(name)
        if self._variables is None:
            return max(self._limits.page_size, default or 0)
        known = self._variables.get(name, default)
        if isinstance(known, int):
            return min(CEILING, known)
        return len(known) if isinstance(known, list) else self._limits.page_size


def _int_of(node: IntValueNode) -> int:
    """More than nine digits are no Int of GraphQL, and Python refuses to read thousands of them."""
    return int(node.value) if len(node.value) < 10 else CEILING


def _defaults(document: DocumentNode) -> Iterator[tuple[str, int]]:
    """Variable → the number that it is when the client sends none."""
    for definition in document.definitions:
        for variable in getattr(definition, "variable_definitions", None) or ():
            if isinstance(variable.default_value, IntValueNode):
                yield variable.variable.name.value, _int_of(variable.default_value)


def check(operation: OperationDefinitionNode, figures: Figures, limits: Limits) -> None:
    """Raise `LimitRefused` for the first limit that the figures exceed."""
    name = f"operation {operation.name.value!r}" if operation.name else "the operation"
    roots = min(CEILING, sum(figures.names.values()))
    table = (
        ("depth", limits.depth, figures.depth, "nests fields this deep:"),
        (
            "introspection_depth",
            limits.introspection_depth,
            figures.introspection_depth,
            "nests introspection fields this deep:",
        ),
        ("aliases", limits.aliases, figures.aliases, "has this many aliases:"),
        ("root_fields", limits.root_fields, roots, "has this many fields at its root:"),
        ("directives", limits.directives, figures.directives, "has this many directives:"),
        (
            "repeated_fields",
            limits.repeated_fields,
            figures.most_repeated,
            "repeats one field in one place this many times:",
        ),
        ("cost", limits.cost, figures.cost, "may have to resolve this many fields:"),
    )
    for limit_name, limit, figure, subject in table:
        if figure > limit:
            raise LimitRefused(limit_name, limit, figure, f"{name} {subject}")


def _innermost_first(definitions: Mapping[str, FragmentDefinitionNode]) -> Iterator[FragmentDefinitionNode]:
    """The fragments, each after those that it spreads. Without recursion: a chain of fragments may be hundreds long.

    A cycle is cut where it closes; validation refuses it afterwards.
    """
    seen: set[str] = set()
    for root in definitions:
        if root in seen:
            continue
        seen.add(root)
        path = [(root, _spreads(definitions[root].selection_set))]
        while path:
            name, spreads = path[-1]
            for spread in spreads:
                if spread in definitions and spread not in seen:
                    seen.add(spread)
                    path.append((spread, _spreads(definitions[spread].selection_set)))
                    break
            else:
                path.pop()
                yield definitions[name]


def _spreads(selection_set: SelectionSetNode) -> Iterator[str]:
    waiting = [selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                yield selection.name.value
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                waiting.append(selection.selection_set)
