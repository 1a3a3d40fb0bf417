import type { ExecutionResult } from 'graphql';
import { createClient, type Client } from 'graphql-ws';
import type { Fetcher, FetcherParams } from '@graphiql/toolkit';

import { connectionParams, type Headers } from './credentials';
import { operationOf } from './operation';

/**
 * Sends queries and mutations by POST, and subscriptions by `graphql-transport-ws` to the same address.
 *
 * `typedHeaders` are those of the headers tab: GraphiQL asks for the schema before that editor stands, without them.
 */
export function createFetcher(address: URL, typedHeaders: Headers): Fetcher {
  const sockets = new Sockets(address);
  return (params, options) => {
    const headers: Headers = options?.headers ?? typedHeaders;
    const operation = operationOf(params.query, params.operationName);
    const request = operation ? { ...params, operationName: operation.name } : params;
    return operation?.kind === 'subscription' ? sockets.subscribe(request, headers) : post(address, request, headers);
  };
}

async function post(address: URL, request: FetcherParams, headers: Headers): Promise<ExecutionResult> {
  const response = await fetch(address, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
      ...(headers as Record<string, string>),
    },
    body: JSON.stringify(request),
  });
  if (!response.headers.get('content-type')?.includes('json')) {
    throw new Error(`The gateway answered with ${response.status} ${response.statusText} and not with JSON.`);
  }
  return (await response.json()) as ExecutionResult;
}

/** How the gateway closes the socket of a key that it does not take: asking again changes nothing. */
const FORBIDDEN = 4403;

/** One socket for all subscriptions of one credential; another credential gets another socket. */
class Sockets {
  #client: Client | null = null;
  #credential = '';

  constructor(private readonly address: URL) {}

  async *subscribe(request: FetcherParams, headers: Headers): AsyncGenerator<ExecutionResult> {
    const { query, variables, operationName } = request;
    const messages = this.#clientFor(headers).iterate({
      query,
      variables: (variables as Record<string, unknown> | undefined) ?? null,
      operationName: operationName ?? null,
    });
    try {
      yield* messages as AsyncGenerator<ExecutionResult>;
    } catch (error) {
      throw error instanceof CloseEvent ? closed(error) : error;
    }
  }

  #clientFor(headers: Headers): Client {
    const params = connectionParams(headers);
    const credential = JSON.stringify(params);
    if (this.#client === null || credential !== this.#credential) {
      void this.#client?.dispose();
      this.#client = createClient({
        url: socketAddress(this.address),
        connectionParams: params,
        retryAttempts: 3,
        shouldRetry: (event) => event instanceof CloseEvent && event.code !== FORBIDDEN,
      });
      this.#credential = credential;
    }
    return this.#client;
  }
}

function socketAddress(address: URL): string {
  const url = new URL(address);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** What GraphiQL shows of it: a plain object, because of an `Error` it would show the stack too. */
function closed(event: CloseEvent): { message: string } {
  return { message: `The gateway closed the socket with ${event.code} ${event.reason}`.trim() };
}
