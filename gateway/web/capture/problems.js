// The actions against a problem: the event that the button sends, and its label. The texts are in texts/*.json.

// These problems keep the recording, so it is sent again instead of made again.
const KEEPS_RECORDING = ['offline', 'overloaded'];
const CAMERA = ['camera-denied', 'camera-missing', 'camera-busy'];
// Problems that the page cannot solve.
const FINAL = ['insecure-context', 'unsupported', 'untrusted', 'no-session'];

/** Whether another camera may help. */
export const isOfCamera = (code) => CAMERA.includes(code);

/**
 * The problem that an error of the SDK in the state `from` means for the person. The service answers alike (401) to a
 * wrong token and to the token of a session that has ended; a token that was accepted before is not wrong.
 */
export function problemOf(code, from) {
  return code === 'refused' && ['sending', 'judging'].includes(from) ? 'expired' : code;
}

/**
 * The remedy for the problem `code`, which occurred in the state `from`: `{event, label, advice}`, where `event` is one
 * of the machine's, `reload` for the whole page, or null if nothing on this page helps. `isDemonstration`: the page can
 * get a session by itself.
 */
export function wayOut(code, from, isDemonstration) {
  const advice = isDemonstration && ['expired', 'refused'].includes(code) ? 'advice_demo' : 'advice';
  const out = (event, label) => ({ event, label, advice });
  if (FINAL.includes(code)) return out(null);
  if (code === 'timeout' || (from === 'judging' && KEEPS_RECORDING.includes(code))) return out('recheck', 'recheck');
  if (from === 'sending' && KEEPS_RECORDING.includes(code)) return out('resend', 'resend');
  if (from === 'loading' && !['expired', 'refused'].includes(code)) return out('reload', 'retry');
  if (isOfCamera(code) || (from === 'preparing' && KEEPS_RECORDING.includes(code))) return out('retry', 'retry');
  if (isDemonstration) return out('restart', 'restart');
  return ['expired', 'refused', 'protocol'].includes(code) ? out(null) : out('restart', 'retry');
}
