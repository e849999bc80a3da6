// Parts of the capture page that need no browser: where it returns to, what helps when something fails, and the screen
// on which people wait.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { afterEach, beforeEach } from 'node:test';

import { hasDemonstration, returnAddress } from '../../capture/entry.js';
import { TRANSITIONS, machine } from '../../capture/machine.js';
import { isOfCamera, problemOf, wayOut } from '../../capture/problems.js';
import { sendingView } from '../../capture/sending.js';
import { useLanguage } from '../../capture/texts.js';

const real = { fetch: globalThis.fetch };

beforeEach(() => {
  globalThis.location = { href: 'https://face.example/web/capture/?session=a' };
  globalThis.document = { documentElement: {}, querySelectorAll: () => [] };
});

afterEach(() => {
  Object.assign(globalThis, real);
  delete globalThis.location;
  delete globalThis.document;
});

test('the page returns to its own origin and to listed ones, and nowhere else', () => {
  const to = (address) => returnAddress(address, ['https://face.example', 'https://shop.example'])?.href;
  assert.equal(to('/checkout?cart=1'), 'https://face.example/checkout?cart=1');
  assert.equal(to('https://shop.example/paid'), 'https://shop.example/paid');
  for (const address of ['https://evil.example/', '//evil.example/', '\\\\evil.example', 'https://shop.example.evil.example/', 'http://shop.example/',
    'https://shop.example@evil.example/', 'https://evil@shop.example/', 'javascript:alert(1)', 'data:text/html,x', 'https://', '', null]) {
    assert.equal(to(address), undefined, address);
  }
});

test('a service that does not answer is not taken for one without a demonstration', async () => {
  for (const [status, expected] of [[405, true], [404, false]]) {
    globalThis.fetch = async () => ({ status });
    assert.equal(await hasDemonstration(), expected);
  }
  globalThis.fetch = async () => { throw new TypeError('failed'); };
  await assert.rejects(hasDemonstration(), { code: 'offline' });
  assert.deepEqual(wayOut('offline', 'loading', false), { event: 'reload', label: 'retry', advice: 'advice' });
});

test('every way out of a problem leads somewhere, and a recording that was not judged is not lost', () => {
  const types = readFileSync(new URL('../faceline.d.ts', import.meta.url), 'utf8').replace(/\/\*[^]*?\*\//g, '');
  const codes = [.../type ErrorCode =([^;]*);/.exec(types)[1].matchAll(/'([^']+)'/g)].map(([, code]) => code);
  for (const code of [...codes, 'no-session']) {
    for (const from of Object.keys(TRANSITIONS).filter((state) => TRANSITIONS[state].failed)) {
      for (const isDemonstration of [true, false]) {
        const { event } = wayOut(code, from, isDemonstration);
        assert.ok(event === null || event === 'reload' || event in TRANSITIONS.problem, `${code} from ${from}`);
      }
    }
  }
  for (const code of ['offline', 'overloaded']) {
    assert.equal(wayOut(code, 'sending', true).event, 'resend');
    assert.equal(wayOut(code, 'judging', true).event, 'recheck');
  }
  assert.equal(problemOf('refused', 'judging'), 'expired');
  assert.equal(problemOf('refused', 'loading'), 'refused');
  assert.deepEqual(codes.filter(isOfCamera), ['camera-denied', 'camera-missing', 'camera-busy']);
});

test('an event that means nothing in a state changes nothing', () => {
  const states = [];
  const flow = machine((state) => states.push(state));
  assert.equal(flow.send('judged'), false);
  for (const event of ['loaded', 'begin', 'opened', 'recorded', 'sent', 'judged', 'restart']) assert.ok(flow.send(event), event);
  assert.deepEqual(states, ['start', 'preparing', 'framing', 'sending', 'judging', 'result', 'start']);
});

test('people who wait read it in the language that they choose, and hear only what is new', async () => {
  globalThis.fetch = async (url) => ({ ok: true, json: async () => JSON.parse(readFileSync(url, 'utf8')) });
  const base = new URL('../../capture/capture.js', import.meta.url);
  const classes = new Set();
  const classList = { contains: (name) => classes.has(name), toggle: (name, is) => (is ? classes.add(name) : classes.delete(name)) };
  const [title, note, percent, polite] = [{}, {}, {}, {}];
  const circle = { style: {}, closest: () => ({ classList }) };
  const view = sendingView({ title, note, percent, polite, circle, progress: { removeAttribute() {} }, stages: { children: [] } });
  await useLanguage('en', base);
  view.phase('uploading');
  assert.deepEqual([title.textContent, note.textContent], ['Sending', 'Keep this page open.']);
  view.waiting('overloaded', 6.2);
  assert.equal(polite.textContent, 'The service is busy. Sending goes on by itself in 7 s.');
  await useLanguage('de', base);
  view.relabel();
  assert.equal(note.textContent, 'Das Senden geht in 7 s von selbst weiter.');
  assert.match(polite.textContent, /^The service/);
  view.waiting('offline');
  assert.match(note.textContent, /^Das Senden geht von selbst weiter/);
  view.phase('judging');
  view.waiting('offline');
  const { sending } = JSON.parse(readFileSync(new URL('../../capture/texts/de.json', import.meta.url), 'utf8'));
  assert.equal(note.textContent, sending.offline_result);
  view.stop();
});
