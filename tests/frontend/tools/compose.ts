/**
 * Composes the subgraph's SDL, read from standard input, into a supergraph of its own and prints the outcome as JSON:
 * `{"supergraph": …, "errors": […]}`. A gateway in front of several subgraphs does the same before it starts.
 */
import { text } from 'node:stream/consumers';
import { compositionHasErrors, composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';

const typeDefs = parse(await text(process.stdin));
const result = composeServices([{ name: 'switchboard', url: 'http://127.0.0.1:4000/graphql', typeDefs }]);
const outcome = compositionHasErrors(result)
  ? { supergraph: null, errors: result.errors.map((error) => error.message) }
  : { supergraph: result.supergraphSdl, errors: [] };
process.stdout.write(JSON.stringify(outcome));
