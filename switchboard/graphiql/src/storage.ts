import type { GraphiQLProps } from 'graphiql';

/**
 * Tabs, sizes and theme, kept apart from those of other pages that were served from this port: `localhost:4000` has
 * been many projects' address. What the headers tab holds is never kept (`shouldPersistHeaders` is off).
 */
const PREFIX = 'switchboard:';

export const storage: NonNullable<GraphiQLProps['storage']> = {
  get length() {
    return ownKeys().length;
  },
  getItem: (key) => localStorage.getItem(PREFIX + key),
  setItem: (key, value) => localStorage.setItem(PREFIX + key, value),
  removeItem: (key) => localStorage.removeItem(PREFIX + key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
};

function ownKeys(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
}
