import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient as createSocketClient } from 'graphql-ws';
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from 'urql';
import { WebSocket } from 'ws';

import { ChatListDocument, MessageAddedDocument, OpenChatDocument, PinChatDocument } from '../generated/graphql.js';
import { aChat, authorization, say, socketUrl, url } from './gateway.js';

const fetchOptions = { headers: { authorization } };

const aClient = () => new Client({ url, fetchOptions, exchanges: [cacheExchange, fetchExchange], preferGetMethod: false });

test('a query is answered as JSON although urql also takes event streams', async () => {
  const { data, error } = await aClient().query(ChatListDocument, { first: 5 });
  assert.equal(error, undefined);
  assert.ok(data?.chats);
  assert.ok(data.chats.sources.every((source) => source.code.length > 0));
});

test('a repeated query comes from the cache, until a mutation changes what it showed', async () => {
  await using chat = await aChat('Pinned with urql');
  const client = aClient();
  const open = () => client.query(OpenChatDocument, { id: chat.id, last: 10 }).toPromise();
  assert.equal((await open()).data?.chat?.pinned, false);
  assert.equal((await open()).operation.context.meta?.cacheOutcome, 'hit');

  const { data } = await client.mutation(PinChatDocument, { chatId: chat.id, pinned: true });
  assert.deepEqual(data?.setChatPinned.userErrors, []);
  const opened = await open();
  assert.equal(opened.operation.context.meta?.cacheOutcome, 'miss');
  assert.equal(opened.data?.chat?.pinned, true);
});

test('an outcome that a person can act on is data, not an error', async () => {
  const { data, error } = await aClient().mutation(PinChatDocument, { chatId: 'not-an-id', pinned: true });
  assert.equal(error, undefined);
  assert.equal(data?.setChatPinned.chat, null);
  assert.equal(data.setChatPinned.userErrors[0]?.code, 'NOT_FOUND');
});

test('a subscription over graphql-ws delivers', async () => {
  await using chat = await aChat('urql over a socket');
  const socket = createSocketClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: authorization },
  });
  const client = new Client({
    url,
    preferGetMethod: false,
    exchanges: [
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
          }),
        }),
      }),
    ],
  });
  await say(chat.id, 'over a socket');
  assert.equal(await firstText(client, chat.id, chat.eventCursor), 'over a socket');
  await socket.dispose();
});

test('a subscription over fetch delivers, by server-sent events', async () => {
  await using chat = await aChat('urql over SSE');
  const client = new Client({
    url,
    fetchOptions,
    preferGetMethod: false,
    fetchSubscriptions: true,
    exchanges: [fetchExchange],
  });
  await say(chat.id, 'over fetch');
  assert.equal(await firstText(client, chat.id, chat.eventCursor), 'over fetch');
});

/** The text of the first message that the subscription brings. */
async function firstText(client: Client, chatId: string, after: string): Promise<string> {
  const { data, error } = await new Promise<{ data?: unknown; error?: unknown }>((resolve) => {
    const subscription = client.subscription(MessageAddedDocument, { chatId, after }).subscribe((result) => {
      resolve(result);
      setImmediate(() => subscription.unsubscribe());
    });
  });
  assert.equal(error, undefined);
  return (data as { messageAdded: { message: { text: string } } }).messageAdded.message.text;
}
