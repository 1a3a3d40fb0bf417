// A gateway that goes away: the client connects again by itself and its subscription goes on.
import { packageOf, print, socketUrl } from './packages.mjs';

const { createClient } = packageOf('graphql-ws');
const { WebSocket } = packageOf('ws');

const closes = [];
const client = createClient({
  url: socketUrl,
  webSocketImpl: WebSocket,
  retryAttempts: 20,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  shouldRetry: () => true,
  on: { closed: (event) => closes.push(event.code) },
});
const seen = [];
for await (const { data } of client.iterate({ query: 'subscription { ticks }' })) {
  seen.push(data.ticks);
  process.stderr.write(`${data.ticks}\n`);
  if (seen.length === 2) break;
}
await client.dispose();
print({ seen, closes });
