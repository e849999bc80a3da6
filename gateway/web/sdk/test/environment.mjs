// Browser globals that the tests need in Node.js, and the test vectors of the repository.

import { readFileSync } from 'node:fs';
import { webcrypto } from 'node:crypto';

// Node.js 18 has it behind a flag only.
if (!globalThis.crypto) Object.defineProperty(globalThis, 'crypto', { value: webcrypto });

const vectors = new URL('../../../../shared/testdata/replay/', import.meta.url);

/** A file of the test vectors. */
export const bytes = (name) => new Uint8Array(readFileSync(new URL(name, vectors)));

/** A JSON file of the test vectors. */
export const json = (name) => JSON.parse(readFileSync(new URL(name, vectors), 'utf8'));
