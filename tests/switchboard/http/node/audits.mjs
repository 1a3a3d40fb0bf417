// The server audits of graphql-http: [{ id, name, status, reason }]
import { packageOf, print, url } from './packages.mjs';

const { auditServer } = packageOf('graphql-http');
const results = await auditServer({ url });
print(results.map(({ id, name, status, reason }) => ({ id, name, status, reason: reason ?? null })));
