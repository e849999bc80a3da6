// How a capture takes and leaves cameras, with stand-ins for the browser's parts.

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import './environment.mjs';
import { Service, SESSION } from './service.mjs';
import { init } from '../faceline.js';

let service;
let opened;

class Video extends EventTarget {
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

const globals = {
  document: Object.assign(new EventTarget(), { hidden: false, createElement: () => ({ getContext: () => ({}) }) }),
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
