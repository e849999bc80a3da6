// The scripts for pages of the original service, without a browser: what they do with the service's answers, and which
// names they have. The page in deploy/e2e/browser/original-style goes through them with a camera.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { afterEach, beforeEach } from 'node:test';

import './environment.mjs';
import { Service, SESSION } from './service.mjs';
import { framing } from '../faceline.js';

let service;
beforeEach(async () => { service = await Service.start(); });
afterEach(() => service.stop());

/** Runs a script as a page does that loads it from beside faceline.js, and gives its global. */
function load(name, surroundings = {}) {
  const source = readFileSync(new URL(`../../compatible/${name}`, import.meta.url), 'utf8');
  const window = { isSecureContext: true, ...surroundings.window };
  const document = { currentScript: { src: new URL(`../${name}`, import.meta.url).href }, createElement: () => ({}), ...surroundings.document };
  const navigator = { userAgent: '', ...surroundings.navigator };
  const values = { window, document, navigator, fetch: surroundings.fetch ?? fetch };
  // Not every version of Node.js can import in a function that is made of a text.
  window.load = (url) => import(url);
  new Function(...Object.keys(values), source.replace('import(', 'window.load('))(...Object.values(values));
  return window;
}

const { BioserverVideo } = load('bioserver-video-api.js');

/** A client of the session, and what its callbacks got. */
async function client(options = {}) {
  const callbackCalls = [];
  const names = ['onClientInitEnd', 'trackingFn', 'showChallengeInstruction', 'showChallengeResult', 'errorFn', 'showLuminosityCheckResult'];
  const callbacks = Object.fromEntries(names.map((name) => [name, (value) => callbackCalls.push([name, value])]));
  const whole = { bioSessionId: SESSION, bioserverVideoUrl: service.url, wspath: '/video-server/engine.io', ...callbacks, ...options };
  const made = await BioserverVideo.initFaceCaptureClient(whole).catch((error) => error);
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  return { made, callbackCalls };
}

const only = (callbackCalls, ...names) => callbackCalls.filter(([name]) => names.includes(name));

test('a client uploads and waits, and calls back in order', async () => {
  const { made, callbackCalls } = await client();
  assert.deepEqual(callbackCalls.slice(0, 3).map(([, value]) => value.downloadProgress), [0, 0.5, 1]);
  assert.equal(callbackCalls.at(-1)[0], 'onClientInitEnd');
  made.capture.capture = async () => new Blob(['video'], { type: 'video/webm' });
  service.statuses = [{ body: { status: 'SUCCESS', landmarks: { box: { x: 1, y: 2, width: 3, height: 4 } } } }];
  callbackCalls.length = 0;
  await made.startCapture({ stream: {} });
  assert.deepEqual(only(callbackCalls, 'showChallengeInstruction', 'showChallengeResult'), [
    ['showChallengeInstruction', 'TRACKER_CHALLENGE_DONT_MOVE'],
    ['showChallengeInstruction', 'TRACKER_CHALLENGE_PENDING'],
    ['showChallengeResult', { bestImageInfo: { boxX: 1, boxY: 2, boxW: 3, boxH: 4 } }],
  ]);
  assert.equal(only(callbackCalls, 'trackingFn').at(-1)[1].uploadProgress, 1);
  assert.ok(service.requests.every(({ headers }) => !headers.apikey && !headers['x-capture-token']));
});

test('active mode begins with its own instruction, without onClientInitEnd, and has no element for light', async () => {
  service.type = 'LIVENESS_ACTIVE';
  const { made, callbackCalls } = await client();
  assert.deepEqual(only(callbackCalls, 'onClientInitEnd', 'errorFn'), []);
  // Of seed 0: up, left, right.
  const video = { videoWidth: 640, videoHeight: 480 };
  const dark = framing({ data: new Uint8ClampedArray(4 * 64 * 48), width: 64, height: 48 });
  assert.equal(dark.hint, 'too-dark');
  const info = made.trackingInfo(dark, video);
  assert.equal(info.positionInfo, 'TRACKER_POSITION_INFO_MOVE_BACK_INTO_FRAME');
  assert.deepEqual(info.livenessActive.challengeCircles, [{ pos: 'T' }, { pos: 'L' }, { pos: 'R' }]);
  assert.equal(info.livenessHigh, info.livenessActive);
  assert.equal(info.livenessActive.stillFace, true);
  const bright = made.trackingInfo({ ...dark, hint: 'too-bright', face: { x: 0.4, y: 0.3, width: 0.2, height: 0.4 } }, video);
  assert.equal(bright.positionInfo, 'TRACKER_POSITION_INFO_GOOD');
  assert.deepEqual([bright.facex, bright.facey, bright.facew, bright.faceh], [256, 144, 128, 192]);
});

