// One capture from beginning to end, with all calls of the SDK that a page needs.
import { init, openCamera } from '../faceline.js';

const HINTS = {
  good: 'Hold still', 'no-face': 'Look into the camera', 'too-far': 'Come closer', 'too-close': 'Move back', 'off-centre': 'Move to the middle',
  'too-dark': 'Find more light', 'too-bright': 'Find less light', 'hold-still': 'Hold still', blurred: 'Hold still, or wipe the lens',
};
const PROBLEMS = {
  'camera-denied': 'Allow the camera in the settings of the browser.', 'camera-missing': 'Connect a camera.',
  'camera-busy': 'Close other programs that use the camera.', 'insecure-context': 'Open this page with https.',
  offline: 'Check your connection.', expired: 'Begin again: the session has ended.', overloaded: 'Wait a little.',
};
const $ = (id) => document.getElementById(id);
const say = (text) => { if ($('guidance').textContent !== text) $('guidance').textContent = text; };

async function run() {
  const { session, token, service } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const capture = await init({ baseUrl: service ?? location.origin, session, captureToken: token });
  capture.addEventListener('hint', ({ detail }) => capture.state === 'framing' && say(HINTS[detail.hint]));
  capture.addEventListener('challenge', ({ detail }) => detail && say(detail.phase === 'turn' ? `Turn your head: ${detail.direction}` : 'Look ahead'));
  capture.addEventListener('progress', ({ detail }) => { $('progress').value = detail.value; });
  capture.addEventListener('state', ({ detail }) => detail.state === 'waiting' && say(`Waiting for the ${detail.reason === 'offline' ? 'network' : 'service'}`));
  $('video').srcObject = await openCamera();
  // Hints guide, and do not decide: after a while people may capture in spite of them.
  $('now').onclick = () => capture.force();
  const timer = setTimeout(() => { $('now').hidden = false; }, 5000);
  const recording = await capture.capture({ video: $('video') });
  clearTimeout(timer);
  $('now').hidden = true;
  for (const track of $('video').srcObject.getTracks()) track.stop();
  await capture.upload(recording);
  say('Please wait');
  const { status } = await capture.result();
  say(status === 'SUCCESS' ? 'Done' : 'That did not work. Ask for a new session, and try again.');
}

$('start').onclick = async () => {
  $('start').disabled = true;
  await run().catch((error) => {
    console.warn(error);
    say(PROBLEMS[error.code] ?? error.message);
  });
};
