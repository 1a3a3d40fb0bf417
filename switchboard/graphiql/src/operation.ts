import { parse, type OperationDefinitionNode, type OperationTypeNode } from 'graphql';

/** What will run: its name (null for the only, anonymous one) and its kind. */
export interface Operation {
  name: string | null;
  kind: OperationTypeNode;
}

/**
 * The operation that a request means, read from the text itself; null when it cannot be told, which the gateway then
 * explains better. GraphiQL's own idea of the document is up to half a second old: right after a paste it still names
 * the former operation, and a subscription would be posted over HTTP.
 */
export function operationOf(query: string, operationName: string | null | undefined): Operation | null {
  let operations: OperationDefinitionNode[];
  try {
    operations = parse(query, { noLocation: true }).definitions.filter(
      (definition) => definition.kind === 'OperationDefinition',
    );
  } catch {
    return null; // not GraphQL (yet): the gateway says where
  }
  const named = operations.find((operation) => operation.name?.value === operationName);
  const meant = named ?? (operations.length === 1 ? operations[0] : undefined);
  return meant ? { name: meant.name?.value ?? null, kind: meant.operation } : null;
}
