import assert from 'node:assert/strict';
import { test } from 'node:test';
import { print } from 'graphql';
import { createClient, type Client } from 'graphql-sse';

import {
  ChatEventsDocument,
  StartDocument,
  type ChatEventsSubscription,
  type ChatEventsSubscriptionVariables,
  type StartQuery,
} from '../generated/graphql.js';
import { eventsUntil, isCaughtUp, says, textsOf } from './events.js';
import { aChat, authorization, say, url } from './gateway.js';

function aClient(): Client & Disposable {
  const client = createClient({ url, headers: { authorization }, retryAttempts: 0 });
  return { ...client, [Symbol.dispose]: () => client.dispose() };
}

const chatEvents = (client: Client, variables: ChatEventsSubscriptionVariables) =>
  client.iterate<ChatEventsSubscription>({ query: print(ChatEventsDocument), variables });

test('a query is answered as a stream of one', async () => {
  using client = aClient();
  const answers = client.iterate<StartQuery>({ query: print(StartDocument) });
  const { value } = await answers.next();
  assert.ok(value?.data?.sources.some((source: { vendor: string }) => source.vendor === 'local'));
  assert.equal((await answers.next()).done, true);
});

test('a message that somebody sends arrives live', async () => {
  await using chat = await aChat('Live over SSE');
  using client = aClient();
  await eventsUntil(
    chatEvents(client, { chatIds: [chat.id], after: chat.eventCursor }),
    says('Is anybody there?'),
    async (event) => {
      if (isCaughtUp(event)) await say(chat.id, 'Is anybody there?');
    },
  );
});

test('a client that comes back with its last cursor gets what it missed, once and in order', async () => {
  await using chat = await aChat('Resume over SSE');
  const watch = { chatIds: [chat.id] };
  await say(chat.id, 'one');
  using client = aClient();
  const before = await eventsUntil(chatEvents(client, { ...watch, after: chat.eventCursor }), says('one'));
  await say(chat.id, 'two');
  await say(chat.id, 'three');
  const after = before.at(-1)?.cursor;
  assert.ok(after);
  const missed = await eventsUntil(chatEvents(client, { ...watch, after }), isCaughtUp);
  assert.deepEqual(textsOf(missed), ['two', 'three']);
});

test('a browser that reconnects by itself is continued at its Last-Event-ID, whatever `after` says', async () => {
  await using chat = await aChat('Last-Event-ID');
  const from = chat.eventCursor;
  for (const text of ['one', 'two']) await say(chat.id, text);
  const ids = await idsOfStream({ chatIds: [chat.id], after: from }, 2, {});
  const [first] = ids;
  assert.ok(first);
  const again = await idsOfStream({ chatIds: [chat.id], after: from }, 1, { 'last-event-id': first });
  assert.deepEqual(again, ids.slice(1));
});

/** The `id:` lines of the first `count` events, read as `EventSource` reads them. */
async function idsOfStream(
  variables: ChatEventsSubscriptionVariables,
  count: number,
  headers: Record<string, string>,
): Promise<string[]> {
  const end = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    signal: end.signal,
    headers: { authorization, 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
    body: JSON.stringify({ query: print(ChatEventsDocument), variables }),
  });
  assert.equal(response.status, 200);
  assert.ok(response.body);
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const ids = [...text.matchAll(/^id: ?(.+)\n/gm)].map((match) => String(match[1]));
    if (ids.length >= count) {
      end.abort();
      return ids.slice(0, count);
    }
  }
  return assert.fail(`the stream ended early: ${text}`);
}
