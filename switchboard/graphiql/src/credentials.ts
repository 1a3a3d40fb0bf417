/** The headers tab as one reads it: any case of the names, values that are texts. */
export type Headers = Record<string, unknown>;

/** The headers tab's text as headers; none while it is not JSON, about which GraphiQL itself complains. */
export function parseHeaders(text: string): Headers {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Headers) : {};
  } catch {
    return {};
  }
}

function header(headers: Headers, name: string): string | undefined {
  const entry = Object.entries(headers).find(([key]) => key.toLowerCase() === name);
  return typeof entry?.[1] === 'string' ? entry[1] : undefined;
}

/**
 * A browser cannot send headers with a WebSocket: the same credentials go into the payload of `connection_init`,
 * under the names that the gateway reads there.
 */
export function connectionParams(headers: Headers): Record<string, string> {
  const params: Record<string, string> = {};
  const authorization = header(headers, 'authorization');
  const organization = header(headers, 'x-organization');
  if (authorization !== undefined) params.Authorization = authorization;
  if (organization !== undefined) params.organization = organization;
  return params;
}

/**
 * What the headers tab holds at first. The demo hands out its key, to a browser on the same machine only; it is asked
 * for anew each time and kept nowhere.
 */
export async function firstHeaders(): Promise<string> {
  const key = await demoKey();
  return JSON.stringify({ Authorization: `Bearer ${key ?? ''}` }, null, 2);
}

async function demoKey(): Promise<string | null> {
  try {
    const response = await fetch('./graphiql/demo-key', { cache: 'no-store' });
    if (response.status !== 200) return null; // 204: not the demo, or not asked from this machine
    const answer: unknown = await response.json();
    return isKey(answer) ? answer.api_key : null;
  } catch {
    return null; // the page is of use without it: the key is typed into the headers tab
  }
}

function isKey(answer: unknown): answer is { api_key: string } {
  return typeof answer === 'object' && answer !== null && 'api_key' in answer && typeof answer.api_key === 'string';
}
