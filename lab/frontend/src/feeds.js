// Asks the server, a little more often than once a second, what all live parts of the page show next: see
// lab/components/feeds.py.

import { unpack } from "./payload.js";

const PERIOD = 850;

class Feeds {
  #views = new Map();
  #timer = 0;
  #asking = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  /**
   * @param {object} view whose part is fed, until `drop`
   * @param {{name: string, version: string} | null} feed null if the part is drawn by the script alone
   * @param {(bytes: Uint8Array) => void} take
   * @param {() => string} held names of what the view holds
   */
  follow(view, feed, take, held = () => "") {
    if (!feed) return this.drop(view);
    this.#views.set(view, { ...feed, take, held });
    this.#wait();
  }

  drop(view) {
    this.#views.delete(view);
  }

  #wait() {
    if (this.#timer || this.#asking || document.hidden || !this.#views.size) return;
    this.#timer = setTimeout(() => this.#ask(), PERIOD);
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#asking || document.hidden || !this.#views.size) return;
    this.#asking = true;
    const began = performance.now();
    const asked = [...this.#views];
    try {
      this.#give(asked, await fetchNews(asked.map(([, fed]) => [fed.name, fed.version, fed.held()])));
    } finally {
      this.#asking = false;
      if (this.#views.size && !document.hidden) {
        this.#timer = setTimeout(() => this.#ask(), Math.max(0, began + PERIOD - performance.now()));
      }
    }
  }

  /** What the script sent meanwhile is newer than an answer to what was asked before. */
  #give(asked, { header, arrays }) {
    for (const [view, fed] of asked) {
      if (!arrays[fed.name] || this.#views.get(view) !== fed) continue;
      fed.version = header.versions[fed.name];
      fed.take(arrays[fed.name]);
    }
  }
}

async function fetchNews(asked) {
  const address = new URL("news", document.baseURI);
  for (const each of asked) address.searchParams.append("feed", JSON.stringify(each));
  const answer = await fetch(address).catch(() => null);
  // While the server is away, Streamlit says so.
  if (!answer?.ok) return { header: {}, arrays: {} };
  return unpack(new Uint8Array(await answer.arrayBuffer()));
}

/** One for the page, whichever component comes first, so that all parts are drawn in one frame. */
export const feeds = (globalThis.cellnetFeeds ??= new Feeds());
