"""The fields that give a query a position of the log: an answer with one of them promises that all it shows is committed."""

from graphql import GraphQLNamedType, GraphQLSchema, get_named_type, is_interface_type, is_object_type, is_union_type

from schema.root import federation_schema, public_schema

_POSITION = "EventCursor"


def position_fields(schema: GraphQLSchema) -> frozenset[str]:
    """The names of all fields of the type `EventCursor` that a query can reach. Events have some, which only a subscription reaches."""
    assert schema.query_type is not None
    waiting: list[GraphQLNamedType] = [schema.query_type]
    reached: set[str] = set()
    names: set[str] = set()
    while waiting:
        type_ = waiting.pop()
        if type_.name in reached:
            continue
        reached.add(type_.name)
        if is_interface_type(type_) or is_union_type(type_):
            waiting.extend(schema.get_possible_types(type_))
        if is_object_type(type_) or is_interface_type(type_):
            of = {name: get_named_type(field.type) for name, field in type_.fields.items()}
            names.update(name for name, field_type in of.items() if field_type.name == _POSITION)
            waiting.extend(of.values())
    return frozenset(names)


POSITION_FIELDS = position_fields(public_schema) | position_fields(federation_schema)
"""Found in the schema and not listed, so that no field which is added later is forgotten."""
