// The playground: tabs, forms, credentials, and the column with request and answer.

import { hasDemonstration } from '../capture/entry.js';
import { languageSwitch, preferredLanguage, text, useLanguage } from '../capture/texts.js';
import * as calls from './calls.js';
import { exchangeView } from './exchange.js';
import { pictureSlot } from './picture.js';

/** The keys of the demo account, as the README names them. Services accept them on loopback addresses only. */
const DEMO = {
  apikey: 'demo',
  client: 'demo',
  bws: btoa('faceline-demo-key-for-loopback-only-faceline-demo-key-for-loopba'),
};

const $ = (id) => document.getElementById(id);
const summary = $('summary');
let slots = [];
/** Number of the latest submission. Only its output is shown: results of earlier ones are discarded. */
let run = 0;

/** The arguments of the last call of `say`, to show its message again in another language. */
let lastMessage = ['', ''];

function say(tone, key, values) {
  lastMessage = [tone, key, values];
  summary.dataset.tone = tone;
  summary.textContent = text(key, values);
}

function selectTab(tab) {
  for (const other of document.querySelectorAll('[role="tab"]')) {
    const isSelected = other === tab;
    other.setAttribute('aria-selected', String(isSelected));
    other.tabIndex = isSelected ? 0 : -1;
    $(other.getAttribute('aria-controls')).hidden = !isSelected;
  }
  const wanted = tab.id === 'tab-verify' ? 'bws' : 'apikey';
  for (const field of document.querySelectorAll('[data-key]')) field.hidden = field.dataset.key !== wanted;
}

function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  for (const [index, tab] of all.entries()) {
    tab.addEventListener('click', () => selectTab(tab));
    tab.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      const next = step ? all.at((index + step) % all.length) : { Home: all[0], End: all.at(-1) }[key];
      if (!next) return;
      selectTab(next);
      next.focus();
    });
  }
}

function keys() {
  return { apikey: $('apikey').value, client: $('bws-client').value, bws: $('bws-key').value };
}

/** Whether the credentials of the call are filled in. If not, moves the focus to the first missing one. */
function hasKeys(call) {
  const needed = call === 'verify' ? [$('bws-client'), $('bws-key')] : [$('apikey')];
  const empty = needed.find((input) => !input.value);
  if (!empty) return true;
  say('notice', 'keys.missing');
  empty.focus();
  return false;
}

async function submit(form) {
  const { call } = form.dataset;
  const own = slots.filter(({ element }) => form.contains(element)).map(({ slot }) => slot);
  const empty = own.find((slot) => !slot.file && !slot.isOptional);
  if (empty) {
    say('notice', 'picture.missing');
    empty.missing();
    return;
  }
  if (!hasKeys(call)) return;
  run += 1;
  const mine = run;
  const container = $('exchanges');
  container.replaceChildren();
  $('nothing').hidden = true;
  say('', 'answers.running');
  const button = form.querySelector('[type="submit"]');
  button.disabled = true;
  try {
    const outcome = await calls[call]({
      pictures: Object.fromEntries(own.map((slot) => [slot.name, slot.file])),
      fields: Object.fromEntries(new FormData(form)),
      keys: keys(),
      view: () => exchangeView(mine === run ? container : document.createElement('div')),
      onProgress: (state) => mine === run && say('', `replay.state_${state}`),
    });
    if (mine === run) say(outcome.tone, outcome.key, outcome.values);
  } catch (error) {
    console.warn(error);
    if (mine === run) say('bad', 'answers.unreachable');
  } finally {
    button.disabled = false;
    // A button loses the focus when it is disabled.
    if (document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

/** Fills in the credentials of the demo account, which are public, if the service has that account. */
async function fillDemoKeys() {
  if (!await hasDemonstration().catch(() => false)) return;
  $('apikey').value ||= DEMO.apikey;
  $('bws-client').value ||= DEMO.client;
  $('bws-key').value ||= DEMO.bws;
}

function relabel() {
  for (const { slot } of slots) slot.label();
  say(...lastMessage);
}

await useLanguage(preferredLanguage(), import.meta.url).catch((error) => console.warn(error));
slots = [...document.querySelectorAll('.picture')].map((element) => ({ element, slot: pictureSlot(element) }));
relabel();
languageSwitch($('language'), import.meta.url, relabel);
tabs();
for (const form of document.querySelectorAll('form[data-call]')) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit(form);
  });
}
$('keys').addEventListener('submit', (event) => event.preventDefault());
await fillDemoKeys();
document.body.dataset.state = 'ready';
