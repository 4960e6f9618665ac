// Where the camera stands: remembered for this browser tab, and shared by the views of one name.

const shared = new EventTarget();

export class CameraMemory {
  #name;
  #onMove;

  /** @param {(state: object) => void} onMove called when another view of the same name was turned */
  constructor(onMove) {
    this.#onMove = (event) => {
      if (event.detail.name === this.#name && event.detail.from !== this) onMove(event.detail.state);
    };
    shared.addEventListener("move", this.#onMove);
  }

  set name(name) {
    this.#name = name;
  }

  /** The remembered state, if it was of a cube with these dimensions. */
  recall(dimensions) {
    const state = JSON.parse(sessionStorage.getItem(this.#slot) ?? "null");
    return state?.size && String(state.dimensions) === String(dimensions) ? state : null;
  }

  remember(state) {
    sessionStorage.setItem(this.#slot, JSON.stringify(state));
    shared.dispatchEvent(new CustomEvent("move", { detail: { name: this.#name, from: this, state } }));
  }

  close() {
    shared.removeEventListener("move", this.#onMove);
  }

  get #slot() {
    return `cellnet.camera.${this.#name}`;
  }
}
