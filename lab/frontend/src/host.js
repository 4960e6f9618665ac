// What the components share: one instance per mounted element, and which frames are worth drawing.

/** Milliseconds between two refreshes of a screen. */
const REFRESH = 1000 / 60;

/**
 * Turns a view class into a Streamlit component: built once per element, then only fed.
 *
 * Streamlit calls the clean-up of every call that was overtaken by newer data while its promise was
 * pending, not only of the last one, so that a view goes only once its element has left the page.
 * @param {new (parent: ParentNode) => {host: Node, receive: Function, destroy: () => void}} View
 */
export function component(View) {
  const views = new WeakMap();
  return ({ data, parentElement }) => {
    const stands = parentElement.isConnected; // or else the page was left while this module was loading
    let view = views.get(parentElement);
    if (!view && stands) {
      view = new View(parentElement);
      views.set(parentElement, view);
    }
    if (stands) view.receive(data);
    return () => {
      if (!view || view.host.isConnected || !views.delete(parentElement)) return;
      view.destroy();
    };
  };
}

/**
 * Draws only the newest frame, once per refresh of the screen: one that comes late is never drawn. The first waits
 * until the screen shows the page around it, because WebGL and Plotly take much longer to begin than to go on; one
 * that comes after a pause is drawn at once, because somebody may have asked for it.
 */
export class Latest {
  #draw;
  #request = 0;
  #began = false;
  #drawn = -Infinity;

  constructor(draw) {
    this.#draw = draw;
    this.frame = null;
  }

  offer(frame) {
    this.frame = frame;
    if (this.#request) return;
    if (this.#began && !document.hidden && performance.now() > this.#drawn + REFRESH) this.#take();
    else this.#request = requestAnimationFrame(() => (this.#began ? this.#take() : setTimeout(() => this.#take())));
  }

  cancel() {
    cancelAnimationFrame(this.#request);
    this.frame = null;
  }

  #take() {
    const { frame } = this;
    this.#request = 0;
    this.frame = null;
    this.#began = true;
    this.#drawn = performance.now();
    if (frame) this.#draw(frame);
  }
}

/** Lets a frame through if it is newer than the last of its stream. */
export class Gate {
  #stream = null;
  #seq = -Infinity;

  isNews({ stream, seq }) {
    return stream !== this.#stream || seq > this.#seq;
  }

  pass({ stream, seq }) {
    this.#stream = stream;
    this.#seq = seq;
  }
}

/** Writes down, for people and tests, what is on the screen and how old it was when it got there. */
export function markDrawn(host, { seq, sent, stream = "" }) {
  host.dataset.seq = String(seq);
  host.dataset.stream = stream;
  host.dataset.updates = String(Number(host.dataset.updates ?? 0) + 1);
  host.dataset.latency = (performance.timeOrigin + performance.now() - sent).toFixed(1);
}

export function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  created.append(...children);
  return created;
}

/** A button with a drawn icon; `path` is the `d` of an SVG path in a 24 x 24 box. */
export function iconButton(title, path, onClick) {
  const button = element("button", { type: "button", title, "aria-label": title });
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
  button.addEventListener("click", onClick);
  return button;
}

/** Short form of a number: four significant digits, and a true minus sign. */
export function format(value) {
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "\u2212");
}