test('passive modes tell of light and of places', async () => {
  const { made } = await client();
  const face = { x: 0.6, y: 0.3, width: 0.2, height: 0.4 };
  const position = (members) => made.trackingInfo({ face, offset: { x: 0, y: 0 }, motion: 0, ...members }, { videoWidth: 640, videoHeight: 480 })
    .positionInfo.replace('TRACKER_POSITION_INFO_', '');
  assert.equal(position({ hint: 'good' }), 'GOOD');
  assert.equal(position({ hint: 'too-dark' }), 'MOVE_BRIGHTER_AREA');
  assert.equal(position({ hint: 'too-bright' }), 'MOVE_DARKER_AREA');
  assert.equal(position({ hint: 'too-far' }), 'CENTER_MOVE_FORWARDS');
  assert.equal(position({ hint: 'too-close' }), 'CENTER_MOVE_BACKWARDS');
  // The right of a camera's frame is the person's left.
  assert.equal(position({ hint: 'off-centre', offset: { x: 0.3, y: 0 } }), 'CENTER_MOVE_RIGHT');
  assert.equal(position({ hint: 'off-centre', offset: { x: 0, y: 0.3 } }), 'CENTER_MOVE_UP');
  assert.equal(position({ hint: 'hold-still', motion: 8 }), 'STAND_STILL');
  assert.equal(position({ hint: 'hold-still', motion: 20 }), 'MOVING_TOO_FAST');
});

test('errors are told with the codes that pages know', async () => {
  const failure = async (answer) => {
    const { made, callbackCalls } = await client();
    made.capture.capture = async () => new Blob(['video']);
    const { upload } = made.capture;
    made.capture.upload = (file, options) => upload.call(made.capture, file, { ...options, timeout: 500 });
    service.uploads = [answer];
    await made.startCapture({});
    return only(callbackCalls, 'errorFn').map(([, error]) => error);
  };
  const [blocked] = await failure({ status: 429, headers: { 'Retry-After': '60' } });
  assert.equal(blocked.code, 429);
  assert.ok(Math.abs(Date.parse(blocked.unlockDateTime) - Date.now() - 60000) < 5000);
  assert.equal((await failure({ status: 503, headers: { 'Retry-After': '60' } }))[0].code, 503);
  assert.deepEqual(await failure({ status: 404, body: { message: 'the session has ended' } }), [{ code: 404, error: 'the session has ended' }]);
  const { made, callbackCalls } = await client({ bioSessionId: 'none' });
  assert.ok(made instanceof Error);
  assert.equal(only(callbackCalls, 'errorFn')[0][1].code, 404);
});

test('what a function of the page throws ends no capture', async () => {
  const reported = [];
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error.message));
  try {
    const throwing = (name) => () => { throw new Error(name); };
    const { made, callbackCalls } = await client({ trackingFn: throwing('tracking'), showChallengeInstruction: throwing('instruction') });
    made.capture.capture = async () => new Blob(['video'], { type: 'video/webm' });
    await made.startCapture({ stream: {} });
    assert.deepEqual(callbackCalls.map(([name]) => name), ['onClientInitEnd', 'showChallengeResult']);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.deepEqual([...new Set(reported)], ['tracking', 'instruction']);
});

test('a type that is not provided is said to be so', async () => {
  service.type = 'LIVENESS_MLC';
  const { callbackCalls } = await client();
  assert.deepEqual(only(callbackCalls, 'errorFn'), [['errorFn', { code: 501, error: 'LIVENESS_MLC is not provided by this service' }]]);
});

