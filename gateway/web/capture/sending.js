// The screen on which a person waits: encrypting, sending, waiting for the network, checking.

import { text } from './texts.js';

const STAGES = ['recorded', 'encrypting', 'uploading', 'judging'];

/** Shows how far things are in `elements` (`title`, `note`, `circle`, `percent`, `progress`, `stages`, `polite`). */
export function sendingView(elements) {
  const { title, note, circle, percent, progress, stages, polite } = elements;
  let countdown;

  function stage(current) {
    const at = STAGES.indexOf(current);
    for (const item of stages.children) {
      const place = STAGES.indexOf(item.dataset.stage);
      item.className = place < at ? 'done' : place === at ? 'current' : '';
      if (place === at) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    }
  }

  function say(headline, detail) {
    clearInterval(countdown);
    if (title.textContent !== headline) polite.textContent = `${headline}. ${detail}`;
    title.textContent = headline;
    note.textContent = detail;
  }

  function busy(isBusy) {
    circle.closest('.progress-circle').classList.toggle('busy', isBusy);
    if (!isBusy) return;
    circle.style.strokeDashoffset = '70';
    percent.textContent = '';
    progress.removeAttribute('value');
  }

  function fill(value) {
    const whole = Math.round(value * 100);
    circle.style.strokeDashoffset = String(100 - whole);
    percent.textContent = `${whole} %`;
    progress.value = whole;
  }

  return {
    /** `phase` is `encrypting`, `uploading` or `judging`. */
    phase(phase) {
      stage(phase);
      busy(phase === 'judging');
      if (phase !== 'judging') fill(0);
      say(text(`sending.${phase}`), text(phase === 'judging' ? 'sending.judging_text' : 'sending.stay'));
    },

    /** `value` of the phase is done, 0 to 1. */
    progress: fill,

    /** The upload waits for the network (`offline`), or `seconds` for the service (`overloaded`). */
    waiting(reason, seconds) {
      let left = Math.ceil(seconds ?? 0);
      // What was sent so far is sent again.
      if (!circle.closest('.progress-circle').classList.contains('busy')) fill(0);
      const key = reason === 'overloaded' ? 'overloaded' : 'offline';
      say(text(`sending.${key}`), text(`sending.${key}_text`, { seconds: left }));
      if (key !== 'overloaded') return;
      countdown = setInterval(() => {
        left = Math.max(0, left - 1);
        note.textContent = text('sending.overloaded_text', { seconds: left });
      }, 1000);
    },

    /** Nothing runs any more. */
    stop() {
      clearInterval(countdown);
    },
  };
}
