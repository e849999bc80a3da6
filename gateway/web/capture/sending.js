// The screen on which a person waits: encrypting, sending, waiting for the network, checking.

import { text } from './texts.js';

const STAGES = ['recorded', 'encrypting', 'uploading', 'judging'];

/** Shows the progress in `elements` (`title`, `note`, `circle`, `percent`, `progress`, `stages`, `polite`). */
export function sendingView(elements) {
  const { title, note, circle, percent, progress, stages, polite } = elements;
  let countdown;
  /** The keys of the texts that are shown, and the seconds in them. */
  let said = {};

  function stage(current) {
    const at = STAGES.indexOf(current);
    for (const item of stages.children) {
      const place = STAGES.indexOf(item.dataset.stage);
      item.className = place < at ? 'done' : place === at ? 'current' : '';
      if (place === at) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    }
  }

  /** Writes the last message again, in the present language. */
  function write() {
    title.textContent = text(said.headline);
    note.textContent = text(said.detail, said);
  }

  function say(headline, detail, seconds) {
    clearInterval(countdown);
    const isNew = said.headline !== headline;
    said = { headline, detail, seconds };
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

    /**
     * The upload or the result waits for the network (`offline`), or the upload `seconds` for the service
     * (`overloaded`).
     */
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
        said.seconds = Math.max(0, said.seconds - 1);
        write();
      }, 1000);
    },

    /** Called when the language has changed. */
    relabel: write,

    /** Called when nothing runs any more. */
    stop() {
      clearInterval(countdown);
    },
  };
}
