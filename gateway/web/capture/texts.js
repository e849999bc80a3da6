// The texts of a page in the languages that it has.

const LANGUAGES = ['en', 'de', 'fr'];
const REMEMBERED = 'faceline-language';

let texts = {};

/** Some browser settings forbid storage; the choice then lasts as long as the page. */
function remembered(language) {
  try {
    if (language) sessionStorage.setItem(REMEMBERED, language);
    return sessionStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

/**
 * The language of the address (`?lang=`), the one chosen before, or the first of the browser's that there is; else
 * English.
 */
export function preferredLanguage() {
  const asked = new URLSearchParams(location.search).get('lang');
  const wanted = [asked, remembered(), ...(navigator.languages ?? [])].filter(Boolean);
  return wanted.map((tag) => tag.toLowerCase().split('-')[0]).find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

function lookUp(key) {
  return key.split('.').reduce((node, part) => node?.[part], texts);
}

/** The text of `key`, with `{name}` replaced by `values.name`; empty where there is none. */
export function text(key, values = {}) {
  const found = lookUp(key);
  if (typeof found !== 'string') return '';
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** A list of texts; empty where there is none. */
export function list(key) {
  const found = lookUp(key);
  return Array.isArray(found) ? found : [];
}

/** Writes the texts into the elements below `root` that name one. */
export function writeTexts(root) {
  for (const element of root.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll('[data-text-label]')) element.setAttribute('aria-label', text(element.dataset.textLabel));
}

/**
 * Loads `texts/LANGUAGE.json` beside `base`, and writes it into the elements that name a text. Rejects where it cannot
 * be loaded.
 */
export async function useLanguage(language, base) {
  const answer = await fetch(new URL(`texts/${language}.json`, base));
  if (!answer.ok) throw new Error(`the texts could not be loaded (${answer.status})`);
  texts = await answer.json();
  document.documentElement.lang = language;
  document.title = text('title');
  writeTexts(document);
}

/** Lets `select` choose the language; `onChange` is called when the new texts are there. */
export function languageSwitch(select, base, onChange) {
  select.value = document.documentElement.lang;
  select.addEventListener('change', async () => {
    remembered(select.value);
    await useLanguage(select.value, base).catch(() => { select.value = document.documentElement.lang; });
    onChange();
  });
}
