// BioserverVideoUI for pages of the original service: guidance over the page's video, and the best image. The text for
// screen readers is in an element of role `status`; nothing moves for people who ask for reduced motion.

(() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const GOOD = 'TRACKER_POSITION_INFO_GOOD';
  /** Colours with a contrast of at least 3:1 on their dark outline. */
  const COLORS = { good: '#2ecc71', other: '#ffffff', outline: '#101010', target: '#ffd23f' };
  /** Centres of the challenges' circles, and the angle of their arrows, in the 100 by 100 of the overlay. */
  const PLACES = {
    T: [50, 10, -90], B: [50, 90, 90], L: [10, 50, 180], R: [90, 50, 0],
    TL: [20, 20, -135], TR: [80, 20, -45], BL: [20, 80, 135], BR: [80, 80, 45],
  };
  const TEXTS = {
    en: { ahead: 'Look straight ahead', T: 'Turn your head up', B: 'Turn your head down', L: 'Turn your head to the left', R: 'Turn your head to the right' },
    de: { ahead: 'Geradeaus schauen', T: 'Kopf nach oben drehen', B: 'Kopf nach unten drehen', L: 'Kopf nach links drehen', R: 'Kopf nach rechts drehen' },
    fr: { ahead: 'Regardez droit devant', T: 'Tournez la tête vers le haut', B: 'Tournez la tête vers le bas', L: 'Tournez la tête vers la gauche', R: 'Tournez la tête vers la droite' },
  };
  /** The margin around a face in the best image, in parts of the face. */
  const MARGIN = 0.6;

  function texts() {
    const [language] = (document.documentElement.lang || navigator.language).split('-');
    return TEXTS[language] ?? TEXTS.en;
  }

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // ------------------------------------------------------------------------------------------------------------- video overlay

  /** A drawing over a video, which follows its size, with the text for screen readers. */
  class Overlay {
    constructor(video) {
      this.video = video;
      this.drawing = element('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'xMidYMid meet', 'aria-hidden': 'true' });
      this.status = Object.assign(document.createElement('p'), { className: 'bioserver-status' });
      this.status.setAttribute('role', 'status');
      Object.assign(this.drawing.style, { position: 'absolute', pointerEvents: 'none' });
      // For screen readers alone.
      Object.assign(this.status.style, { position: 'absolute', width: '1px', height: '1px', overflow: 'hidden', clipPath: 'inset(50%)' });
      video.after(this.drawing, this.status);
      this.place = () => {
        const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = video;
        Object.assign(this.drawing.style, { left: `${offsetLeft}px`, top: `${offsetTop}px`, width: `${offsetWidth}px`, height: `${offsetHeight}px` });
      };
      this.observer = new ResizeObserver(this.place);
      this.observer.observe(video);
      this.place();
    }

    draw(...parts) {
      this.drawing.replaceChildren(...parts);
    }

    say(text) {
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    remove() {
      this.observer.disconnect();
      this.drawing.remove();
      this.status.remove();
    }
  }

  let passive;
  let active;
  let tooltip = { enabled: false };

  /** A line that is visible on light and on dark backgrounds. */
  function outlined(name, attributes, color) {
    const line = (stroke, width) => element(name, { fill: 'none', 'stroke-linecap': 'round', ...attributes, stroke, 'stroke-width': width });
    return [line(COLORS.outline, 2.4), line(color, 1.4)];
  }

  function initPassiveVideoGraphics(videoId) {
    stopPassiveVideoAnimation();
    const video = document.getElementById(videoId);
    if (!video) return;
    passive = new Overlay(video);
    displayPassiveVideoAnimation({});
  }

  /** An oval for the face; an arc around it grows while the framing is good. */
  function displayPassiveVideoAnimation(trackingInfo = {}) {
    if (!passive) return;
    const { positionInfo, targetInfo } = trackingInfo;
    const oval = { cx: 50, cy: 50, rx: 29, ry: 39 };
    const color = positionInfo === GOOD ? COLORS.good : COLORS.other;
    const share = Math.max(0, Math.min(1, targetInfo?.stability ?? 0));
    const arc = { ...oval, rx: 32, ry: 42, pathLength: 100, 'stroke-dasharray': `${100 * share} 100`, transform: 'rotate(-90 50 50)' };
    const turned = { ...arc, rx: arc.ry, ry: arc.rx };
    passive.draw(...outlined('ellipse', oval, color), ...(share > 0 ? outlined('ellipse', turned, COLORS.good) : []));
  }

  function stopPassiveVideoAnimation() {
    passive?.remove();
    passive = undefined;
  }

  function resetLivenessActiveGraphics(options = {}) {
    active?.remove();
    active = undefined;
    tooltip = { enabled: false, ...options.tooltip };
  }

  /** A circle for each challenge; the present one has an arrow that the head follows. */
  function updateLivenessActiveGraphics(videoId, trackingInfo = {}) {
    const liveness = trackingInfo.livenessActive ?? trackingInfo.livenessHigh;
    const video = document.getElementById(videoId);
    if (!video || !liveness) return;
    if (active?.video !== video) {
      active?.remove();
      active = new Overlay(video);
    }
    const { challengeCircles = [], targetChallengeIndex: index = -1, targetOnHover, stillFace } = liveness;
    const target = stillFace || targetOnHover ? undefined : challengeCircles[index];
    const color = trackingInfo.positionInfo === GOOD ? COLORS.good : COLORS.other;
    const parts = outlined('ellipse', { cx: 50, cy: 50, rx: 24, ry: 33 }, color);
    if (target) {
      const [x, y, angle] = PLACES[target.pos];
      const arrow = { d: 'M -7 0 H 6 M 1 -5 L 6 0 L 1 5', transform: `translate(${x} ${y}) rotate(${angle})` };
      parts.push(...outlined('circle', { cx: x, cy: y, r: 9 }, COLORS.target), ...outlined('path', arrow, COLORS.target));
    }
    // How many challenges there are, and how many are done.
    const done = index < 0 ? 0 : index + (targetOnHover ? 1 : 0);
    challengeCircles.forEach((_, at) => parts.push(element('circle', {
      cx: 50 + 5 * (at - (challengeCircles.length - 1) / 2), cy: 97, r: 1.6, stroke: COLORS.outline, 'stroke-width': 0.5, fill: at < done ? COLORS.good : COLORS.other,
    })));
    const words = texts();
    const text = target ? tooltip.text || words[target.pos] || words.ahead : words.ahead;
    if (tooltip.enabled) {
      const shown = element('text', { x: 50, y: 6, 'text-anchor': 'middle', 'font-size': 5, fill: COLORS.other, stroke: COLORS.outline, 'stroke-width': 1.2, 'paint-order': 'stroke' });
      shown.textContent = text;
      parts.push(shown);
    }
    active.draw(...parts);
    active.say(text);
  }

  // -------------------------------------------------------------------------------------------------------------- the best image

  /** Elements that show a picture: canvases of this script, and canvases and images of the page. */
  const pictures = new Set();
  const own = new WeakSet();

  /**
   * The part of a picture of this size that shows the face with a margin; all of it if the face's position is unknown.
   */
  function cropOf({ width, height }, info) {
    const { boxX: x, boxY: y, boxW, boxH } = info ?? {};
    if (!(boxW > 0 && boxH > 0)) return { x: 0, y: 0, width, height };
    const side = Math.min(width, height, Math.max(boxW, boxH) * (1 + MARGIN));
    const within = (centre, size) => Math.max(0, Math.min(size - side, centre - side / 2));
    return { x: within(x + boxW / 2, width), y: within(y + boxH / 2, height), width: side, height: side };
  }

  /** Draws the face of a picture into an element: a canvas, which a page may give, or a new one in it. */
  async function show(host, blob, info, borderColor) {
    if (!host || !blob) return;
    const picture = await createImageBitmap(blob);
    const { x, y, width, height } = cropOf(picture, info);
    const canvas = host instanceof HTMLCanvasElement ? host : document.createElement('canvas');
    Object.assign(canvas, { width: Math.round(width), height: Math.round(height) });
    canvas.setAttribute('role', 'img');
    if (!canvas.hasAttribute('aria-label')) canvas.setAttribute('aria-label', host.getAttribute('aria-label') ?? host.getAttribute('alt') ?? 'Best image');
    const context = canvas.getContext('2d');
    if (borderColor) {
      context.save();
      context.beginPath();
      context.ellipse(canvas.width / 2, canvas.height / 2, canvas.width * 0.38, canvas.height * 0.48, 0, 0, 2 * Math.PI);
      context.clip();
    }
    context.drawImage(picture, x, y, width, height, 0, 0, canvas.width, canvas.height);
    if (borderColor) {
      context.restore();
      Object.assign(context, { strokeStyle: borderColor, lineWidth: Math.max(2, canvas.width / 60) });
      context.stroke();
    }
    if (host === canvas || host instanceof HTMLImageElement) {
      pictures.add(host);
      if (host !== canvas) host.src = canvas.toDataURL('image/jpeg', 0.92);
      return;
    }
    Object.assign(canvas.style, { maxWidth: '100%', display: 'block', margin: '0 auto' });
    for (const old of host.querySelectorAll('canvas')) if (own.has(old)) old.remove();
    pictures.add(canvas);
    own.add(canvas);
    host.append(canvas);
  }

  const displayAndCenterBestImage = (blob, info, selector) =>
    Promise.all([...document.querySelectorAll(selector)].map((host) => show(host, blob, info)));
  const displayBestImage = (blob, info, id) => show(document.getElementById(id), blob, info);
  const displayPassiveVideoBestImage = (blob, info, id, options) =>
    show(document.getElementById(id), blob, info, options?.oval?.borderColor ?? COLORS.good);

  /** Removes all best images. Elements of the page stay, without a picture. */
  function resetBestImage() {
    for (const shown of pictures) {
      if (own.has(shown)) shown.remove();
      else if (shown instanceof HTMLImageElement) shown.removeAttribute('src');
      else shown.width = shown.height = 0;
    }
    pictures.clear();
  }

  // ------------------------------------------------------------------------------------------------------------- not supported

  /** The service refuses sessions of LIVENESS_MLC, so no page reaches its graphics. */
  const notProvided = (name) => () => console.warn(`BioserverVideoUI.${name}: LIVENESS_MLC is not provided by this service`);
  const mlc = ['initMlcGraphics', 'resetMlcGraphics', 'prepareSmileProgress', 'applySmileProgress'];

  window.BioserverVideoUI = {
    displayAndCenterBestImage, displayBestImage, displayPassiveVideoBestImage, resetBestImage,
    initPassiveVideoGraphics, displayPassiveVideoAnimation, stopPassiveVideoAnimation,
    resetLivenessActiveGraphics, updateLivenessActiveGraphics,
    // The names until 2022.
    resetLivenessHighGraphics: resetLivenessActiveGraphics, updateLivenessHighGraphics: updateLivenessActiveGraphics,
    ...Object.fromEntries(mlc.map((name) => [name, notProvided(name)])),
  };
})();
