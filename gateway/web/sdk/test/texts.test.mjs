// The texts of both pages: complete in all languages, and present for every state, problem and hint.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';

const LANGUAGES = ['en', 'de', 'fr'];
const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const types = read('sdk/faceline.d.ts').replace(/\/\*[^]*?\*\//g, '');
/** The members of a union of texts that faceline.d.ts declares. */
const union = (name) => [...new RegExp(`type ${name} =([^;]*);`).exec(types)[1].matchAll(/'([^']+)'/g)].map(([, member]) => member);

/** The texts by their keys, which name a place in the file as `text` of texts.js does. */
function flat(node, prefix = '') {
  return Object.entries(node).flatMap(([name, value]) => {
    return typeof value === 'string' || Array.isArray(value) ? [[prefix + name, value]] : flat(value, `${prefix}${name}.`);
  });
}

const pages = Object.fromEntries(['capture', 'playground'].map((page) => {
  const texts = LANGUAGES.map((language) => [language, new Map(flat(JSON.parse(read(`${page}/texts/${language}.json`))))]);
  const scripts = readdirSync(new URL(`../../${page}/`, import.meta.url)).filter((name) => name.endsWith('.js'));
  return [page, { texts: Object.fromEntries(texts), html: read(`${page}/index.html`), script: scripts.map((name) => read(`${page}/${name}`)).join('\n') }];
}));

// Keys that scripts build from values of the SDK.
const terminal = union('ReplayStatus').filter((status) => !['INITIALIZED', 'IN_PROGRESS'].includes(status));
const made = {
  capture: [
    ...union('Hint').map((hint) => `hint.${hint}`),
    ...union('Direction').map((direction) => `challenge.${direction}`),
    ...union('LivenessType').map((type) => `start.lead.${type}`),
    ...terminal.flatMap((status) => [`result.${status}.title`, `result.${status}.text`]),
    ...['retry', 'resend', 'recheck', 'restart'].map((label) => `action.${label}`),
    ...['encrypting', 'uploading', 'judging', 'offline', 'offline_text', 'overloaded', 'overloaded_text'].map((name) => `sending.${name}`),
    // The page aborts by itself, and says nothing of it.
    ...[...union('ErrorCode'), 'no-session'].filter((code) => code !== 'aborted')
      .flatMap((code) => ['title', 'text', 'advice'].map((part) => `problem.${code}.${part}`)),
    ...['expired', 'refused'].map((code) => `problem.${code}.advice_demo`),
  ],
  playground: [
    ...terminal.map((status) => `replay.${status}`),
    ...['encrypting', 'uploading', 'waiting', 'judging', 'done', 'failed'].map((state) => `replay.state_${state}`),
    ...['camera-denied', 'camera-missing', 'camera-busy', 'insecure-context', 'unsupported'].map((code) => `camera.${code}`),
  ],
};

for (const [page, { texts, html, script }] of Object.entries(pages)) {
  const { en } = texts;

  test(`${page}: each language has the same texts with the same values in them, one for all that can happen`, () => {
    for (const key of made[page]) assert.ok(en.has(key), key);
    const shape = (map) => [...map].map(([key, value]) => {
      const lines = [value].flat();
      for (const line of lines) assert.ok(line && line === line.trim(), key);
      return [key, Array.isArray(value) ? lines.length : 'text', lines.join().match(/\{\w+\}/g)?.sort() ?? []];
    });
    for (const language of LANGUAGES) assert.deepEqual(shape(texts[language]), shape(en), language);
  });

  test(`${page}: what the document and the scripts name is there, and nothing else`, () => {
    const sections = [...new Set([...en.keys()].map((key) => key.split('.')[0]))].join('|');
    const inScripts = [...script.matchAll(new RegExp(`'((?:${sections})\\.[\\w.-]+)'`, 'g'))].filter(([, key]) => !key.endsWith('.jpg'));
    const named = [...html.matchAll(/data-(?:text|text-label|label)="([^"]+)"/g), ...inScripts].map(([, key]) => key);
    assert.ok(named.length > 20);
    for (const key of named) assert.ok(en.has(key), key);
    const used = new Set(['title', ...named, ...made[page]]);
    for (const key of en.keys()) assert.ok(used.has(key) || /\.advice(_active)?$/.test(key), `nothing names ${key}`);
  });

  test(`${page}: the document has the English texts until others are loaded`, () => {
    for (const [, key, content] of html.matchAll(/data-text="([^"]+)"[^>]*>([^<]*)</g)) {
      if (content && content !== key && !content.startsWith('LIVENESS_')) assert.equal(content, en.get(key), key);
    }
  });
}
