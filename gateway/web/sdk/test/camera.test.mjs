// How a capture opens and releases cameras, with fakes of the browser's objects.

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import './environment.mjs';
import { Stream, Video, install, until } from './media.mjs';
import { Service, SESSION } from './service.mjs';
import { FacelineError, init, openCamera, recordingType } from '../faceline.js';

let service;
let opened;
let uninstall;

beforeEach(async () => {
  service = await Service.start();
  opened = [];
  const mediaDevices = {
    async getUserMedia() {
      opened.push(new Stream());
      return opened.at(-1);
    },
  };
  uninstall = install({ mediaDevices });
});

afterEach(async () => {
  uninstall();
  await service.stop();
});

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

test('an error has its cause in browsers whose Error takes none', async () => {
  const cause = Object.assign(new Error('denied'), { name: 'NotAllowedError' });
  navigator.mediaDevices.getUserMedia = async () => { throw cause; };
  const prototype = Object.getPrototypeOf(FacelineError);
  Object.setPrototypeOf(FacelineError, function OldError(message) { return Reflect.construct(Error, [message], new.target); });
  try {
    await assert.rejects(openCamera(), (error) => error.code === 'camera-denied' && error.cause === cause);
  } finally {
    Object.setPrototypeOf(FacelineError, prototype);
  }
});

test('WebKit records MP4 where it can, and other browsers WebM', (t) => {
  const supported = (...types) => t.mock.method(MediaRecorder, 'isTypeSupported', (type) => types.some((known) => type.startsWith(known)));
  supported('video/webm', 'video/mp4');
  assert.equal(recordingType(), 'video/webm;codecs=vp8');
  navigator.vendor = 'Google Inc.';
  assert.equal(recordingType(), 'video/webm;codecs=vp8');
  navigator.vendor = 'Apple Computer, Inc.';
  assert.equal(recordingType(), 'video/mp4;codecs=avc1.42E01F');
  supported('video/webm');
  assert.equal(recordingType(), 'video/webm;codecs=vp8');
  supported();
  assert.equal(recordingType(), undefined);
});

/** The capture page's camera over an SDK whose devices have these ids and of which only one can be open. */
async function cameraOfPage(devices) {
  // The module makes a canvas at once.
  const { cameraOf } = await import('../../capture/camera.js');
  const streams = [];
  const sdk = {
    cameras: async () => [],
    async openCamera({ deviceId = devices[0] } = {}) {
      if (!devices.includes(deviceId)) throw new FacelineError('camera-missing', 'no camera is as it was asked for');
      if (streams.some(({ track }) => track.readyState === 'live')) throw new FacelineError('camera-busy', 'the camera is in use');
      streams.push(new Stream());
      streams.at(-1).track.settings = { deviceId };
      return streams.at(-1);
    },
  };
  const video = new Video();
  return { camera: cameraOf(sdk, video, []), video, device: () => video.srcObject?.track.settings.deviceId };
}

test('the page closes a camera before it opens another one', async () => {
  const { camera, video, device } = await cameraOfPage(['front', 'back']);
  video.srcObject = await camera.open();
  camera.choose('back');
  video.srcObject = await camera.open();
  assert.equal(device(), 'back');
  camera.close();
  assert.equal(video.srcObject, null);
});

test('the page opens another camera if the last one was unplugged', async () => {
  const devices = ['desk', 'lid'];
  const { camera, video, device } = await cameraOfPage(devices);
  video.srcObject = await camera.open();
  devices.shift();
  video.srcObject = await camera.open();
  assert.equal(device(), 'lid');
  devices.shift();
  await assert.rejects(camera.open(), { code: 'camera-missing' });
});
