// Tells Streamlit what a component has to report, when no press is on its way.

/**
 * Streamlit sends what was pressed after a timeout of 0, together with all that is reported until then, and names
 * only the fragment that came first: of a press and a report that meet, one would do nothing. So a report waits
 * until every timeout of 0 has run, and is then sent at once, without a timeout of its own.
 */
class Reports {
  #timeouts = new Set();
  #waiting = [];
  #sending = false;

  constructor() {
    const { setTimeout, clearTimeout } = globalThis;
    globalThis.setTimeout = (run, wait = 0, ...rest) => {
      if (wait > 0) return setTimeout(run, wait, ...rest);
      if (this.#sending) return run(...rest);
      const id = setTimeout(() => {
        try {
          run(...rest);
        } finally {
          this.#over(id);
        }
      });
      this.#timeouts.add(id);
      return id;
    };
    globalThis.clearTimeout = (id) => {
      clearTimeout(id);
      this.#over(id);
    };
  }

  send(report) {
    this.#waiting.push(report);
    this.#sendAll();
  }

  #over(id) {
    if (this.#timeouts.delete(id)) this.#sendAll();
  }

  #sendAll() {
    if (this.#timeouts.size) return;
    this.#sending = true;
    try {
      while (this.#waiting.length) this.#waiting.shift()();
    } finally {
      this.#sending = false;
    }
  }
}

/** One for the page, whichever component comes first. */
export const reports = (globalThis.cellnetReports ??= new Reports());
