// urql lists text/event-stream behind JSON with each query: queries are unharmed by streams being on, and subscriptions work.
import { packageOf, print, url } from './packages.mjs';

const { Client, fetchExchange, gql } = packageOf('@urql/core');

const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetchSubscriptions: true,
  preferGetMethod: false,
  fetchOptions: { headers: { Authorization: 'Bearer k' } },
});
const query = await client.query(gql`{ hello }`, {}).toPromise();
const mutation = await client.mutation(gql`mutation { note(text: "x") }`, {}).toPromise();
const failed = await client.query(gql`{ unknown }`, {}).toPromise();
const partial = await client.query(gql`{ hello fail }`, {}).toPromise();
const subscription = await new Promise((resolve, reject) => {
  const seen = [];
  client.subscription(gql`subscription { count(to: 3) }`, {}).subscribe((result) => {
    if (result.error) reject(result.error);
    seen.push(result.data?.count);
    if (seen.length === 3) resolve(seen);
  });
});
print({
  query: query.data,
  mutation: mutation.data,
  failed: failed.error.graphQLErrors[0].extensions.code,
  partial: partial.data,
  subscription,
});