test('after disconnect no callback comes', async () => {
  const { made, callbackCalls } = await client();
  callbackCalls.length = 0;
  let begun;
  made.capture.capture = ({ signal }) => new Promise((_, reject) => {
    begun = true;
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
  const capturing = made.start({}, 'label');
  assert.ok(begun);
  const disconnected = made.disconnect();
  assert.ok(disconnected instanceof Promise);
  await Promise.all([disconnected, capturing]);
  assert.deepEqual(callbackCalls, [['showChallengeInstruction', 'TRACKER_CHALLENGE_DONT_MOVE']]);
});

test('the service is where the options say, with the prefix of a proxy in either', async () => {
  for (const options of [
    { bioserverVideoUrl: `${service.url}/`, wspath: '/video-server/engine.io' },
    { bioserverVideoUrl: `${service.url}/video-server`, wspath: undefined },
  ]) {
    assert.ok(!((await client(options)).made instanceof Error));
  }
  await client({ bioserverVideoUrl: service.url, wspath: '/prefix/video-server/engine.io' });
  assert.ok(service.requests.at(-1).path.startsWith('/prefix/'));
});

test('all names of the last years are there', () => {
  assert.deepEqual(Object.keys(BioserverVideo), ['getMediaStream', 'getDeviceStream', 'initMediaDevices', 'initFaceCaptureClient']);
  const { BioserverVideoUI } = load('bioserver-video-ui.js');
  for (const name of ['displayAndCenterBestImage', 'displayPassiveVideoBestImage', 'displayBestImage', 'initPassiveVideoGraphics', 'displayPassiveVideoAnimation',
    'stopPassiveVideoAnimation', 'resetBestImage', 'resetLivenessActiveGraphics', 'updateLivenessActiveGraphics', 'resetLivenessHighGraphics',
    'updateLivenessHighGraphics', 'initMlcGraphics', 'resetMlcGraphics', 'prepareSmileProgress', 'applySmileProgress']) {
    assert.equal(typeof BioserverVideoUI[name], 'function', name);
  }
});

test('a browser is judged by what it can, and a page without https gets a message', () => {
  const detect = (window, navigator) => load('bioserver-environment-api.js', { window, navigator }).BioserverEnvironment.detection();
  const able = [{ MediaRecorder: class {}, crypto: { subtle: {} } }, { mediaDevices: { getUserMedia() {} }, userAgent: 'Android' }];
  const { envDetected } = detect(...able);
  assert.deepEqual([envDetected.os.isSupported, envDetected.os.isMobile, envDetected.browser.isSupported], [true, true, true]);
  assert.equal(detect({}, {}).envDetected.browser.isSupported, false);
  const insecure = detect({ isSecureContext: false }, {});
  assert.equal(insecure.envDetected, undefined);
  assert.match(insecure.message, /https/);
});

test('connectivity is measured, or said not to be', async () => {
  const measure = async (answer, options = { uploadURL: 'up', latencyURL: 'late', downloadURL: 'down' }) => {
    const { BioserverNetworkCheck } = load('bioserver-network-check.js', { fetch: answer });
    const callbackCalls = [];
    await BioserverNetworkCheck.connectivityMeasure({
      ...options, onNetworkCheckUpdate: (value) => callbackCalls.push(['update', value]), errorFn: (error) => callbackCalls.push(['error', error.message]),
    });
    assert.equal(callbackCalls.length, 1);
    return callbackCalls[0];
  };
  const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  const body = (length) => ({ ok: true, arrayBuffer: async () => new ArrayBuffer(length) });
  const [, good] = await measure(async () => body(1 << 20));
  assert.ok(good.goodConnectivity && good.upload > 500 && good.download > 500, JSON.stringify(good));
  const [, slow] = await measure(async (url) => {
    if (url === 'down') await wait(200);
    return body(1000);
  });
  assert.ok(!slow.goodConnectivity && slow.download < 500, JSON.stringify(slow));
  assert.deepEqual(await measure(async () => ({ ok: false, status: 502, arrayBuffer: async () => new ArrayBuffer(0) })),
    ['error', 'late answered with status 502']);
});

test('an error of the page itself is none of the network', async () => {
  const { BioserverNetworkCheck } = load('bioserver-network-check.js', { fetch: async () => ({ ok: true, arrayBuffer: async () => new ArrayBuffer(0) }) });
  const callbackCalls = [];
  const onNetworkCheckUpdate = () => { throw new Error('no element'); };
  await assert.rejects(BioserverNetworkCheck.connectivityMeasure({ uploadURL: 'up', onNetworkCheckUpdate, errorFn: (error) => callbackCalls.push(error) }), /no element/);
  assert.deepEqual(callbackCalls, []);
});

test('a page that leaves while its light is measured gets no error', async () => {
  const video = { play: () => new Promise((_, reject) => { video.interrupt = () => reject(new Error('interrupted by a new load request')); }) };
  const surroundings = { createElement: (name) => (name === 'video' ? video : { getContext: () => ({}) }) };
  const { BioserverVideo: own } = load('bioserver-video-api.js', { document: surroundings });
  const real = globalThis.document;
  globalThis.document = surroundings;
  try {
    const made = await own.initFaceCaptureClient({ bioSessionId: SESSION, bioserverVideoUrl: service.url });
    const looking = made.checkLuminosity({ stream: {} });
    while (!video.interrupt) await new Promise((resolve) => { setTimeout(resolve, 1); });
    await made.disconnect();
    assert.equal(video.srcObject, null);
    video.interrupt();
    await looking;
  } finally {
    if (real) globalThis.document = real;
    else delete globalThis.document;
  }
});

test('light is measured with the camera that the page opened, while it is open', async () => {
  const asked = [];
  const streamOf = () => ({ tracks: [{ readyState: 'live', stop() {} }], getTracks() { return this.tracks; }, getVideoTracks() { return this.tracks; } });
  const mediaDevices = {
    async getUserMedia({ video }) {
      asked.push(video.deviceId?.exact);
      return streamOf();
    },
  };
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices }, configurable: true });
  const videos = [];
  const surroundings = {
    createElement: (name) => (name === 'video' ? videos[videos.push({ play: async () => {} }) - 1] : { getContext: () => ({}) }),
  };
  globalThis.document = surroundings;
  try {
    const { BioserverVideo: own } = load('bioserver-video-api.js', { document: surroundings });
    const made = await own.initFaceCaptureClient({ bioSessionId: SESSION, bioserverVideoUrl: service.url });
    const stream = await own.getMediaStream({ video: { deviceId: 'desk' } });
    await made.checkLuminosity();
    assert.equal(videos.at(-1).srcObject, stream);
    stream.tracks[0].readyState = 'ended';
    await made.checkLuminosity();
    assert.notEqual(videos.at(-1).srcObject, stream);
    assert.deepEqual(asked, ['desk', undefined]);
    await made.disconnect();
  } finally {
    delete globalThis.document;
    if (navigator) Object.defineProperty(globalThis, 'navigator', navigator);
    else delete globalThis.navigator;
  }
});
