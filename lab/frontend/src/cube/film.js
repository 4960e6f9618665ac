// A film: pictures that come in one message and are played here, such as the steps of one forward pass.

import { element, iconButton } from "../host.js";

const PLAY_ICON = "M8 5v14l11-7z";
const PAUSE_ICON = "M8 5v14M16 5v14";
const PLAY = "Play (space)";
const PAUSE = "Pause (space)";
const TOO_LARGE = "Too large to play: each step is fetched when it is chosen";
const PERIOD = 700;
const RESTS = 300;

/** The pictures of a message as [number, scene, their arrays]; one that is no film has the number null. */
export function picturesOf({ scene, film }, arrays) {
  const pictures = [[film ? film.at : null, scene, arrays]];
  for (const [number, other] of Object.entries(film?.others ?? {})) {
    const own = {};
    for (const name of Object.keys(arrays)) {
      if (name.startsWith(`${number}.`)) own[name.slice(number.length + 1)] = arrays[name];
    }
    pictures.push([Number(number), { ...scene, ...other }, own]);
  }
  return pictures;
}

/** What films of one name share: the number that they show, and whether they play. */
class Clock {
  number = null;
  asked = null;
  players = new Set();
  #timer = 0;

  get playing() {
    return this.#timer !== 0;
  }

  show(number, from = null) {
    this.number = number;
    for (const player of this.players) if (player !== from) player.follow();
  }

  play({ first, last }) {
    this.#timer = setInterval(() => this.show(this.number < last ? this.number + 1 : first), PERIOD);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  leave(player) {
    this.players.delete(player);
    if (!this.players.size) this.pause();
  }
}

const clocks = new Map();

function clockOf(name) {
  if (!clocks.has(name)) clocks.set(name, new Clock());
  return clocks.get(name);
}

/** The controls below the picture. */
export class Player {
  #film = null;
  #clock = null;
  #complete = false;
  #resting = 0;

  /**
   * @param {() => void} onShow called when another number is to be shown
   * @param {(number: number) => void} onRest called with the number that someone chose, or paused at
   */
  constructor(onShow, onRest) {
    this.onShow = onShow;
    this.onRest = onRest;
    this.button = iconButton(PLAY, PLAY_ICON, () => this.toggle());
    this.range = element("input", { type: "range", step: "1" });
    this.output = element("output");
    this.element = element("div", { class: "player", hidden: "" }, this.button, this.range, this.output);
    this.range.addEventListener("input", () => this.#choose(Number(this.range.value)));
  }

  /** Number of the picture to show; null without a film. */
  get number() {
    return this.#film ? this.#clock.number : null;
  }

  /** "lattice step 3", or nothing without a film. */
  get words() {
    return this.#film ? `${this.#film.word} ${this.number}` : "";
  }

  get plays() {
    return !this.element.hidden;
  }

  /** Takes the film of a message, or null; goes to the number that the page asks for, once. */
  take(film) {
    if (film?.name !== this.#film?.name) this.close();
    this.#film = film;
    this.element.hidden = !film || film.first === film.last;
    if (!film) return;
    const { first, last, at, name, word, others } = film;
    this.#clock = clockOf(name);
    this.#clock.players.add(this);
    this.#complete = Object.keys(others).length === last - first;
    this.range.min = String(first);
    this.range.max = String(last);
    this.range.setAttribute("aria-label", word);
    if (this.#clock.asked !== at || this.number < first || this.number > last) {
      this.#clock.asked = at;
      this.#clock.show(at, this);
    }
    this.#refresh();
  }

  /** Shows what the clock says. */
  follow() {
    this.#refresh();
    this.onShow();
  }

  toggle() {
    if (!this.#film || !this.#complete) return;
    if (this.#clock.playing) this.#pause();
    else this.#clock.play(this.#film);
    this.#clock.show(this.number);
  }

  close() {
    clearTimeout(this.#resting);
    this.#clock?.leave(this);
    this.#film = null;
  }

  #pause() {
    this.#clock.pause();
    this.#rest();
  }

  #choose(number) {
    this.#clock.pause();
    this.#clock.show(number);
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.#rest(), RESTS);
  }

  #rest() {
    this.#clock.asked = this.number;
    this.onRest(this.number);
  }

  #refresh() {
    const { playing } = this.#clock;
    const title = this.#complete ? (playing ? PAUSE : PLAY) : TOO_LARGE;
    this.button.title = title;
    this.button.setAttribute("aria-label", title);
    this.button.disabled = !this.#complete;
    this.button.querySelector("path").setAttribute("d", playing ? PAUSE_ICON : PLAY_ICON);
    this.range.value = String(this.number);
    this.range.setAttribute("aria-valuetext", `${this.words} of ${this.#film.last}`);
    this.output.textContent = this.words;
  }
}
