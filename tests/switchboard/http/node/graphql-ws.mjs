// The real graphql-ws client: ordinary flow, errors, ping, and coming back after a broken connection.
import { packageOf, print, socketUrl } from './packages.mjs';

const { createClient } = packageOf('graphql-ws');
const { WebSocket } = packageOf('ws');

async function collect(client, request) {
  const results = [];
  for await (const result of client.iterate(request)) results.push(result);
  return results;
}

async function ordinaryFlow() {
  const client = createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams: { Authorization: 'Bearer k' } });
  const [query, subscription, failed] = await Promise.all([
    collect(client, { query: 'query Q($text: String!) { echo(text: $text) }', variables: { text: 'é🏃' }, operationName: 'Q' }),
    collect(client, { query: 'subscription { count(to: 5) }' }),
    collect(client, { query: '{ unknown }' }).catch((errors) => errors.map((error) => error.extensions.code)),
  ]);
  await client.dispose();
  return { query, subscription, failed };
}

async function refused() {
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: 'Bearer wrong' },
    retryAttempts: 0,
  });
  try {
    await collect(client, { query: '{ hello }' });
    return null;
  } catch (event) {
    return event.code;
  } finally {
    await client.dispose();
  }
}

async function ping() {
  let ponged;
  const pong = new Promise((resolve) => (ponged = resolve));
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: 'Bearer k' },
    lazy: false,
    keepAlive: 10,
    on: { pong: (received) => received && ponged(true) },
  });
  const result = await pong;
  await client.dispose();
  return result;
}

// The connection breaks after the second number; the client connects again by itself and goes on behind what it has processed.
async function resume() {
  let socket;
  let connections = 0;
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: 'Bearer k' },
    retryAttempts: 0,
    on: {
      connected: (opened) => {
        socket = opened;
        connections += 1;
      },
    },
  });
  const seen = [];
  for (;;) {
    try {
      // The second number is followed by nothing on its connection, so that the break falls exactly there.
      const query = 'subscription($after: Int!) { numbers(after: $after, pauseAt: 2, to: 6) }';
      for await (const { data } of client.iterate({ query, variables: { after: seen.at(-1) ?? 0 } })) {
        seen.push(data.numbers);
        if (seen.length === 2) socket.terminate();
      }
      break;
    } catch (event) {
      if (connections > 3) throw event;
    }
  }
  await client.dispose();
  return { seen, connections };
}

print({ ...(await ordinaryFlow()), refused: await refused(), ping: await ping(), resume: await resume() });
