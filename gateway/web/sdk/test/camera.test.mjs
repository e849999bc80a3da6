// How a capture takes and leaves cameras, with stand-ins for the browser's parts.

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import './environment.mjs';
import { Service, SESSION } from './service.mjs';
import { init } from '../faceline.js';

let service;
let opened;

class Video extends EventTarget {
  videoWidth = 640;
  videoHeight = 480;
  srcObject = null;
  frames = [];

  async play() {}

  requestVideoFrameCallback(callback) {
    return this.frames.push(callback);
  }

  cancelVideoFrameCallback() {}
}

class Track extends EventTarget {
  readyState = 'live';

  stop() {
    this.readyState = 'ended';
  }
}

class Stream {
  track = new Track();

  getTracks() {
    return [this.track];
  }

  getVideoTracks() {
    return [this.track];
  }
}

/** Of a canvas on which every picture is black. */
const context = {
  drawImage() {},
  getImageData: (x, y, width, height) => ({ data: new Uint8ClampedArray(4 * width * height), width, height }),
};

const globals = {
  document: Object.assign(new EventTarget(), { hidden: false, createElement: () => ({ getContext: () => context }) }),
  MediaRecorder: { isTypeSupported: () => true },
};

beforeEach(async () => {
  service = await Service.start();
  opened = [];
  Object.assign(globalThis, globals);
  const mediaDevices = {
    async getUserMedia() {
      opened.push(new Stream());
      return opened.at(-1);
    },
  };
  Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices }, configurable: true });
});

afterEach(async () => {
  for (const name of Object.keys(globals)) delete globalThis[name];
  delete globalThis.navigator;
  await service.stop();
});

/** Lets what was promised happen, until `condition` holds. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => { setImmediate(resolve); });
}

test('a stream that ended is not taken again', async () => {
  const capture = await init({ baseUrl: `${service.url}/`, session: SESSION });
  const video = new Video();
  const first = capture.capture({ video });
  await until(() => video.frames.length === 1);
  assert.equal(video.srcObject, opened[0]);
  opened[0].track.stop();
  opened[0].track.dispatchEvent(new Event('ended'));
  await assert.rejects(first, { code: 'camera-busy' });

  const controller = new AbortController();
  const second = capture.capture({ video, signal: controller.signal });
  await until(() => video.frames.length === 2);
  assert.equal(opened.length, 2);
  assert.equal(video.srcObject, opened[1]);
  controller.abort();
  await assert.rejects(second);
});

test('a camera that opens after the capture was closed is stopped', async () => {
  const capture = await init({ baseUrl: `${service.url}/`, session: SESSION });
  const running = capture.capture({ video: new Video() });
  capture.close();
  await assert.rejects(running);
  await until(() => opened.length === 1);
  assert.equal(opened[0].track.readyState, 'ended');
});

test('a page whose function throws at a hint still gets the next one', async () => {
  const capture = await init({ baseUrl: `${service.url}/`, session: SESSION });
  const video = new Video();
  const controller = new AbortController();
  const hints = [];
  const reported = [];
  // Browsers report what a listener throws, and go on; Node.js would end.
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error.message));
  try {
    const onHint = ({ hint }) => {
      hints.push(hint);
      throw new Error('no element for this');
    };
    const running = capture.capture({ video, onHint, signal: controller.signal });
    for (let frame = 0; frame < 2; frame += 1) {
      await until(() => video.frames.length > frame);
      // Frames come at most 15 times a second.
      await new Promise((resolve) => { setTimeout(resolve, 70); });
      video.frames[frame]();
    }
    controller.abort();
    await assert.rejects(running, { code: 'aborted' });
    await until(() => reported.length === 2);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.deepEqual(hints, ['too-dark', 'too-dark']);
});
