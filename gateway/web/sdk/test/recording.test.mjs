// When a capture begins, when it drops a recording, and that nothing of it runs on, with fakes of the browser's objects
// and clock.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test, { afterEach, beforeEach } from 'node:test';

import './environment.mjs';
import { Clock, Recorder, Stream, Video, hide, install } from './media.mjs';
import { Service, SESSION } from './service.mjs';
import { init } from '../faceline.js';

let service;
let uninstall;
let clock;

beforeEach(async () => {
  service = await Service.start();
  uninstall = install({});
});

afterEach(async () => {
  clock?.remove();
  clock = undefined;
  uninstall();
  await service.stop();
});

/** A capture with a camera: its states, and its outcome. */
async function begin(options, video = new Video()) {
  const capture = await init({ baseUrl: `${service.url}/`, session: SESSION });
  clock = new Clock();
  const stream = new Stream();
  const controller = new AbortController();
  const begun = { capture, video, stream, controller, states: [] };
  capture.addEventListener('state', ({ detail }) => begun.states.push(detail.state));
  capture.capture({ video, stream, signal: controller.signal, ...options }).then(
    (recording) => { begun.recording = recording; },
    (error) => { begun.error = error; },
  );
  await clock.pass(0);
  return begun;
}

/** Shows frames for a time, one after each interval. */
async function film({ video }, milliseconds, interval = 100) {
  for (let passed = 0; passed < milliseconds; passed += interval) {
    await clock.pass(interval);
    video.show();
  }
  await clock.pass(0);
}

async function record(options) {
  const begun = await begin(options);
  begun.capture.force();
  await film(begun, 100);
  assert.deepEqual(begun.states, ['framing', 'recording']);
  return begun;
}

/** No timer, no listener and no recorder of a capture is left. */
function assertEnded({ stream, video }) {
  assert.equal(clock.timers.size, 0);
  for (const [target, ...types] of [[stream.track, 'mute', 'ended'], [video, 'resize'], [document, 'visibilitychange']]) {
    for (const type of types) assert.deepEqual(getEventListeners(target, type), [], type);
  }
  for (const { state } of Recorder.made) assert.equal(state, 'inactive');
}

test('a recording without frames is dropped, and the person is framed again', async () => {
  const begun = await record();
  await film(begun, 1000);
  await clock.pass(1000);
  assert.equal(begun.states.at(-1), 'recording');
  await clock.pass(600);
  assert.deepEqual(begun.states, ['framing', 'recording', 'framing']);
  assert.equal(Recorder.made[0].state, 'inactive');
  begun.capture.force();
  await film(begun, 4000);
  assert.deepEqual(begun.states, ['framing', 'recording', 'framing', 'recording', 'recorded']);
  assert.ok(begun.recording.duration >= 3500);
  assertEnded(begun);
});

test('a camera that stops for good is told, also after a recording was dropped', async () => {
  const begun = await record();
  await clock.pass(2000);
  assert.equal(begun.states.at(-1), 'framing');
  // The button does not help.
  begun.capture.force();
  hide(true);
  await clock.pass(60000);
  hide(false);
  assert.equal(begun.states.at(-1), 'framing');
  await clock.pass(10000);
  assert.equal(begun.error?.code, 'camera-busy');
  assertEnded(begun);
});

test('a recorder that never stops does not keep a capture', async () => {
  const begun = await record();
  Recorder.made[0].stop = function stop() { this.state = 'inactive'; };
  await film(begun, 4000);
  assert.equal(begun.states.at(-1), 'recording');
  await film(begun, 5000);
  assert.equal(begun.states.at(-1), 'framing');
  begun.controller.abort();
  await clock.pass(0);
  assertEnded(begun);
});

test('a recording of a muted camera is dropped at once', async () => {
  const begun = await record();
  begun.stream.track.dispatchEvent(new Event('mute'));
  await clock.pass(0);
  assert.equal(begun.states.at(-1), 'framing');
  begun.controller.abort();
  await clock.pass(0);
  assert.equal(begun.error.code, 'aborted');
  assertEnded(begun);
});

test('a slow camera and a busy main thread interrupt no recording', async () => {
  const begun = await record({ duration: 10000 });
  await film(begun, 4000, 200);
  await clock.block(5000);
  await film(begun, 2000, 200);
  assert.deepEqual(begun.states, ['framing', 'recording', 'recorded']);
  assertEnded(begun);
});

