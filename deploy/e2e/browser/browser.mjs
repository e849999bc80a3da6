// Shared by the browser tests: Chromium with a video file as its camera, pages that record errors, and waiting for states.

import { connect, createServer } from 'node:net';
import { readdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';

/** Time limit of each step, in milliseconds; long, because workers of test builds are slow. */
const TIMEOUT = 180_000;

export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1280, height: 800 };

/** Starts Chromium. Its camera shows `clip` (`.mjpeg` or `.y4m`), or else a test picture without a face. */
export async function launch(playwright, clip) {
  const { chromium } = await import(playwright);
  const camera = clip ? [`--use-file-for-fake-video-capture=${clip}`] : [];
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream', ...camera,
      // A host name other than localhost, so its pages over http are not secure contexts.
      '--host-resolver-rules=MAP insecure.test 127.0.0.1',
    ],
  });
}

/**
 * A page that may use the camera unless `options.permissions` says otherwise. `browserErrors` collects errors of scripts,
 * blocked loads, and requests to other hosts. `expected` lists HTTP statuses that the test provokes.
 */
export async function openPage(browser, url, browserErrors, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: PHONE, permissions: ['camera'], locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  // The page's probe for the demonstration gets 405.
  const statuses = [405, ...expected].map((status) => `status of ${status} `);
  page.on('console', (message) => {
    const text = message.text();
    const isExpected = statuses.some((status) => text.includes(status)) || /net::ERR_(INTERNET_DISCONNECTED|CONNECTION_|EMPTY_RESPONSE|SOCKET_)/.test(text);
    if (message.type() === 'error' && !isExpected) browserErrors.push(text);
  });
  page.on('pageerror', (error) => browserErrors.push(String(error)));
  page.on('request', (request) => {
    const isLocal = request.url().startsWith(`${new URL(url).origin}/`) || /^(data|blob):/.test(request.url());
    if (!isLocal) browserErrors.push(`request to ${request.url()}`);
  });
  return page;
}

/** Waits until the page is in one of the states. */
export async function inState(page, ...states) {
  await page.waitForFunction((wanted) => wanted.includes(document.body.dataset.state), states);
  return page.evaluate(() => document.body.dataset.state);
}

/**
 * Begins a capture with the keyboard: chooses the type, and presses Enter on the button. Where the framing does not become good, it
 * presses the button that the page offers later.
 */
export async function begin(page, type) {
  await inState(page, 'start');
  const force = page.locator('#force');
  force.waitFor({ state: 'visible' }).then(() => force.press('Enter')).catch(() => { /* The page was closed, or has begun by itself. */ });
  const choice = page.locator(`input[name="mode"][value="${type}"]`);
  if (type && await choice.isVisible()) {
    await choice.focus();
    await page.keyboard.press('Space');
  }
  await page.locator('#begin').press('Enter');
}

/** What the page shows at the end: the result or the problem. */
export function shown(page) {
  return page.evaluate(() => {
    const text = (id) => document.getElementById(id).textContent;
    const { state } = document.body.dataset;
    const prefix = state === 'problem' ? 'problem' : 'result';
    const action = document.getElementById('problem-action');
    return {
      state,
      title: text(`${prefix}-title`),
      text: text(`${prefix}-text`),
      advice: [...document.querySelectorAll(`#${prefix}-advice li`)].map((item) => item.textContent),
      ...(state === 'problem'
        ? { code: text('problem-code').split(' ').at(-1), action: action.hidden ? null : action.textContent }
        : { status: JSON.parse(text('answer') || '{}').status, hasPicture: document.getElementById('best-image').naturalWidth > 0 }),
    };
  });
}

/** The frames of a part of a video as JPEG, in base64, 15 of a second. `from` and `to` in seconds; backwards if `from` is the later time. */
export async function frames(video, from, to) {
  const folder = await mkdtemp(join(tmpdir(), 'frames-'));
  try {
    const part = ['-ss', String(Math.min(from, to)), '-t', String(Math.abs(to - from))];
    const output = ['-vf', 'fps=15', '-q:v', '3', join(folder, '%04d.jpg')];
    await promisify(execFile)('ffmpeg', ['-loglevel', 'error', '-i', video, ...part, ...output]);
    const names = (await readdir(folder)).sort();
    if (from > to) names.reverse();
    return await Promise.all(names.map((name) => readFile(join(folder, name), 'base64')));
  } finally {
    await rm(folder, { recursive: true });
  }
}

// Number of bytes of the first upload that the proxy withholds, at the end of the part that has arrived.
const KEPT_BYTES = 16;

/** Starts a TCP proxy in front of a service, whose connections can be cut. It forwards only a part of the first upload. */
export async function network(url) {
  const { hostname, port } = new URL(url);
  const sockets = new Set();
  let isCut = false;
  let halfway;
  const uploadIsHalfway = new Promise((resolve) => { halfway = resolve; });
  const server = createServer((socket) => {
    if (isCut) {
      socket.destroy();
      return;
    }
    const service = connect(Number(port), hostname);
    for (const [one, other] of [[socket, service], [service, socket]]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    service.pipe(socket);
    let holds = false;
    socket.on('data', (bytes) => {
      if (holds) return;
      holds = halfway !== undefined && bytes.includes('/replay-liveness HTTP/1.1');
      if (!holds) {
        service.write(bytes);
        return;
      }
      service.write(bytes.subarray(0, -KEPT_BYTES), halfway);
      halfway = undefined;
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** Resolves when the service has a part of the first upload. */
    uploadIsHalfway,
    /** Breaks all connections, and refuses new ones. */
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    /** Takes connections again. */
    restore() {
      isCut = false;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
