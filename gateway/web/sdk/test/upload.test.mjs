// The reaction of a capture to each answer of the service, over real connections. Waits are a thousand times shorter,
// and are recorded.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test, { afterEach, beforeEach } from 'node:test';

import { json } from './environment.mjs';
import { opened } from './jwe.mjs';
import { Service, SESSION } from './service.mjs';
import { FacelineError, init } from '../faceline.js';

const realTimeout = globalThis.setTimeout;
const file = new Blob([new Uint8Array(70000)], { type: 'video/webm' });
let service;
let waits;

beforeEach(async () => {
  service = await Service.start();
  waits = [];
  globalThis.setTimeout = (callback, delay = 0, ...values) => {
    // Node's own fetch waits, too.
    if (!new Error().stack.split('\n')[2].includes('faceline.js')) return realTimeout(callback, delay, ...values);
    waits.push(delay);
    return realTimeout(callback, delay / 1000, ...values);
  };
});

afterEach(async () => {
  globalThis.setTimeout = realTimeout;
  await service.stop();
});

/** The function that tests whether an error is that of a code. */
const refused = (code, members = {}) => (error) => {
  assert.ok(error instanceof FacelineError, error);
  assert.equal(error.code, code);
  for (const [name, value] of Object.entries(members)) assert.equal(error[name], value, name);
  return true;
};

const initCapture = (options) => init({ baseUrl: `${service.url}/`, session: SESSION, ...options });

test('a capture is begun with the token, and uploads two parts that open', async () => {
  const capture = await initCapture({ captureToken: 'token' });
  const states = [];
  const values = [];
  capture.addEventListener('state', ({ detail }) => states.push(detail.state));
  await capture.upload(file, { onProgress: (value) => values.push(value) });
  const [{ parts, headers }] = service.received;
  assert.equal(headers['x-capture-token'], 'token');
  assert.match(parts[0].head, /name="metadata"$/);
  assert.match(parts[1].head, /name="media"\r\nContent-Type: application\/octet-stream$/);
  const { claims } = opened(parts[0].content.toString());
  assert.equal(claims.mediaLength, parts[1].content.length);
  assert.deepEqual([claims.id, claims.seed, claims.contentType, claims.mirrored], ['replay-1', 0, 'video/webm', false]);
  assert.equal(values.at(-1), 1);
  assert.deepEqual(states, ['encrypting', 'uploading', 'judging']);
  const keys = service.requests.find(({ path }) => path.includes('jwks'));
  assert.equal(keys.headers['x-capture-token'], undefined);
});

test('without a token the session alone authorises', async () => {
  const capture = await initCapture();
  await capture.upload(file);
  assert.ok(service.requests.every(({ headers }) => !('x-capture-token' in headers) && !('apikey' in headers)));
});

test('parameters and keys of the caller need no request, and other keys are not trusted', async () => {
  const keys = { keys: [service.pair.publicKey.export({ format: 'jwk' })] };
  service.type = 'LIVENESS_ACTIVE';
  const capture = await initCapture({ parameters: service.parameters(), keys });
  assert.deepEqual(service.requests, []);
  assert.deepEqual(capture.challenges, json('challenges.json')[0].challenges.slice(0, 3));
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  await assert.rejects(initCapture({ keys: [other] }), refused('untrusted'));
});

test('unknown outcomes are repeated with the same bytes, after 1 s, 2 s, 4 s and so on', async () => {
  const capture = await initCapture();
  service.uploads = ['broken', { status: 500 }, { status: 408 }, 'broken', { status: 502 }, { status: 504 }, 'broken'];
  await capture.upload(file);
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  assert.equal(service.received.length, 8);
  assert.equal(new Set(service.received.map(({ digest }) => digest)).size, 1);
});

test('a page whose function throws does not make an upload look lost', async () => {
  const reported = [];
  // Browsers report what a listener throws, and go on; Node.js would end.
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error.message));
  try {
    await (await initCapture()).upload(file, { onProgress(value) { throw new Error(`no element for ${value}`); } });
    await new Promise((resolve) => { setImmediate(resolve); });
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.equal(service.received.length, 1);
  assert.equal(reported.at(-1), 'no element for 1');
});

test('an upload waits for Retry-After, and its state says so', async () => {
  const capture = await initCapture();
  service.uploads = [{ status: 429, headers: { 'Retry-After': '7' } }, { status: 503, headers: { 'Retry-After': '3' } },
    { status: 409, headers: { 'Retry-After': '30' } }, { status: 503 }];
  const announced = [];
  capture.addEventListener('state', ({ detail }) => detail.state === 'waiting' && announced.push([detail.reason, detail.retryIn]));
  await capture.upload(file);
  assert.deepEqual(waits, [7000, 3000, 30000, 8000]);
  assert.deepEqual(announced, [['overloaded', 7], ['overloaded', 3], ['overloaded', 30], ['overloaded', 8]]);
  assert.equal(new Set(service.received.map(({ digest }) => digest)).size, 1);
});

test('a later call goes on with the same bytes', async () => {
  const capture = await initCapture();
  service.uploads = [{ status: 503, headers: { 'Retry-After': '20' } }];
  await assert.rejects(capture.upload(file, { timeout: 10000 }), refused('overloaded', { retryAfter: 20, status: 503 }));
  assert.equal(capture.state, 'failed');
  await capture.upload(file);
  const [first, second] = service.received;
  assert.equal(first.digest, second.digest);
});

