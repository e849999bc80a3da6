// The progress screen: encrypting, sending, waiting for the network, checking.

import { text } from './texts.js';

const STAGES = ['recorded', 'encrypting', 'uploading', 'judging'];

/** Shows the progress in `elements` (`title`, `note`, `circle`, `percent`, `progress`, `stages`, `polite`). */
export function sendingView(elements) {
  const { title, note, circle, percent, progress, stages, polite } = elements;
  let countdown;
  /** The current message: the keys of its texts, and the seconds of its countdown. */
  let message = {};

  function stage(current) {
    const at = STAGES.indexOf(current);
    for (const item of stages.children) {
      const place = STAGES.indexOf(item.dataset.stage);
      item.className = place < at ? 'done' : place === at ? 'current' : '';
      if (place === at) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    }
  }

  /** Writes the current message in the current language. */
  function write() {
    title.textContent = text(message.headline);
    note.textContent = text(message.detail, message);
  }

  function say(headline, detail, seconds) {
    clearInterval(countdown);
    const isNew = message.headline !== headline;
    message = { headline, detail, seconds };
    write();
    if (isNew) polite.textContent = `${title.textContent}. ${note.textContent}`;
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
      say(`sending.${phase}`, phase === 'judging' ? 'sending.judging_text' : 'sending.stay');
    },

    /** Shows the progress of the phase, 0 to 1. */
    progress: fill,

    /** Shows why the upload or the result waits: for the network (`offline`), or `seconds` for the service (`overloaded`). */
    waiting(reason, seconds) {
      const isSent = circle.closest('.progress-circle').classList.contains('busy');
      // The upload starts again from the first byte.
      if (!isSent) fill(0);
      if (reason !== 'overloaded') {
        say('sending.offline', isSent ? 'sending.offline_result' : 'sending.offline_text');
        return;
      }
      say('sending.overloaded', 'sending.overloaded_text', Math.ceil(seconds ?? 0));
      countdown = setInterval(() => {
        message.seconds = Math.max(0, message.seconds - 1);
        write();
      }, 1000);
    },

    /** Called when the language has changed. */
    relabel: write,

    /** Stops the countdown. */
    stop() {
      clearInterval(countdown);
    },
  };
}
