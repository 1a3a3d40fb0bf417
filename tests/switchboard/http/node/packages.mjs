// The packages are those of tests/frontend, which is the working directory of these scripts.
import { createRequire } from 'node:module';

export const packageOf = createRequire(`${process.cwd()}/package.json`);
export const url = process.argv[2];
export const socketUrl = url.replace('http', 'ws');

export function print(result) {
  process.stdout.write(JSON.stringify(result));
}
