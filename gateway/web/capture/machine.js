// The states of the capture page and the events that lead from one to the next. All other modules follow the state.

/** For each state, the state that an event leads to. An event that is not listed changes nothing. */
export const TRANSITIONS = Object.freeze({
  loading: { loaded: 'start', failed: 'problem' },
  start: { begin: 'preparing', failed: 'problem' },
  preparing: { opened: 'framing', cancel: 'start', failed: 'problem' },
  framing: { recording: 'recording', recorded: 'sending', change: 'preparing', cancel: 'start', failed: 'problem' },
  recording: { recorded: 'sending', framing: 'framing', cancel: 'start', failed: 'problem' },
  sending: { sent: 'judging', failed: 'problem' },
  judging: { judged: 'result', failed: 'problem' },
  result: { restart: 'start' },
  problem: { restart: 'start', retry: 'preparing', resend: 'sending', recheck: 'judging' },
});

/** A machine in the state `loading`. `onState(state, detail, previous)` is called after each change. */
export function machine(onState) {
  let state = 'loading';
  return {
    get state() {
      return state;
    },
    /** Handles `event`; returns false, without a change, if the present state does not list it. */
    send(event, detail) {
      const next = TRANSITIONS[state][event];
      if (next === undefined) return false;
      const previous = state;
      state = next;
      onState(state, detail, previous);
      return true;
    },
  };
}