test('a page that is hidden before the recorder has begun is framed again', async () => {
  Recorder.isSlow = true;
  const begun = await record();
  hide(true);
  hide(false);
  Recorder.made[0].onstart();
  await clock.pass(0);
  assert.deepEqual(begun.states, ['framing', 'recording', 'framing']);
  begun.capture.force();
  await film(begun, 100);
  await clock.pass(4000);
  assert.equal(begun.states.at(-1), 'recording');
  await clock.pass(1000);
  assert.equal(begun.states.at(-1), 'framing', 'a recorder that never begins');
  begun.controller.abort();
  await clock.pass(0);
  assertEnded(begun);
});

test('an abort before the recorder has begun ends everything', async () => {
  Recorder.isSlow = true;
  const begun = await record();
  begun.controller.abort();
  await clock.pass(0);
  assert.equal(begun.error.code, 'aborted');
  assertEnded(begun);
});

test('after a lost camera nobody is framed any more', async () => {
  Recorder.isSlow = true;
  const begun = await record();
  begun.stream.track.dispatchEvent(new Event('ended'));
  Recorder.made[0].stop();
  await clock.pass(0);
  assert.equal(begun.error.code, 'camera-busy');
  assert.deepEqual(begun.states, ['framing', 'recording', 'failed']);
  assertEnded(begun);
});

test('a recorder that fails is reported, and not begun again', async () => {
  for (const isSlow of [true, false]) {
    Recorder.isSlow = isSlow;
    const begun = await record();
    Recorder.made.at(-1).onerror({ error: new Error('no encoder') });
    await clock.pass(0);
    assert.equal(begun.error.code, 'unsupported');
    assertEnded(begun);
    clock.remove();
  }
});

test('a camera that gives no picture fails after a time in which the person saw the page', async () => {
  const begun = await begin({}, Object.assign(new Video(), { play: () => new Promise(() => {}) }));
  await clock.pass(9000);
  hide(true);
  await clock.pass(60000);
  hide(false);
  await clock.pass(9900);
  assert.deepEqual(begun.states, []);
  await clock.pass(100);
  assert.equal(begun.error?.code, 'camera-busy');
  assertEnded(begun);
});

test('a capture that is aborted before the first picture waits no more', async () => {
  let plays;
  const begun = await begin({}, Object.assign(new Video(), { play: () => new Promise((resolve) => { plays = resolve; }) }));
  begun.controller.abort();
  await clock.pass(0);
  assertEnded(begun);
  plays();
  await clock.pass(0);
  assert.deepEqual(begun.states, ['failed']);
  assertEnded(begun);
});

test('a picture is forced only while the person sees the page', async () => {
  service.type = 'LIVENESS_PASSIVE';
  const begun = await begin({ forceAfter: 5000 });
  await film(begun, 3000);
  hide(true);
  // A desktop's camera goes on.
  await film(begun, 10000);
  hide(false);
  await film(begun, 4900);
  assert.deepEqual(begun.states, ['framing']);
  // Nothing but a frame that the person sees is taken.
  await clock.pass(1000);
  hide(true);
  await film(begun, 1000);
  hide(false);
  assert.deepEqual(begun.states, ['framing']);
  await film(begun, 100);
  assert.deepEqual(begun.states, ['framing', 'recording', 'recorded']);
  assert.equal(begun.recording.contentType, 'image/jpeg');
  assertEnded(begun);
});

test('the screen stays on while a recording is sent and judged, and no longer', async () => {
  const locks = [];
  const wakeLock = {
    async request(type) {
      const lock = { type, isHeld: true, async release() { lock.isHeld = false; } };
      locks.push(lock);
      return lock;
    },
  };
  navigator.wakeLock = wakeLock;
  const capture = await init({ baseUrl: `${service.url}/`, session: SESSION });
  const file = new Blob(['video'], { type: 'video/webm' });
  const during = [];
  capture.addEventListener('state', ({ detail: { state } }) => {
    if (state !== 'uploading') return;
    hide(true);
    during.push(locks.length);
    // The browser has released the lock of the hidden page.
    hide(false);
    during.push(locks.length);
  });
  await capture.upload(file);
  assert.deepEqual(during, [1, 2]);
  await capture.result();
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.deepEqual(locks.map(({ type, isHeld }) => [type, isHeld]), Array(3).fill(['screen', false]));
  assert.deepEqual(getEventListeners(document, 'visibilitychange'), []);

  wakeLock.request = async () => { throw new Error('the policy forbids it'); };
  await capture.upload(new Blob(['more']));
  delete navigator.wakeLock;
  await capture.result();
});