test('an upload that is refused is not repeated', async () => {
  const capture = await initCapture();
  const refusals = [[400, 'protocol'], [401, 'refused'], [403, 'refused'], [404, 'expired'], [409, 'expired'], [413, 'too-large'], [418, 'protocol']];
  for (const [status, code] of refusals) {
    service.uploads = [{ status, body: { message: 'in words' } }];
    await assert.rejects(capture.upload(file), refused(code, { status, message: 'in words' }));
  }
  assert.equal(service.received.length, refusals.length);
  assert.deepEqual(waits, []);
});

test('metadata that does not open is encrypted anew for new parameters, once', async () => {
  const body = { message: '`metadata` does not open, or is not for this replay' };
  const capture = await initCapture();
  service.uploads = [{ status: 400, body }];
  await capture.upload(file);
  const [first, second] = service.received;
  const claims = [first, second].map(({ parts }) => opened(parts[0].content.toString()).claims);
  assert.deepEqual(claims.map(({ id }) => id), ['replay-1', 'replay-2']);
  assert.notEqual(claims[0].mediaKey, claims[1].mediaKey);
  service.uploads = [{ status: 400, body }, { status: 400, body }];
  await assert.rejects(capture.upload(new Blob(['x'])), refused('protocol'));
  assert.equal(service.received.length, 4);
});

test('a video of replaced challenges is not uploaded', async () => {
  service.type = 'LIVENESS_ACTIVE';
  const parameters = service.parameters();
  const capture = await initCapture({ parameters, keys: { keys: [service.pair.publicKey.export({ format: 'jwk' })] } });
  service.seed = parameters.seed + 1;
  service.uploads = [{ status: 400, body: { message: '`metadata` does not open, or is not for this replay' } }];
  await assert.rejects(capture.upload(file), refused('expired'));
  assert.equal(service.received.length, 1);
});

/** An XMLHttpRequest whose connection is dead after the first piece, and whose second one is answered. */
class SilentRequest {
  static sent = 0;
  upload = {};
  status = 202;
  responseText = '';
  open() {}
  setRequestHeader() {}
  getResponseHeader() { return null; }
  send() {
    SilentRequest.sent += 1;
    this.upload.onprogress({ loaded: 1, total: 2 });
    if (SilentRequest.sent > 1) queueMicrotask(() => { this.onload(); this.onloadend(); });
  }
  abort() { this.onabort(); this.onloadend(); }
}

test('an upload whose connection is silent is sent again', async () => {
  const capture = await initCapture();
  globalThis.XMLHttpRequest = SilentRequest;
  try {
    await capture.upload(file, { timeout: 600000 });
  } finally {
    delete globalThis.XMLHttpRequest;
  }
  assert.equal(SilentRequest.sent, 2);
});

test('a lost network is waited for, and the upload goes on when it is back', async () => {
  const capture = await initCapture();
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const events = new EventTarget();
  const state = { onLine: true };
  Object.defineProperty(globalThis, 'navigator', { value: state, configurable: true });
  globalThis.addEventListener = events.addEventListener.bind(events);
  globalThis.removeEventListener = events.removeEventListener.bind(events);
  try {
    service.uploads = ['broken'];
    state.onLine = false;
    capture.addEventListener('state', ({ detail }) => {
      if (detail.state !== 'waiting') return;
      assert.equal(detail.reason, 'offline');
      realTimeout(() => events.dispatchEvent(new Event('online')), 5);
    });
    const start = Date.now();
    await capture.upload(file, { timeout: 3_600_000 });
    // The wait would have been 3.6 s here.
    assert.ok(Date.now() - start < 3000);
    assert.equal(service.received.length, 2);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
    if (navigator) Object.defineProperty(globalThis, 'navigator', navigator);
    else delete globalThis.navigator;
  }
});

test('a caller or close ends everything', async () => {
  const capture = await initCapture();
  service.uploads = [{ status: 503, headers: { 'Retry-After': '200' } }];
  const controller = new AbortController();
  capture.addEventListener('state', ({ detail }) => detail.state === 'waiting' && controller.abort());
  await assert.rejects(capture.upload(file, { signal: controller.signal }), refused('aborted'));
  service.statuses = Array(50).fill({ body: { status: 'IN_PROGRESS' } });
  const waiting = capture.result();
  capture.close();
  await assert.rejects(waiting, refused('aborted'));
  await assert.rejects(capture.upload(file), refused('aborted'));
});

test('the status is polled until it stays', async () => {
  const capture = await initCapture();
  const body = { id: 'a', status: 'SPOOF' };
  service.statuses = [{ body: { status: 'INITIALIZED' } }, 'broken', { body: { status: 'IN_PROGRESS' } }, { status: 503, headers: { 'Retry-After': '2' } }, { body }];
  assert.deepEqual(await capture.result(), body);
  assert.deepEqual(waits, [1000, 1000, 1000, 2000]);
  service.statuses = [{ status: 404 }];
  await assert.rejects(capture.result(), refused('expired'));
  service.statuses = [{ body: { status: 'IN_PROGRESS' } }];
  await assert.rejects(capture.result({ timeout: 500 }), refused('timeout'));
});

test('a question that nobody answers ends with its time', async () => {
  const capture = await initCapture();
  service.statuses = ['silent'];
  await assert.rejects(capture.result({ timeout: 300 }), refused('offline'));
  const controller = new AbortController();
  service.statuses = ['silent'];
  realTimeout(() => controller.abort(), 50);
  await assert.rejects(capture.result({ signal: controller.signal }), refused('aborted'));
});

test('what keeps a capture from beginning is told', async () => {
  await assert.rejects(initCapture({ session: 'none' }), refused('expired'));
  service.type = 'LIVENESS_ACTIVE';
  await assert.rejects((await initCapture()).capture({ mode: 'still' }), refused('unsupported'));
  const { url } = service;
  await service.stop();
  await assert.rejects(init({ baseUrl: url, session: SESSION }), refused('offline'));
});
