import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getMainDefinition, relayStylePagination } from '@apollo/client/utilities';
import { createClient as createSocketClient } from 'graphql-ws';
import { firstValueFrom } from 'rxjs';
import { WebSocket } from 'ws';

import {
  BubbleFragmentDoc,
  ChatListDocument,
  CreateChatDocument,
  MessageAddedDocument,
  OpenChatDocument,
  PinChatDocument,
} from '../generated/graphql.js';
import possibleTypes from '../generated/possible-types.js';
import { aChat, authorization, say, socketUrl, sourceOf, url } from './gateway.js';

/** A client as a front end sets it up: HTTP and a socket behind one link, a cache that knows the lists. */
function aClient(): ApolloClient & AsyncDisposable {
  const socket = createSocketClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: authorization },
  });
  const isSubscription = (operation: ApolloLink.Operation) => {
    const definition = getMainDefinition(operation.query);
    return definition.kind === 'OperationDefinition' && definition.operation === 'subscription';
  };
  const client = new ApolloClient({
    link: ApolloLink.split(
      isSubscription,
      new GraphQLWsLink(socket),
      new HttpLink({ uri: url, headers: { authorization } }),
    ),
    cache: new InMemoryCache({
      possibleTypes: possibleTypes.possibleTypes,
      typePolicies: {
        Query: { fields: { chats: relayStylePagination(['filter', 'orderBy']) } },
        Chat: { fields: { messages: relayStylePagination(['branch']) } },
      },
    }),
  });
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      client.stop();
      await socket.dispose();
    },
  });
}

test('pages grow into one list in the cache, every chat once', async () => {
  await using one = await aChat('Page one');
  await using two = await aChat('Page two');
  await using three = await aChat('Page three');
  await using client = aClient();
  const variables = { first: 2, filter: { sourceIds: [one.source.id] } };

  const sizes: number[] = [];
  let page = (await client.query({ query: ChatListDocument, variables })).data?.chats;
  const watched = client.watchQuery({ query: ChatListDocument, variables });
  while (page) {
    sizes.push(page.edges.length);
    if (!page.pageInfo.hasNextPage) break;
    page = (await watched.fetchMore({ variables: { after: page.pageInfo.endCursor } })).data?.chats;
  }
  watched.stop();

  const list = client.readQuery({ query: ChatListDocument, variables })?.chats?.edges ?? [];
  const ids = list.map((edge) => edge.node.id);
  assert.ok(sizes.length > 1, 'more than one page');
  assert.equal(ids.length, sizes.reduce((sum, size) => sum + size, 0));
  assert.equal(new Set(ids).size, ids.length);
  for (const chat of [one, two, three]) assert.ok(ids.includes(chat.id), `${chat.title} is in the list`);
});

test('a mutation reaches every place that shows the chat, without asking again', async () => {
  await using chat = await aChat('Pinned with Apollo');
  await using client = aClient();
  const variables = { first: 20 };
  await client.query({ query: ChatListDocument, variables });
  await client.mutate({ mutation: PinChatDocument, variables: { chatId: chat.id, pinned: true } });
  const { data } = await client.query({ query: ChatListDocument, variables, fetchPolicy: 'cache-only' });
  const row = data?.chats?.edges.find((edge) => edge.node.id === chat.id)?.node;
  assert.deepEqual([row?.title, row?.pinned], ['Pinned with Apollo', true]);
});

test('a message that is in the page and in the stream is one in the cache', async () => {
  await using chat = await aChat('Page, then stream');
  await using client = aClient();
  const sent = await say(chat.id, 'in both');
  const opened = await client.query({ query: OpenChatDocument, variables: { id: chat.id, last: 50 } });
  assert.deepEqual(opened.data?.chat?.messages?.edges.map((edge) => edge.node.id), [sent.id]);

  const news = await firstValueFrom(
    client.subscribe({ query: MessageAddedDocument, variables: { chatId: chat.id, after: chat.eventCursor } }),
  );
  assert.equal(news.data?.messageAdded.message.id, sent.id);
  const bubble = { id: client.cache.identify({ __typename: 'Message', id: sent.id })!, fragmentName: 'Bubble' };
  assert.equal(client.readFragment({ ...bubble, fragment: BubbleFragmentDoc })?.text, 'in both');
  const messages = Object.keys(client.extract() as object).filter((key) => key.startsWith('Message:'));
  assert.deepEqual(messages, [`Message:${sent.id}`]);
});

test('subscribing after a page delivers what came in between', async () => {
  await using chat = await aChat('No hole');
  await using client = aClient();
  const { data } = await client.query({ query: OpenChatDocument, variables: { id: chat.id, last: 50 } });
  const after = data?.chat?.messages?.eventCursor;
  assert.ok(after);
  await say(chat.id, 'between page and stream');
  const news = await firstValueFrom(
    client.subscribe({ query: MessageAddedDocument, variables: { chatId: chat.id, after } }),
  );
  assert.equal(news.data?.messageAdded.message.text, 'between page and stream');
});

test('older messages are put before the newest end', async () => {
  await using chat = await aChat('Scrolled up');
  await using client = aClient();
  for (const text of ['one', 'two', 'three']) await say(chat.id, text);
  const variables = { id: chat.id, last: 2 };
  const newest = (await client.query({ query: OpenChatDocument, variables })).data?.chat?.messages;
  const watched = client.watchQuery({ query: OpenChatDocument, variables });
  assert.deepEqual(newest?.edges.map((edge) => edge.node.text), ['two', 'three']);
  assert.equal(newest?.pageInfo.hasPreviousPage, true);
  await watched.fetchMore({ variables: { before: newest?.pageInfo.startCursor } });
  const whole = client.readQuery({ query: OpenChatDocument, variables })?.chat?.messages;
  assert.deepEqual(whole?.edges.map((edge) => edge.node.text), ['one', 'two', 'three']);
  watched.stop();
});

test('a problem of the input comes typed in the payload, through a fragment on its interface', async () => {
  await using client = aClient();
  const input = { sourceId: await sourceOf('local'), folderId: 'not-an-id', title: 'Nowhere' };
  const { data } = await client.mutate({ mutation: CreateChatDocument, variables: { input } });
  assert.equal(data?.createChat.chat, null);
  const [problem] = data?.createChat.userErrors ?? [];
  assert.equal(problem?.code, 'NOT_FOUND');
  assert.deepEqual(problem?.path, ['input', 'folderId']);
});
