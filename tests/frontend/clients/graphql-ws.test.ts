import assert from 'node:assert/strict';
import { test } from 'node:test';
import { print } from 'graphql';
import { createClient, type Client, type ClientOptions } from 'graphql-ws';
import { WebSocket } from 'ws';

import {
  ChatEventsDocument,
  MessageAddedDocument,
  StartDocument,
  type ChatEventsSubscription,
  type ChatEventsSubscriptionVariables,
  type MessageAddedSubscription,
  type StartQuery,
} from '../generated/graphql.js';
import { eventsUntil, isCaughtUp, says, textsOf } from './events.js';
import { aChat, authorization, say, socketUrl } from './gateway.js';

function aClient(options: Partial<ClientOptions> = {}): Client & Disposable {
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: authorization },
    retryAttempts: 0,
    ...options,
  });
  return { ...client, [Symbol.dispose]: () => void client.dispose() };
}

const chatEvents = (client: Client, variables: ChatEventsSubscriptionVariables) =>
  client.iterate<ChatEventsSubscription>({ query: print(ChatEventsDocument), variables });

test('a query is answered over the socket', async () => {
  using client = aClient();
  const answers = client.iterate<StartQuery>({ query: print(StartDocument) });
  const { value } = await answers.next();
  assert.ok(value?.data?.sources.some((source: { vendor: string }) => source.vendor === 'local'));
  assert.equal((await answers.next()).done, true);
});

test('a message that somebody sends arrives live, with the typed fields that were asked for', async () => {
  await using chat = await aChat('Live over graphql-ws');
  using client = aClient();
  const events = await eventsUntil(
    chatEvents(client, { chatIds: [chat.id], after: chat.eventCursor }),
    says('Is anybody there?'),
    async (event) => {
      if (isCaughtUp(event)) await say(chat.id, 'Is anybody there?');
    },
  );
  const news = events.at(-1);
  assert.ok(news?.__typename === 'MessageCreated');
  assert.deepEqual([news.chatId, news.message.role, news.message.state], [chat.id, 'USER', 'COMPLETE']);
});

test('a client that comes back with its last cursor gets what it missed, once and in order', async () => {
  await using chat = await aChat('Resume over graphql-ws');
  const watch = { chatIds: [chat.id] };
  await say(chat.id, 'one');
  using first = aClient();
  const before = await eventsUntil(chatEvents(first, { ...watch, after: chat.eventCursor }), says('one'));
  await first.dispose();

  await say(chat.id, 'two');
  await say(chat.id, 'three');
  using second = aClient();
  const after = before.at(-1)?.cursor;
  assert.ok(after);
  const missed = await eventsUntil(chatEvents(second, { ...watch, after }), isCaughtUp);
  assert.deepEqual(textsOf(missed), ['two', 'three']);
});

test('messageAdded speaks of the chat it was asked about and of no other', async () => {
  await using chat = await aChat('Listened to');
  await using other = await aChat('Not listened to');
  using client = aClient();
  await say(other.id, 'elsewhere');
  await say(chat.id, 'here');
  const answers = client.iterate<MessageAddedSubscription>({
    query: print(MessageAddedDocument),
    variables: { chatId: chat.id, after: chat.eventCursor },
  });
  const { value } = await answers.next();
  assert.equal(value?.data?.messageAdded.message.text, 'here');
  await answers.return?.();
});

test('several operations share one socket', async () => {
  await using chat = await aChat('Two subscriptions');
  let sockets = 0;
  using client = aClient({ on: { opened: () => void sockets++ } });
  const watch = { chatIds: [chat.id], after: chat.eventCursor };
  const both = [1, 2].map(() => eventsUntil(chatEvents(client, watch), says('hello, both')));
  await say(chat.id, 'hello, both');
  await Promise.all(both);
  assert.equal(sockets, 1);
});

test('an error of one operation leaves the socket to the others', async () => {
  await using chat = await aChat('A bad neighbour');
  using client = aClient();
  const good = eventsUntil(chatEvents(client, { chatIds: [chat.id], after: chat.eventCursor }), says('still here'));
  await assert.rejects(client.iterate({ query: '{ nothingOfThisName }' }).next(), (errors: unknown) => {
    assert.ok(Array.isArray(errors));
    assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    return true;
  });
  await say(chat.id, 'still here');
  await good;
});

test('a ping is answered', async () => {
  await using chat = await aChat('Kept alive');
  let answered = () => {};
  const pong = new Promise<void>((resolve) => (answered = resolve));
  using client = aClient({ keepAlive: 50, on: { pong: (received) => received && answered() } });
  const answers = chatEvents(client, { chatIds: [chat.id], after: chat.eventCursor });
  await answers.next();
  await pong;
  await answers.return?.();
});

test('a wrong key ends the socket with 4403', async () => {
  using client = aClient({ connectionParams: { Authorization: 'Bearer sb_wrong' } });
  await assert.rejects(client.iterate({ query: print(StartDocument) }).next(), (closed: unknown) => {
    assert.ok(closed instanceof Object && 'code' in closed);
    assert.equal(closed.code, 4403);
    return true;
  });
});
