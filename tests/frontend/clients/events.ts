/** What the tests of all subscription clients wait for. */
import assert from 'node:assert/strict';

import type { ChatEventsSubscription } from '../generated/graphql.js';

export type Event = ChatEventsSubscription['chatEvents'];

export interface Answer<Data> {
  data?: Data | null;
  errors?: readonly unknown[];
}

/** The events up to and including the first that `isLast` accepts; the subscription is ended there. */
export async function eventsUntil(
  answers: AsyncIterable<Answer<ChatEventsSubscription>>,
  isLast: (event: Event) => boolean,
  onEvent: (event: Event) => Promise<void> | void = () => undefined,
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const { data, errors } of answers) {
    assert.deepEqual(errors, undefined);
    assert.ok(data);
    events.push(data.chatEvents);
    await onEvent(data.chatEvents);
    if (isLast(data.chatEvents)) return events;
  }
  return assert.fail(`the stream ended after ${events.map((event) => event.__typename).join(', ') || 'nothing'}`);
}

export const isCaughtUp = (event: Event): boolean => event.__typename === 'CaughtUp';

/** Whether this is the news of a message with this text. */
export const says = (text: string) => (event: Event): boolean =>
  event.__typename === 'MessageCreated' && event.message.text === text;

/** The texts of the new messages among the events, in order. */
export const textsOf = (events: Event[]): string[] =>
  events.flatMap((event) => (event.__typename === 'MessageCreated' ? [event.message.text] : []));
