// The published package: its size, its files, and that the types match the module.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';

import './environment.mjs';
import * as sdk from '../faceline.js';

const MAX_COMPRESSED_BYTES = 30000;
const file = (name) => new URL(`../${name}`, import.meta.url);
const text = (name) => readFileSync(file(name), 'utf8');

test('the module is below 30 kB compressed, and needs no other', () => {
  const compressed = gzipSync(text('faceline.js')).length;
  assert.ok(compressed < MAX_COMPRESSED_BYTES, `${compressed} bytes`);
  // Comments name types of faceline.d.ts by `import`.
  const code = text('faceline.js').replace(/\/\*[^]*?\*\//g, '');
  assert.doesNotMatch(code, /^import |\bimport\(|\brequire\(/m);
});

test('the package names files that are there, with its own version', () => {
  const { files, exports, types, version, dependencies } = JSON.parse(text('package.json'));
  for (const name of [...files, exports['.'].types, exports['.'].default, types, 'README.md']) assert.ok(existsSync(file(name)), name);
  assert.equal(version, sdk.version);
  assert.equal(dependencies, undefined);
  assert.equal(text('LICENSE'), text('../../../LICENSE'));
  const workspace = readFileSync(new URL('../../../../Cargo.toml', import.meta.url), 'utf8');
  assert.equal(version, /^version = "(.+)"$/m.exec(workspace)[1]);
});

test('the types declare what the module exports', () => {
  const declared = [...text('faceline.d.ts').matchAll(/^export (?:function|const|class) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(sdk).sort());
});
