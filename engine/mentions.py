"""Which of a few fields an operation mentions: a property of its text alone, so it is found once, when the plan is made."""

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

_NOTHING: frozenset[str] = frozenset()


def mentioned(document: DocumentNode, operation: OperationDefinitionNode, names: frozenset[str]) -> frozenset[str]:
    """Those of `names` that stand in the operation: at any depth, under any alias, in any of its fragments.

    A field that `@skip` or `@include` may leave out is mentioned all the same, so the answer is one for all variables, and a
    field that is not mentioned is in no response of the operation.
    """
    if not names:
        return _NOTHING
    fragments = {d.name.value: d.selection_set for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    waiting = [operation.selection_set]
    found: set[str] = set()
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                # Taken out as it is followed: each fragment once, however often it is spread.
                nested = fragments.pop(selection.name.value, None)
            else:
                nested = selection.selection_set  # type: ignore[attr-defined]  # a field or an inline fragment
                if isinstance(selection, FieldNode) and selection.name.value in names:
                    found.add(selection.name.value)
            if nested is not None:
                waiting.append(nested)
    return frozenset(found)
