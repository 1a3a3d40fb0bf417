/**
 * The started gateway that the clients are tried against, and what a test needs around its own subject: a chat to
 * work in. Everything here goes through `fetch`, so that a fault of a client library cannot hide in it.
 */
import assert from 'node:assert/strict';
import { print } from 'graphql';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';

import {
  CreateChatDocument,
  DeleteChatDocument,
  SendMessageDocument,
  StartDocument,
  type BubbleFragment,
  type CreateChatMutation,
} from '../generated/graphql.js';

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`Set ${name}: these tests need a started gateway.`);
  return value;
}

/** Address of the endpoint, ending in `/graphql`. */
export const url = required('SWITCHBOARD_URL');
export const socketUrl = url.replace(/^http/, 'ws');
export const authorization = `Bearer ${required('SWITCHBOARD_API_KEY')}`;

export type CreatedChat = NonNullable<CreateChatMutation['createChat']['chat']>;

/** The data of an operation, or a failed test: an answer with `errors` is never what the caller wanted. */
export async function ask<Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const answer = (await response.json()) as { data?: Data | null; errors?: unknown };
  assert.deepEqual(answer.errors, undefined);
  assert.ok(answer.data);
  return answer.data;
}

/** The id of the source of a vendor, one of those that the demo starts. */
export async function sourceOf(vendor: string): Promise<string> {
  const { sources } = await ask(StartDocument, {});
  const source = sources.find((candidate) => candidate.vendor === vendor);
  assert.ok(source, `the gateway has no source of the vendor ${vendor}`);
  return source.id;
}

/** A chat of the gateway's own store, deleted when the test is over: `await using chat = await aChat('…')`. */
export async function aChat(title: string): Promise<CreatedChat & AsyncDisposable> {
  const { createChat } = await ask(CreateChatDocument, { input: { sourceId: await sourceOf('local'), title } });
  assert.deepEqual(createChat.userErrors, []);
  const chat = createChat.chat;
  assert.ok(chat);
  return {
    ...chat,
    async [Symbol.asyncDispose]() {
      const { deleteChat } = await ask(DeleteChatDocument, { chatId: chat.id });
      assert.equal(deleteChat.deletedChatId, chat.id);
    },
  };
}

/** Sends a message as another client would. */
export async function say(chatId: string, text: string): Promise<BubbleFragment> {
  const { sendMessage } = await ask(SendMessageDocument, { input: { chatId, text, reply: 'NONE' } });
  assert.deepEqual(sendMessage.userErrors, []);
  assert.ok(sendMessage.message);
  return sendMessage.message;
}
