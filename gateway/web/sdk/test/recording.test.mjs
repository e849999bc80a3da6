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
  const run = { capture, video, stream, controller, states: [] };
  capture.addEventListener('state', ({ detail }) => run.states.push(detail.state));
  capture.capture({ video, stream, signal: controller.signal, ...options }).then(
    (recording) => { run.recording = recording; },
    (error) => { run.error = error; },
  );
  await clock.pass(0);
  return run;
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
  const run = await begin(options);
  run.capture.force();
  await film(run, 100);
  assert.deepEqual(run.states, ['framing', 'recording']);
  return run;
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
  const run = await record();
  await film(run, 1000);
  await clock.pass(1000);
  assert.equal(run.states.at(-1), 'recording');
  await clock.pass(600);
  assert.deepEqual(run.states, ['framing', 'recording', 'framing']);
  assert.equal(Recorder.made[0].state, 'inactive');
  run.capture.force();
  await film(run, 4000);
  assert.deepEqual(run.states, ['framing', 'recording', 'framing', 'recording', 'recorded']);
  assert.ok(run.recording.duration >= 3500);
  assertEnded(run);
});

test('a camera that stops for good is told, also after a recording was dropped', async () => {
  const run = await record();
  await clock.pass(2000);
  assert.equal(run.states.at(-1), 'framing');
  // The button does not help.
  run.capture.force();
  hide(true);
  await clock.pass(60000);
  hide(false);
  assert.equal(run.states.at(-1), 'framing');
  await clock.pass(10000);
  assert.equal(run.error?.code, 'camera-busy');
  assertEnded(run);
});

test('a recorder that never stops does not keep a capture', async () => {
  const run = await record();
  Recorder.made[0].stop = function stop() { this.state = 'inactive'; };
  await film(run, 4000);
  assert.equal(run.states.at(-1), 'recording');
  await film(run, 5000);
  assert.equal(run.states.at(-1), 'framing');
  run.controller.abort();
  await clock.pass(0);
  assertEnded(run);
});

test('a recording of a muted camera is dropped at once', async () => {
  const run = await record();
  run.stream.track.dispatchEvent(new Event('mute'));
  await clock.pass(0);
  assert.equal(run.states.at(-1), 'framing');
  run.controller.abort();
  await clock.pass(0);
  assert.equal(run.error.code, 'aborted');
  assertEnded(run);
});

test('a slow camera and a busy main thread interrupt no recording', async () => {
  const run = await record({ duration: 10000 });
  await film(run, 4000, 200);
  await clock.block(5000);
  await film(run, 2000, 200);
  assert.deepEqual(run.states, ['framing', 'recording', 'recorded']);
  assertEnded(run);
});

test('a page that is hidden before the recorder has begun is framed again', async () => {
  Recorder.isSlow = true;
  const run = await record();
  hide(true);
  hide(false);
  Recorder.made[0].onstart();
  await clock.pass(0);
  assert.deepEqual(run.states, ['framing', 'recording', 'framing']);
  run.capture.force();
  await film(run, 100);
  await clock.pass(4000);
  assert.equal(run.states.at(-1), 'recording');
  await clock.pass(1000);
  assert.equal(run.states.at(-1), 'framing', 'a recorder that never begins');
  run.controller.abort();
  await clock.pass(0);
  assertEnded(run);
});

test('an abort before the recorder has begun ends everything', async () => {
  Recorder.isSlow = true;
  const run = await record();
  run.controller.abort();
  await clock.pass(0);
  assert.equal(run.error.code, 'aborted');
  assertEnded(run);
});

test('after a lost camera nobody is framed any more', async () => {
  Recorder.isSlow = true;
  const run = await record();
  run.stream.track.dispatchEvent(new Event('ended'));
  Recorder.made[0].stop();
  await clock.pass(0);
  assert.equal(run.error.code, 'camera-busy');
  assert.deepEqual(run.states, ['framing', 'recording', 'failed']);
  assertEnded(run);
});

test('a recorder that fails is reported, and not begun again', async () => {
  for (const isSlow of [true, false]) {
    Recorder.isSlow = isSlow;
    const run = await record();
    Recorder.made.at(-1).onerror({ error: new Error('no encoder') });
    await clock.pass(0);
    assert.equal(run.error.code, 'unsupported');
    assertEnded(run);
    clock.remove();
  }
});

test('a camera that gives no picture fails after a time in which the person saw the page', async () => {
  const run = await begin({}, Object.assign(new Video(), { play: () => new Promise(() => {}) }));
  await clock.pass(9000);
  hide(true);
  await clock.pass(60000);
  hide(false);
  await clock.pass(9900);
  assert.deepEqual(run.states, []);
  await clock.pass(100);
  assert.equal(run.error?.code, 'camera-busy');
  assertEnded(run);
});

test('a capture that is aborted before the first picture waits no more', async () => {
  let plays;
  const run = await begin({}, Object.assign(new Video(), { play: () => new Promise((resolve) => { plays = resolve; }) }));
  run.controller.abort();
  await clock.pass(0);
  assertEnded(run);
  plays();
  await clock.pass(0);
  assert.deepEqual(run.states, ['failed']);
  assertEnded(run);
});

test('a picture is forced only while the person sees the page', async () => {
  service.type = 'LIVENESS_PASSIVE';
  const run = await begin({ forceAfter: 5000 });
  await film(run, 3000);
  hide(true);
  // A desktop's camera goes on.
  await film(run, 10000);
  hide(false);
  await film(run, 4900);
  assert.deepEqual(run.states, ['framing']);
  // Nothing but a frame that the person sees is taken.
  await clock.pass(1000);
  hide(true);
  await film(run, 1000);
  hide(false);
  assert.deepEqual(run.states, ['framing']);
  await film(run, 100);
  assert.deepEqual(run.states, ['framing', 'recording', 'recorded']);
  assert.equal(run.recording.contentType, 'image/jpeg');
  assertEnded(run);
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
