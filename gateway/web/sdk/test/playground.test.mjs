// The playground, without a browser: its curl lines send the same call, for any file name.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { File } from 'node:buffer';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';

import './environment.mjs';
import { SERVICE } from '../../capture/entry.js';

// Node.js 18 has no global File.
globalThis.File ??= File;
globalThis.isSecureContext = true;
const calls = await import('../../playground/calls.js');
const { formField, indented, quoted, requestText } = await import('../../playground/exchange.js');

const missing = ['bash', 'curl', 'jq'].filter((name) => spawnSync(name, ['--version']).status !== 0);
const skip = missing.length ? `${missing.join(' and ')} not installed` : false;

const NAMES = ['a b.jpg', 'it\'s "me";type=x,$(touch oops) `y`.jpg', '-n.jpg', 'back\\slash.jpg'];
let folder;
let server;
let seen;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'faceline-playground-'));
  for (const [at, name] of NAMES.entries()) writeFileSync(join(folder, name), `picture ${at}`);
  server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    seen = { method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(pieces).toString('latin1') };
    response.end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const picture = (at) => new File([`picture ${at}`], NAMES[at]);

/** The curl line that a call shows. The page itself gets no answer. */
async function lineOf(call, input) {
  const { fetch } = globalThis;
  globalThis.fetch = async () => { throw new Error('offline'); };
  let line;
  const view = () => ({ request(_, curl) { line = curl; }, answer() {}, failed() {} });
  try {
    await assert.rejects(calls[call]({ ...input, view, keys: { apikey: 'secret', client: 'secret', bws: 'c2VjcmV0' } }), /offline/);
  } finally {
    globalThis.fetch = fetch;
  }
  assert.ok(!line.includes('secret'), line);
  return line;
}

/** What arrives when a shell runs a line. */
async function arrived(line) {
  seen = undefined;
  const url = `http://127.0.0.1:${server.address().port}/`;
  const script = line.replaceAll(SERVICE.href, url);
  const child = spawn('bash', ['-c', script], { cwd: folder, env: { ...process.env, APIKEY: 'key', BWS_TOKEN: 'token', CAPTURE_TOKEN: 'token' } });
  const [status] = await once(child, 'exit');
  assert.equal(status, 0, line);
  return seen;
}

test('the lines for pictures send them, whatever they are called', { skip }, async () => {
  for (const [first, second] of [[0, 1], [2, 3]]) {
    const line = await lineOf('match', { pictures: { reference: picture(first), candidate: picture(second) } });
    const { method, path, headers, body } = await arrived(line);
    assert.deepEqual([method, path, headers.apikey], ['POST', '/bioserver-app/v2/match/images', 'key']);
    for (const [name, content] of Object.entries({
      referenceImage: `picture ${first}`, referenceImageType: 'SELFIE', candidateImage: `picture ${second}`, candidateImageType: 'SELFIE',
    })) {
      assert.match(body, new RegExp(`name="${name}"[^]*?\r\n\r\n${content}\r\n`), line);
    }
  }
});

test('the line for a photo and live pictures sends them in JSON, whatever they are called', { skip }, async () => {
  const pictures = { photo: picture(2), live1: picture(1), live2: picture(3) };
  const { path, headers, body } = await arrived(await lineOf('verify', { pictures, fields: { disableLivenessDetection: 'on' } }));
  assert.deepEqual([path, headers.authorization, headers['content-type']], ['/api/v1/photoverify', 'Bearer token', 'application/json']);
  const base64 = (at) => Buffer.from(`picture ${at}`).toString('base64');
  assert.deepEqual(JSON.parse(body), {
    photo: base64(2), liveImages: [{ image: base64(1) }, { image: base64(3) }], disableLivenessDetection: true,
  });
});

test('a word of the shell is one word', () => {
  for (const word of ['plain.jpg', 'a=b', '@x']) assert.equal(quoted(word), word);
  assert.equal(quoted(''), "''");
  assert.equal(quoted("it's $HOME"), "'it'\\''s $HOME'");
  assert.equal(quoted('two\nlines'), "'two\nlines'");
  assert.equal(formField('image', new File([], 'a;b".jpg')), 'image=@"a;b\\".jpg"');
});

test('a request shows its path as it is sent, and no secret', () => {
  const shown = requestText({ method: 'POST', path: 'api/v1/photoverify', headers: { Authorization: 'Bearer secret', apikey: 'secret' }, body: '{"a":1.50}' });
  const [first] = shown.split('\n');
  assert.equal(first, `POST ${SERVICE.pathname}api/v1/photoverify HTTP/1.1`);
  assert.ok(!shown.includes('secret'), shown);
  assert.ok(shown.endsWith('{\n  "a": 1.50\n}'), shown);
  assert.equal(indented('{"a":[],"b":"{,}"}'), '{\n  "a": [],\n  "b": "{,}"\n}');
});
