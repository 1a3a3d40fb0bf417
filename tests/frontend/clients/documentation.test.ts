/** The example of docs/live.md, taken from there before it is compiled: what it says is what it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';

import { follow } from '../generated/documentation.js';
import { aChat, authorization, say, socketUrl } from './gateway.js';

const credential = () => authorization.replace('Bearer ', '');

/** A socket that a test can cut, as a network does. */
const cut: WebSocket[] = [];
class Cuttable extends WebSocket {
  constructor(url: string, protocols: string) {
    super(url, protocols);
    cut.push(this);
  }
}

test('a chat is followed over cuts, each message once', async () => {
  await using chat = await aChat('Followed');
  const seen: string[][] = [];
  let waiting: { text: string; resolve: () => void } | undefined;
  const shows = (text: string) => new Promise<void>((resolve) => (waiting = { text, resolve }));
  const stop = follow({
    url: socketUrl,
    credential,
    chatId: chat.id,
    after: chat.eventCursor,
    webSocketImpl: Cuttable,
    reread: () => assert.fail('nothing is missing'),
    show: (messages) => {
      seen.push([...messages.values()]);
      if (waiting && seen.at(-1)?.includes(waiting.text)) waiting.resolve();
    },
  });
  for (const text of ['one', 'two', 'three']) {
    const shown = shows(text);
    await say(chat.id, text);
    await shown;
    cut.at(-1)?.terminate();
    await say(chat.id, `${text} while it was cut`);
  }
  await shows('three while it was cut');
  stop();
  assert.deepEqual(seen.at(-1), [
    'one',
    'one while it was cut',
    'two',
    'two while it was cut',
    'three',
    'three while it was cut',
  ]);
  assert.ok(cut.length >= 3);
});

test('a refused credential is not tried again and again', async () => {
  await using chat = await aChat('Refused');
  const before = cut.length;
  await new Promise<void>((resolve) => {
    follow({
      url: socketUrl,
      credential: () => 'sb_wrong',
      chatId: chat.id,
      after: chat.eventCursor,
      webSocketImpl: Cuttable,
      reread: resolve,
      show: () => assert.fail('it must not see anything'),
    });
  });
  assert.equal(cut.length, before + 1);
});

test('a position of another log is a gap, and the chat is to be read again', async () => {
  await using chat = await aChat('Lost');
  const forged = chat.eventCursor.slice(0, -2) + (chat.eventCursor.endsWith('AA') ? 'BB' : 'AA');
  await new Promise<void>((resolve) => {
    const stop = follow({
      url: socketUrl,
      credential,
      chatId: chat.id,
      after: forged,
      webSocketImpl: WebSocket,
      reread: () => {
        stop();
        resolve();
      },
      show: () => undefined,
    });
  });
});

test('the newest token is taken at each connection', async () => {
  await using chat = await aChat('Renewed');
  let asked = 0;
  const twice = new Promise<void>((resolve) => {
    const stop = follow({
      url: socketUrl,
      credential: () => {
        asked += 1;
        if (asked === 2) resolve(stop());
        return credential();
      },
      chatId: chat.id,
      after: chat.eventCursor,
      webSocketImpl: Cuttable,
      reread: () => undefined,
      show: () => cut.at(-1)?.terminate(),
    });
  });
  await twice;
  assert.equal(asked, 2);
});
