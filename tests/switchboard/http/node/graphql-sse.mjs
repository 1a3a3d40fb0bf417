// The real graphql-sse client in distinct connections mode.
import { packageOf, print, url } from './packages.mjs';

const { createClient } = packageOf('graphql-sse');

async function collect(client, query) {
  const results = [];
  for await (const result of client.iterate({ query })) results.push(result);
  return results;
}

const client = createClient({ url, headers: { Authorization: 'Bearer k' } });
const [subscription, query, failed] = await Promise.all([
  collect(client, 'subscription { count(to: 5) }'),
  collect(client, '{ hello }'),
  collect(client, '{ unknown }'),
]);

const stopping = client.iterate({ query: 'subscription { ticks }' });
const waiting = stopping.next();
await new Promise((resolve) => setTimeout(resolve, 100));
await stopping.return();
await waiting;

const stranger = createClient({ url, headers: { Authorization: 'Bearer wrong' }, retryAttempts: 0 });
const refused = await collect(stranger, '{ hello }').catch((error) => error.response?.status ?? String(error));

print({ subscription, query, failed: failed[0].errors[0].extensions.code, refused });
