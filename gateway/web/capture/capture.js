// The capture page: the actions of each state of the state machine.

import { cameraOf, look, warmUp } from './camera.js';
import { SERVICE, demoBestImage, demoSession, entry, hasDemonstration, leave, hasReceiver } from './entry.js';
import { guide } from './guide.js';
import { machine } from './machine.js';
import { problemView, resultView } from './outcome.js';
import { isOfCamera, problemOf, wayOut } from './problems.js';
import { sendingView } from './sending.js';
import { languageSwitch, preferredLanguage, text, useLanguage } from './texts.js';

// After this time without a good framing the person may begin the recording, in milliseconds.
const FORCE_AFTER = 8000;
const SCREENS = { preparing: 'camera', framing: 'camera', recording: 'camera', sending: 'sending', judging: 'sending' };

const $ = (id) => document.getElementById(id);
const live = { polite: $('polite'), urgent: $('urgent') };
const guidance = guide({
  stage: $('stage'), hint: $('hint'), ring: $('ring'), steps: $('steps'), spinner: $('stage-spinner'), mark: $('recording-mark'), ...live,
});
const sending = sendingView({
  title: $('sending-title'), note: $('sending-text'), circle: $('circle'), percent: $('percent'), progress: $('progress'),
  stages: $('stages'), ...live,
});
const results = resultView({
  title: $('result-title'), note: $('result-text'), advice: $('result-advice'), badge: $('badge'), figure: $('best'),
  image: $('best-image'), details: $('details'), answer: $('answer'),
});
const problems = problemView({
  title: $('problem-title'), note: $('problem-text'), advice: $('problem-advice'), action: $('problem-action'), code: $('problem-code'),
});

const source = entry();
const isDemonstration = !source.embedded;
const video = $('video');
let sdk;
let camera;
/** The SDK's capture of the session. It is reused until the service has accepted a recording. */
let capture;
let recording;
let result;
let bestImage;
let problem;
/** Aborted when the page leaves the current state. */
let leaving = new AbortController();
let forceTimer;

const flow = machine((state, detail, previous) => {
  leaving.abort();
  leaving = new AbortController();
  clearTimeout(forceTimer);
  $('force').hidden = true;
  sending.stop();
  problems.stop();
  if (SCREENS[state] !== 'camera') camera?.close();
  show(state);
  states[state](detail, previous);
  const [screen, before] = [state, previous].map((name) => SCREENS[name] ?? name);
  // The heading of a new screen gets the focus, so a screen reader reads it and the next key acts there.
  if (screen !== before) document.querySelector(`[data-screen="${screen}"] h1`).focus();
});

function show(state) {
  const screen = SCREENS[state] ?? state;
  document.body.dataset.state = state;
  for (const section of document.querySelectorAll('[data-screen]')) section.hidden = section.dataset.screen !== screen;
}

/** Runs `work` for the current state. An error leads to the state `problem`, unless the page has left the state. */
async function during(work) {
  const { signal } = leaving;
  try {
    await work(signal);
  } catch (error) {
    if (signal.aborted) return;
    console.warn(error);
    flow.send('failed', { code: error.code ?? 'protocol', retryAfter: error.retryAfter });
  }
}

const mode = () => capture?.parameters.type ?? document.querySelector('[name="mode"]:checked').value;

/** Creates the SDK's capture for a session, and shows its events. */
async function connect({ session, captureToken, parameters }) {
  const connected = await sdk.init({ baseUrl: SERVICE, session, captureToken, parameters });
  connected.addEventListener('hint', ({ detail }) => flow.state === 'framing' && guidance.framing(detail));
  connected.addEventListener('challenge', ({ detail }) => flow.state === 'recording' && guidance.challenge(detail));
  connected.addEventListener('progress', ({ detail: { phase, value } }) => {
    if (phase === 'recording' && flow.state === 'recording') guidance.progress(value);
    if (phase !== 'recording' && flow.state === 'sending') sending.progress(value);
  });
  connected.addEventListener('state', ({ detail: { state, reason, retryIn } }) => {
    if (state === 'recording' || (state === 'framing' && flow.state === 'recording')) flow.send(state, 'restarted');
    if (flow.state !== 'sending') return;
    if (state === 'waiting') sending.waiting(reason, retryIn);
    else if (state === 'encrypting' || state === 'uploading') sending.phase(state);
  });
  return connected;
}

