// BioserverVideo for pages of the original service, over faceline.js, which is beside this script. The session's id
// is the only credential. The keys that verify the parameters come from the same server, so they prove no more than TLS
// does.

(() => {
  const script = new URL(document.currentScript.src);
  /**
   * The capture starts after this time in milliseconds, whatever the framing is: pages of the original service have no
   * button to force it.
   */
  const FORCE_AFTER = 15000;
  /** Mean change of luma from frame to frame, 0 to 255, above which the hint is MOVING_TOO_FAST instead of STAND_STILL. */
  const FAST_MOTION = 14;
  /** Range of the face's mean luma, 0 to 255, that `checkLuminosity` reports as GOOD. */
  const GOOD_LUMA = [50, 215];
  const LUMINOSITY_TIMEOUT = 10000;

  let loading;
  const sdk = () => (loading ??= import(new URL('faceline.js', script)));

  /** The address of the service: that of the options without `/video-server`, or that of this script. */
  function baseOf({ bioserverVideoUrl, wspath = '' }) {
    if (!bioserverVideoUrl) return new URL('..', script);
    const base = bioserverVideoUrl.replace(/\/+$/, '');
    if (base.endsWith('/video-server')) return base.slice(0, -'/video-server'.length);
    // A prefix of a proxy may be in either option.
    return base + wspath.slice(0, Math.max(0, wspath.indexOf('/video-server/')));
  }

  /** An error as the page's `errorFn` expects it: `{code, error}`, and with 429 `unlockDateTime` (ISO 8601). */
  function failureOf(error) {
    const codes = { overloaded: 503, expired: 404, refused: 401, unsupported: 501, offline: 500 };
    const code = error.status ?? codes[error.code] ?? 500;
    if (code === 429 && error.retryAfter === undefined) return { code: 503, error: error.message };
    const unlockDateTime = code === 429 ? new Date(Date.now() + 1000 * error.retryAfter).toISOString() : undefined;
    return { code, error: error.message, ...(unlockDateTime && { unlockDateTime }) };
  }

  /**
   * Calls a function of the page. The browser reports its exceptions as uncaught, because they are errors of the page and
   * must not end the capture.
   */
  function tellPage(options, name, ...values) {
    try {
      options[name]?.(...values);
    } catch (error) {
      setTimeout(() => { throw error; });
    }
  }

  /** The stream of the camera that the page opened last. */
  let pageStream;

  /**
   * Opens the page's camera. Rejects with the browser's own error if there is one, because pages check its name.
   */
  async function openPageCamera(video = {}) {
    const { openCamera } = await sdk();
    pageStream = await openCamera(video).catch((error) => Promise.reject(error.cause ?? error));
    return pageStream;
  }

  /**
   * The page's stream while it is live. Opening a camera again may choose another device, and ends the first stream on some
   * phones.
   */
  const livePageStream = () => (pageStream?.getVideoTracks().some(({ readyState }) => readyState === 'live') ? pageStream : undefined);

  async function getMediaStream({ videoId, video } = {}) {
    const stream = await openPageCamera(video);
    const element = videoId && document.getElementById(videoId);
    if (element) {
      Object.assign(element, { srcObject: stream, muted: true, playsInline: true });
      // If the page replaces the stream at once, `play` rejects.
      element.play().catch(() => {});
    }
    return stream;
  }

  async function initMediaDevices() {
    const { cameras } = await sdk();
    return { videoDevices: await cameras() };
  }

  /** The places of challenges on a mirrored preview, by direction. */
  const PLACES = { up: 'T', down: 'B', left: 'L', right: 'R' };

  /** `positionInfo` for a frame. In active mode, pages have no elements for hints about light. */
  function positionOf({ hint, face, offset, motion }, isActive) {
    const light = isActive ? (face ? 'GOOD' : 'MOVE_BACK_INTO_FRAME') : undefined;
    // Directions are the person's: the right side of a camera's frame is the person's left.
    const horizontal = offset.x > 0 ? 'CENTER_MOVE_RIGHT' : 'CENTER_MOVE_LEFT';
    const vertical = offset.y > 0 ? 'CENTER_MOVE_UP' : 'CENTER_MOVE_DOWN';
    const positions = {
      good: 'GOOD',
      'no-face': 'MOVE_BACK_INTO_FRAME',
      'too-far': 'CENTER_MOVE_FORWARDS',
      'too-close': 'CENTER_MOVE_BACKWARDS',
      'off-centre': Math.abs(offset.x) > Math.abs(offset.y) ? horizontal : vertical,
      'too-dark': light ?? 'MOVE_BRIGHTER_AREA',
      'too-bright': light ?? 'MOVE_DARKER_AREA',
      'hold-still': motion > FAST_MOTION ? 'MOVING_TOO_FAST' : 'STAND_STILL',
      blurred: 'STAND_STILL',
    };
    return `TRACKER_POSITION_INFO_${positions[hint] ?? 'UNKNOWN'}`;
  }

  /** A session's capture, as the page drives it. */
  class FaceCaptureClient {
    constructor(capture, options) {
      this.capture = capture;
      this.options = options;
      this.isActive = capture.parameters.type === 'LIVENESS_ACTIVE';
      this.controller = new AbortController();
      this.challengeCircles = capture.challenges.map((direction) => ({ pos: PLACES[direction] }));
      capture.addEventListener('challenge', ({ detail }) => { this.step = detail ?? undefined; });
    }

    /** Calls a callback of the page, unless the page has stopped the capture. */
    tell(name, ...values) {
      if (!this.controller.signal.aborted) tellPage(this.options, name, ...values);
    }

    /** Captures, uploads and waits for the result. Never rejects: the callbacks report the outcome. */
    async startCapture({ stream } = {}) {
      const { signal } = this.controller;
      const video = document.createElement('video');
      try {
        this.tell('showChallengeInstruction', this.isActive ? 'FACEFLOW_CHALLENGE_2D' : 'TRACKER_CHALLENGE_DONT_MOVE');
        const onHint = (framing) => this.tell('trackingFn', this.trackingInfo(framing, video));
        const recording = await this.capture.capture({ video, stream, onHint, signal, forceAfter: FORCE_AFTER });
        this.tell('showChallengeInstruction', 'TRACKER_CHALLENGE_PENDING');
        await this.capture.upload(recording, { signal, onProgress: (uploadProgress) => this.tell('trackingFn', { uploadProgress }) });
        const { landmarks } = await this.capture.result({ signal });
        // After this callback the page calls its back end, which reads the same terminal status.
        this.tell('showChallengeResult', { bestImageInfo: imageInfoOf(landmarks) });
      } catch (error) {
        this.tell('errorFn', failureOf(error));
      } finally {
        video.srcObject = null;
      }
    }

    /** The method's name until 2021. */
    start(stream) {
      return this.startCapture({ stream });
    }

    /** Stops the capture, and leaves the page's camera open. */
    stop() {
      this.controller.abort();
      this.capture.close();
    }

    async disconnect() {
      this.stop();
    }

    /** Does nothing: only clients of 2020 showed colours, and this service requests none. */
    colorDisplayed() {}

    /**
     * Measures the light until it is good, for at most `badLuminosityMaxDuration` ms, and reports NOT_GOOD, GOOD or
     * TIMEOUT.
     */
    async checkLuminosity({ badLuminosityMaxDuration = LUMINOSITY_TIMEOUT, stream = this.options.stream ?? livePageStream() } = {}) {
      const { watchFraming, openCamera } = await sdk();
      const ownStream = stream ? undefined : await openCamera();
      const video = Object.assign(document.createElement('video'), { srcObject: stream ?? ownStream, muted: true, playsInline: true });
      const watching = new AbortController();
      const end = (outcome) => {
        if (watching.signal.aborted) return;
        clearTimeout(timer);
        watching.abort();
        video.srcObject = null;
        for (const track of ownStream?.getTracks() ?? []) track.stop();
        if (outcome) this.tell('showLuminosityCheckResult', outcome);
      };
      const timer = setTimeout(end, badLuminosityMaxDuration, 'TIMEOUT');
      this.controller.signal.addEventListener('abort', () => end());
      // The page may have disconnected while the camera opened; a signal that is already aborted fires no event.
      if (this.controller.signal.aborted) {
        end();
        return;
      }
      let isBad = false;
      watchFraming(video, ({ brightness }) => {
        if (brightness >= GOOD_LUMA[0] && brightness <= GOOD_LUMA[1]) return end('GOOD');
        if (!isBad) this.tell('showLuminosityCheckResult', 'NOT_GOOD');
        isBad = true;
        return undefined;
      }, { signal: watching.signal });
      // `play` rejects if `end` has removed the stream meanwhile.
      await video.play().catch((error) => watching.signal.aborted || Promise.reject(error));
    }

    /** The data of a frame for the page and BioserverVideoUI. Lengths are in pixels of the video, unmirrored. */
    trackingInfo(framing, { videoWidth, videoHeight }) {
      const { face, hint, stability } = framing;
      const [facex, facey, facew, faceh] = face
        ? [face.x * videoWidth, face.y * videoHeight, face.width * videoWidth, face.height * videoHeight].map(Math.round)
        : [0, 0, 0, 0];
      const info = {
        phoneNotVertical: false,
        tooFar: hint === 'too-far',
        tooClose: hint === 'too-close',
        facex, facey, facew, faceh,
        positionInfo: positionOf(framing, this.isActive),
        targetInfo: { targetR: Math.round(Math.min(videoWidth, videoHeight) / 3), stability },
      };
      if (!this.isActive) return info;
      const { step } = this;
      const livenessActive = {
        // Before the first challenge the person looks ahead.
        stillFace: !step || step.index < 0,
        movingPhone: !step && hint === 'hold-still',
        targetOnHover: step?.phase === 'ahead' && step.index >= 0,
        targetChallengeIndex: step?.index ?? -1,
        challengeCircles: this.challengeCircles,
      };
      return { ...info, livenessActive, livenessHigh: livenessActive };
    }
  }

  /** The box of the face in the best image, in the form of BioserverVideoUI. */
  function imageInfoOf(landmarks) {
    const box = landmarks?.box;
    return box && { boxX: box.x, boxY: box.y, boxW: box.width, boxH: box.height };
  }

  /** Prepares a session's capture. On an error, calls `errorFn` and rejects. */
  async function initFaceCaptureClient(options) {
    const progress = (downloadProgress) => tellPage(options, 'trackingFn', { downloadProgress });
    try {
      progress(0);
      const { init } = await sdk();
      progress(0.5);
      const capture = await init({ baseUrl: baseOf(options), session: options.bioSessionId });
      const { type } = capture.parameters;
      if (!['LIVENESS_PASSIVE', 'LIVENESS_PASSIVE_VIDEO', 'LIVENESS_ACTIVE'].includes(type)) {
        throw Object.assign(new Error(`${type} is not provided by this service`), { code: 'unsupported' });
      }
      progress(1);
      const client = new FaceCaptureClient(capture, options);
      // Deferred, so the page has its client before the callback.
      if (!client.isActive) setTimeout(() => client.tell('onClientInitEnd'));
      return client;
    } catch (error) {
      tellPage(options, 'errorFn', failureOf(error));
      throw error;
    }
  }

  window.BioserverVideo = {
    getMediaStream,
    getDeviceStream: ({ video } = {}) => openPageCamera(video),
    initMediaDevices,
    initFaceCaptureClient,
  };
})();
