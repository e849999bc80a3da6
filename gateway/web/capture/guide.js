// The guidance over the camera's picture and for screen readers: hints, the ring around the oval, challenges.

import { text } from './texts.js';

// A hint stays for this long, in milliseconds, so people can read it.
const VISIBLE_TIME = 350;
// A screen reader announces a hint that has lasted for the first time, at most once in the second (milliseconds).
const SPOKEN_AFTER = 700;
const SPOKEN_INTERVAL = 3000;
const MIRRORED = { left: 'right', right: 'left' };

/**
 * Shows guidance in `elements` (`stage`, `hint`, `ring`, `steps`, `spinner`, `mark`), and writes to the live regions
 * `polite` and `urgent`.
 */
export function guide(elements) {
  const { stage, hint, ring, steps, spinner, mark, polite, urgent } = elements;
  let shown = { key: '', at: -Infinity };
  let pending = { key: '', since: 0 };
  let spoken = { key: '', at: -Infinity };
  let isMirrored = true;

  function fill(value) {
    ring.style.strokeDashoffset = String(100 - 100 * Math.min(1, Math.max(0, value)));
  }

  function show(message, tone) {
    hint.textContent = message;
    stage.dataset.tone = tone;
  }

  function announce(key, tone, value) {
    show(text(key, value), tone);
    urgent.textContent = text(key, value);
  }

  function clear() {
    shown = { key: '', at: -Infinity };
    spoken = { key: '', at: -Infinity };
    delete stage.dataset.turn;
    steps.replaceChildren();
    mark.hidden = true;
    polite.textContent = '';
    urgent.textContent = '';
    fill(0);
  }

  function speak(key, now) {
    if (pending.key !== key) pending = { key, since: now };
    const due = now - pending.since >= SPOKEN_AFTER && now - spoken.at >= SPOKEN_INTERVAL;
    if (!due || spoken.key === key) return;
    spoken = { key, at: now };
    polite.textContent = text(`hint.${key}`);
  }

  return {
    /** Whether the preview is mirrored. If it is not, arrows to the left and to the right are swapped. */
    set mirrored(value) {
      isMirrored = value;
      stage.classList.toggle('mirrored', value);
    },

    /** Shows that the camera opens. */
    waiting() {
      clear();
      spinner.hidden = false;
      show(text('camera.allow'), 'idle');
    },

    /** Shows that the camera delivers frames. */
    opened() {
      clear();
      spinner.hidden = true;
      show('', 'idle');
    },

    /** Shows the hint of an analysed frame. */
    framing({ hint: key, stability }) {
      const now = performance.now();
      fill(stability);
      speak(key, now);
      if (key === shown.key || now - shown.at < VISIBLE_TIME) return;
      if (shown.key === '') performance.mark('first-hint');
      shown = { key, at: now };
      show(text(`hint.${key}`), { good: 'good', 'no-face': 'idle' }[key] ?? 'correct');
    },

    /** Shows that the recording has started. */
    recording(hasChallenges) {
      mark.hidden = false;
      fill(0);
      polite.textContent = text('camera.started');
      stage.dataset.tone = 'recording';
      if (!hasChallenges) show(text('hint.recording'), 'recording');
    },

    /** Shows the progress of the recording, 0 to 1. */
    progress(value) {
      fill(value);
    },

    /** Shows a step of the challenges; null: all are done. */
    challenge(step) {
      if (!step) {
        delete stage.dataset.turn;
        for (const dot of steps.children) dot.className = 'done';
        announce('challenge.done', 'good');
        return;
      }
      const { index, count, phase, direction } = step;
      const done = phase === 'ahead' ? index + 1 : index;
      steps.replaceChildren(...Array.from({ length: count }, (_, number) => {
        const dot = document.createElement('li');
        dot.className = number < done ? 'done' : number === index ? 'current' : '';
        return dot;
      }));
      if (phase === 'ahead') {
        delete stage.dataset.turn;
        announce('challenge.ahead', 'recording');
      } else {
        stage.dataset.turn = isMirrored ? direction : MIRRORED[direction] ?? direction;
        announce(`challenge.${direction}`, 'recording');
      }
    },
  };
}