const states = {
  loading: () => during(async () => {
    await useLanguage(preferredLanguage(), import.meta.url);
    languageSwitch($('language'), import.meta.url, relabel);
    sdk = await import('../sdk/faceline.js').catch((error) => {
      // An old browser cannot parse the module (SyntaxError). Any other error means that it was not loaded.
      throw Object.assign(error, { code: error instanceof SyntaxError ? 'unsupported' : 'offline' });
    });
    camera ??= cameraOf(sdk, video, [$('cameras'), $('problem-cameras')]);
    if (!isSecureContext) throw Object.assign(new Error('no secure context'), { code: 'insecure-context' });
    if (source.embedded) capture = await connect({ session: source.session, captureToken: source.token });
    else if (!await hasDemonstration()) throw Object.assign(new Error('no session'), { code: 'no-session' });
    flow.send('loaded');
    setTimeout(() => warmUp(sdk));
  }),

  start() {
    $('modes').hidden = source.embedded;
    $('playground').hidden = source.embedded;
    lead();
  },

  preparing: () => during(async (signal) => {
    guidance.waiting();
    if (isDemonstration && !capture) {
      const { sessionId, captureToken, parameters } = await demoSession(mode());
      const connected = await connect({ session: sessionId, captureToken, parameters });
      if (signal.aborted) return;
      capture = connected;
    }
    const stream = await camera.open();
    if (signal.aborted) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    video.srcObject = stream;
    guidance.mirrored = camera.isMirror;
    flow.send('opened');
  }),

  framing(how) {
    guidance.opened();
    forceTimer = setTimeout(() => {
      $('force').hidden = false;
      // A person who cannot see the button may need it most.
      live.polite.textContent = text('camera.now_there');
    }, FORCE_AFTER);
    // The SDK continues by itself with a recording that it has restarted.
    if (how !== 'restarted') record();
  },

  recording() {
    guidance.recording(mode() === 'LIVENESS_ACTIVE');
  },

  sending(made) {
    recording = made ?? recording;
    sending.phase('encrypting');
    during(async (signal) => {
      await capture.upload(recording, { signal });
      flow.send('sent');
    });
  },

  judging: () => {
    sending.phase('judging');
    during(async (signal) => {
      const found = await capture.result({ signal });
      const wantsPicture = isDemonstration && found.status === 'SUCCESS' && !found.image;
      bestImage = wantsPicture ? await demoBestImage(capture.session).catch(() => undefined) : undefined;
      if (!signal.aborted) flow.send('judged', found);
    });
  },

  result(found) {
    result = found ?? result;
    results.show(result, { type: mode(), bestImage, raw: isDemonstration });
    $('again').hidden = source.embedded;
    $('finish').hidden = !hasReceiver(source);
    recording = undefined;
  },

  problem(found, previous) {
    const until = found.until ?? Date.now() + 1000 * (found.retryAfter ?? 0);
    problem = { ...found, code: problemOf(found.code, previous), from: previous, until };
    const way = wayOut(problem.code, problem.from, isDemonstration);
    problems.show(problem.code, way, (until - Date.now()) / 1000);
    $('problem-camera-choice').hidden = !isOfCamera(problem.code) || $('problem-cameras').length < 2;
    $('problem-finish').hidden = !hasReceiver(source);
    // A new session is needed: the service has accepted this one's recording, or refuses it.
    if (isDemonstration && way.event === 'restart') capture = undefined;
  },
};

/** Watches and records. It outlasts the state `framing`, so it has a signal of its own. */
let watching = new AbortController();
async function record() {
  watching.abort();
  watching = new AbortController();
  const { signal } = watching;
  // The SDK starts with the second frame, so the first frame is analysed here.
  const firstFrame = () => {
    performance.mark('first-frame');
    if (flow.state === 'framing' && !signal.aborted) guidance.framing({ ...look(sdk, video), stability: 0 });
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(firstFrame);
  else video.addEventListener('loadeddata', firstFrame, { once: true });
  try {
    const made = await capture.capture({ video, stream: video.srcObject, signal });
    flow.send('recorded', made);
  } catch (error) {
    if (signal.aborted) return;
    console.warn(error);
    flow.send('failed', { code: error.code ?? 'protocol' });
  }
}

function stopWatching() {
  watching.abort();
}

function lead() {
  $('start-lead').textContent = text(`start.lead.${mode()}`);
}

/** Rewrites the visible texts after a change of the language. */
function relabel() {
  lead();
  const { state } = flow;
  if (state === 'result') states.result();
  if (state === 'problem') states.problem(problem, problem.from);
  if (SCREENS[state] === 'sending') sending.relabel();
}

$('begin').addEventListener('click', () => flow.send('begin'));
$('cancel').addEventListener('click', () => {
  stopWatching();
  flow.send('cancel');
});
$('force').addEventListener('click', () => capture.force());
$('again').addEventListener('click', () => {
  capture = undefined;
  flow.send('restart');
});
$('finish').addEventListener('click', () => leave(source, 'finished'));
$('problem-finish').addEventListener('click', () => leave(source, 'failed'));
$('problem-action').addEventListener('click', () => {
  const { event } = wayOut(problem.code, problem.from, isDemonstration);
  if (event === 'reload') location.reload();
  else flow.send(event);
});
$('modes').addEventListener('change', () => {
  capture = undefined;
  lead();
});
for (const select of [$('cameras'), $('problem-cameras')]) {
  select.addEventListener('change', () => {
    camera.choose(select.value);
    if (flow.state !== 'framing') return;
    stopWatching();
    flow.send('change');
  });
}
// While it polls for the result, the SDK fires no event when the network is lost.
for (const change of ['offline', 'online']) {
  addEventListener(change, () => {
    if (flow.state !== 'judging') return;
    if (change === 'offline') sending.waiting('offline');
    else sending.phase('judging');
  });
}
addEventListener('pagehide', () => {
  stopWatching();
  camera?.close();
});
// A page restored from the back/forward cache has lost its camera, so the person begins again.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted && SCREENS[flow.state] === 'camera') flow.send('cancel');
});
// If the person allows the camera in the browser's menu, the page continues without the button.
navigator.permissions?.query({ name: 'camera' }).then((permission) => {
  permission.addEventListener('change', () => {
    if (permission.state === 'granted' && flow.state === 'problem' && problem.code === 'camera-denied') flow.send('retry');
  });
}, () => { /* Some browsers do not know this permission. */ });

states.loading();
