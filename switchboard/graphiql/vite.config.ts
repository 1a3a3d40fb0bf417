import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Writes `name.gz` beside every file worth it, so that the gateway has nothing to compress while it serves. */
function compressed(): Plugin {
  let folder = '';
  return {
    name: 'compressed',
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg|ttf)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const content = await readFile(path);
        const packed = await promisify(gzip)(content, { level: 9 });
        if (packed.length < content.length * 0.9) await writeFile(`${path}.gz`, packed);
      }
    },
  };
}

export default defineConfig({
  // Addresses relative to the page: it works below any prefix that a proxy adds.
  base: './',
  logLevel: 'warn',
  plugins: [compressed()],
  worker: { format: 'es' },
  build: {
    // The page stands at `…/graphql`, what it loads at `…/graphiql/…`; names carry a hash of the content.
    assetsDir: 'graphiql',
    target: 'es2022',
    // The editor alone is 2 MB; it comes from the same machine, once.
    chunkSizeWarningLimit: 4000,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // "use client" is a word to servers that render React; there is none here.
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log),
    },
  },
});
