// BioserverNetworkCheck for pages of the original service: measures whether the network is good enough to send a video.

(() => {
  /**
   * In kilobits per second. At this rate, the upload of a 3.5 s video takes half a minute; slower uploads may fall below
   * the service's minimum rate.
   */
  const UPLOAD_SPEED_THRESHOLD = 500;
  const DOWNLOAD_SPEED_THRESHOLD = 500;
  const UPLOAD_BYTES = 256 * 1024;
  /**
   * Time limit of the whole measurement, in milliseconds. At the thresholds, the upload takes 4 s and a download of 1 MiB
   * takes 17 s.
   */
  const TIMEOUT = 25000;
  /** Maximum number of bytes that one call of `crypto.getRandomValues` fills. */
  const RANDOM_BYTES = 65536;

  /** Random bytes, which no proxy can compress. */
  function randomBytes(length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += RANDOM_BYTES) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_BYTES));
    return bytes;
  }

  /**
   * Sends a request and reads its answer. Resolves with the milliseconds that it took, and with the bytes of the
   * answer.
   */
  async function timed(url, options) {
    const start = performance.now();
    const answer = await fetch(url, { cache: 'no-store', credentials: 'omit', ...options });
    const { byteLength } = await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`${url} answered with status ${answer.status}`);
    return { milliseconds: performance.now() - start, byteLength };
  }

  /**
   * The rate in kilobits per second. Subtracts the latency, but at most half of the time, because a later request may have
   * a lower latency than the measured one.
   */
  const rate = (bytes, milliseconds, latency) => Math.round(8 * bytes / Math.max(milliseconds - latency, milliseconds / 2, 1));

  /**
   * The latency (milliseconds), and the rates of upload and of download (kilobits a second) where there are addresses
   * for them.
   */
  async function measure({ uploadURL, latencyURL, downloadURL }, signal) {
    const measured = { goodConnectivity: true };
    // The first request includes the time to connect.
    if (latencyURL) {
      await timed(latencyURL, { signal });
      measured.latency = Math.round((await timed(latencyURL, { signal })).milliseconds);
    }
    const latency = measured.latency ?? 0;
    if (uploadURL) {
      const body = randomBytes(UPLOAD_BYTES);
      const headers = { 'Content-Type': 'application/octet-stream' };
      const { milliseconds } = await timed(uploadURL, { method: 'POST', body, headers, signal });
      measured.upload = rate(UPLOAD_BYTES, milliseconds, latency);
      measured.goodConnectivity = measured.upload >= UPLOAD_SPEED_THRESHOLD;
    }
    if (downloadURL) {
      const { milliseconds, byteLength } = await timed(downloadURL, { signal });
      measured.download = rate(byteLength, milliseconds, latency);
      measured.goodConnectivity &&= measured.download >= DOWNLOAD_SPEED_THRESHOLD;
    }
    return measured;
  }

  /**
   * Measures, and calls `onNetworkCheckUpdate` with the outcome, or with `undefined` if it takes too long; `errorFn` gets the
   * error of a request.
   */
  async function connectivityMeasure({ onNetworkCheckUpdate, errorFn, ...addresses } = {}) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), TIMEOUT);
    let measured;
    try {
      measured = await measure(addresses, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) {
        errorFn?.(error);
        return;
      }
    } finally {
      clearTimeout(timer);
    }
    // Outside the `try`: an error of the page's callback is no network error.
    onNetworkCheckUpdate?.(measured);
  }

  window.BioserverNetworkCheck = { UPLOAD_SPEED_THRESHOLD, DOWNLOAD_SPEED_THRESHOLD, connectivityMeasure };
})();
