// The last screens: the result with the best image, and problems with what to do.

import { list, text } from './texts.js';

const TONES = { SUCCESS: 'good', SPOOF: 'bad' };

function fillList(element, lines) {
  element.replaceChildren(...lines.map((line) => {
    const item = document.createElement('li');
    item.textContent = line;
    return item;
  }));
}

/** The image of a result as a Blob (JPEG); undefined if the result has none. */
function pictureOf(result) {
  if (!result.image) return undefined;
  return new Blob([Uint8Array.from(atob(result.image), (character) => character.charCodeAt(0))], { type: 'image/jpeg' });
}

/** Shows results in `elements` (`title`, `note`, `advice`, `badge`, `figure`, `image`, `details`, `answer`). */
export function resultView(elements) {
  const { title, note, advice, badge, figure, image, details, answer } = elements;
  let address;

  function picture(blob, box) {
    if (address) URL.revokeObjectURL(address);
    address = blob && URL.createObjectURL(blob);
    figure.hidden = !blob;
    image.removeAttribute('src');
    if (!blob) return;
    image.alt = text('result.image');
    image.onload = () => {
      if (!box) return;
      // Centres the face in the frame, as far as the picture extends.
      const middle = [(box.x + box.width / 2) / image.naturalWidth, (box.y + box.height / 2) / image.naturalHeight];
      image.style.objectPosition = middle.map((part) => `${Math.round(100 * Math.min(1, Math.max(0, part)))}%`).join(' ');
    };
    image.src = address;
  }

  return {
    /**
     * Shows the result of a capture of `type`. `bestImage` replaces a missing image of the result. `raw`: whether to show
     * the service's answer as JSON.
     */
    show(result, { type, bestImage, raw }) {
      const { status } = result;
      const key = `result.${status in TONES || text(`result.${status}.title`) ? status : 'ERROR'}`;
      title.textContent = text(`${key}.title`);
      note.textContent = text(`${key}.text`);
      const turns = type === 'LIVENESS_ACTIVE' ? list(`${key}.advice_active`) : [];
      fillList(advice, turns.length ? turns : list(`${key}.advice`));
      badge.dataset.tone = TONES[status] ?? 'notice';
      if (status === 'SUCCESS') picture(pictureOf(result) ?? bestImage, result.landmarks?.box);
      else picture();
      details.hidden = !raw;
      const shortened = result.image ? { ...result, image: `${result.image.slice(0, 32)}… (${result.image.length})` } : result;
      answer.textContent = JSON.stringify(shortened, null, 2);
    },
  };
}

/** Shows problems in `elements` (`title`, `note`, `advice`, `action`, `code`). */
export function problemView(elements) {
  const { title, note, advice, action, code: codeLine } = elements;
  let countdown;

  return {
    /** Shows the problem `code` with its remedy. Until `retryAfter` seconds are over, the button counts down. */
    show(code, way, retryAfter) {
      clearInterval(countdown);
      const key = text(`problem.${code}.title`) ? code : 'protocol';
      // Without texts, those of the document remain.
      title.textContent = text(`problem.${key}.title`) || title.textContent;
      note.textContent = text(`problem.${key}.text`) || note.textContent;
      fillList(advice, list(`problem.${key}.${way.advice}`));
      codeLine.textContent = text('problem.code', { code });
      action.hidden = way.event === null;
      const label = text(`action.${way.label}`) || 'Try again';
      let left = Math.ceil(retryAfter ?? 0);
      const tick = () => {
        action.disabled = left > 0;
        action.textContent = left > 0 ? text('action.wait', { seconds: left }) : label;
        if (left <= 0) clearInterval(countdown);
        left -= 1;
      };
      countdown = setInterval(tick, 1000);
      tick();
    },

    /** Stops the countdown. */
    stop() {
      clearInterval(countdown);
    },
  };
}
