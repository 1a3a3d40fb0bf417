import type { GraphiQLProps } from 'graphiql';

import chats from './examples/chats.graphql?raw';
import openChat from './examples/open-chat.graphql?raw';
import sendMessage from './examples/send-message.graphql?raw';

const variables = (value: object) => JSON.stringify(value, null, 2);

/** What somebody sees who opens the page for the first time. A test checks the documents against the schema. */
export const examples = (headers: string): NonNullable<GraphiQLProps['defaultTabs']> => [
  { query: chats, variables: null, headers },
  { query: openChat, variables: variables({ id: '' }), headers },
  { query: sendMessage, variables: variables({ chatId: '', text: 'Hello!' }), headers },
];
