// Goes through the page in original-style/ as a person with a camera does:
//   node original-style.mjs PLAYWRIGHT URL MODE CLIP SCREENSHOT [TURNS]
// URL is the service without a slash at the end, MODE a liveness type, CLIP a recording of one person, whose frame after one second
// is the reference. For LIVENESS_ACTIVE, TURNS is JSON with, for each direction that the person's own head turns to in the clip, three times in seconds:
// `{"left": [from, turn, to]}`. Until `turn` the head rests, and it does so again before `to`. Prints what the page noted, as JSON, with the
// `browserErrors` of the browser.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { webcrypto } from 'node:crypto';
import { promisify } from 'node:util';

import { challenges } from '../../../gateway/web/sdk/faceline.js';

// Node.js 18 has it behind a flag only.
if (!globalThis.crypto) Object.defineProperty(globalThis, 'crypto', { value: webcrypto });

const [playwright, url, mode, clip, screenshot, turns] = process.argv.slice(2);
const APIKEY = 'demo';
const TIMEOUT = 180_000;
/** Sessions that are created until one asks for a turn of the clip. With one turn of four, the 60th is needed once in 30 million runs. */
const MAX_SESSIONS = 60;
const FRAMES_PER_SECOND = 15;

const folder = await mkdtemp(join(tmpdir(), 'original-style-'));
const ffmpeg = (...options) => promisify(execFile)('ffmpeg', ['-loglevel', 'error', '-i', clip, ...options]);

/** A session of web capture whose only challenge is a turn that the clip has. */
async function sessionWithTurn(directions) {
  for (let made = 0; made < MAX_SESSIONS; made += 1) {
    const answer = await fetch(`${url}/video-server/init-liveness-session`, {
      method: 'POST',
      headers: { apikey: APIKEY, 'Content-Type': 'application/json' },
      body: JSON.stringify({ livenessMode: mode, numberOfChallenge: 1, securityLevel: 'HIGH' }),
    });
    const session = answer.headers.get('location').split('/bio-sessions/')[1];
    const parameters = await fetch(`${url}/bioserver-app/v2/bio-sessions/${session}/liveness-parameters`, { headers: { apikey: APIKEY } });
    const [direction] = await challenges((await parameters.json()).seed, 1);
    if (directions.includes(direction)) return { session, direction };
  }
  throw new Error(`no session asks for one of ${directions}`);
}

/** The pictures of a part of the clip in base64, and which of them is the first of the turn. */
async function turnOf([from, turn, to]) {
  await ffmpeg('-ss', `${from}`, '-t', `${to - from}`, '-vf', `fps=${FRAMES_PER_SECOND}`, '-q:v', '3', join(folder, '%04d.jpg'));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jpg')).sort();
  const pictures = await Promise.all(names.map((name) => readFile(join(folder, name), 'base64')));
  return { pictures, first: Math.round((turn - from) * FRAMES_PER_SECOND), rate: FRAMES_PER_SECOND };
}

/** A camera in the page: the head rests, to and fro without a jump, until the page asks for the turn; then the clip runs to its end. */
function installCamera({ pictures, first, rate }) {
  navigator.mediaDevices.getUserMedia = async () => {
    const images = await Promise.all(pictures.map(async (text) => {
      const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      return createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
    }));
    const canvas = Object.assign(document.createElement('canvas'), { width: images[0].width, height: images[0].height });
    let [shown, step] = [0, 1];
    setInterval(() => {
      if (window.log.target) step = 1;
      else if (shown === first - 1) step = -1;
      else if (shown === 0) step = 1;
      shown = Math.min(shown + step, images.length - 1);
      canvas.getContext('2d').drawImage(images[shown], 0, 0);
    }, 1000 / rate);
    return canvas.captureStream();
  };
}

const backend = spawn(process.execPath, [new URL('original-style/backend.mjs', import.meta.url).pathname, '0', url], {
  env: { ...process.env, APIKEY }, stdio: ['ignore', 'pipe', 'inherit'],
});
const browserErrors = [];
let browser;
try {
  const [printed] = await once(backend.stdout, 'data');
  const page = new URL(`${String(printed).trim()}/?mode=${mode}`);
  const camera = join(folder, 'camera.mjpeg');
  const reference = join(folder, 'reference.png');
  await ffmpeg('-ss', '1', '-frames:v', '1', reference);
  let turn;
  if (mode === 'LIVENESS_ACTIVE') {
    const known = JSON.parse(turns);
    const { session, direction } = await sessionWithTurn(Object.keys(known));
    page.searchParams.set('session', session);
    turn = await turnOf(known[direction]);
  } else {
    // Chromium shows 30 frames a second of such a file.
    await ffmpeg('-t', '20', '-vf', 'fps=30', '-c:v', 'mjpeg', '-q:v', '3', camera);
  }
  const { chromium } = await import(playwright);
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${camera}`],
  });
  const context = await browser.newContext({ viewport: { width: 800, height: 1000 }, permissions: ['camera'] });
  const tab = await context.newPage();
  tab.setDefaultTimeout(TIMEOUT);
  tab.on('console', (message) => message.type() === 'error' && browserErrors.push(message.text()));
  tab.on('pageerror', (error) => browserErrors.push(String(error)));
  if (turn) await tab.addInitScript(installCamera, turn);
  await tab.goto(page.href);
  await tab.setInputFiles('#reference', reference);
  await tab.locator('#start:enabled').click();
  await tab.waitForFunction(() => window.log.done || window.log.errors.length > 0);
  await tab.screenshot({ path: screenshot, fullPage: true });
  const pictureShown = await tab.evaluate(() => document.querySelector('#best-image canvas')?.width > 0);
  // Navigating away disconnects the client, which must cause no error.
  await tab.evaluate(() => window.client?.disconnect());
  console.log(JSON.stringify({ ...await tab.evaluate(() => window.log), pictureShown, browserErrors }));
} finally {
  await browser?.close();
  backend.kill();
  await rm(folder, { recursive: true });
}
