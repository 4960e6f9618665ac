// The cube of cells: draws the frames that lab/components/cube.py sends, and tells it what was clicked.

import { CameraMemory } from "./cube/camera.js";
import { Player, picturesOf } from "./cube/film.js";
import { shapeOf } from "./cube/geometry.js";
import { KEYS_IN_WORDS, Overlay, describeCell, savePicture, withUnit } from "./cube/overlay.js";
import { Stage } from "./cube/stage.js";
import style from "./cube/style.css";
import { feeds } from "./feeds.js";
import { Gate, Latest, component, element, format, markDrawn } from "./host.js";
import { unpack } from "./payload.js";
import { reports, viewName } from "./reports.js";

const NO_WEBGL =
  "This browser offers no WebGL 2, which the 3D view needs. Turn on hardware acceleration in its settings, " +
  "update the graphics driver, or open the lab in a current Chrome, Edge, Firefox or Safari.";
const LOST = "The browser took the graphics context away. Close other 3D pages and reload this one.";
const WAITING = "Waiting for the shape of the cube \u2026";
const CLICK_SLACK = 4;
const CAMERA_RESTS = 500;
const AFTER_DRAWING = 50;
const SHAPES_KEPT = 24;
/** So many faces are sent sooner than a part of the page is drawn. */
const FEW_FACES = 2000;
const KEYS = {
  ArrowLeft: (stage) => stage.turn(10, 0),
  ArrowRight: (stage) => stage.turn(-10, 0),
  ArrowUp: (stage) => stage.turn(0, -10),
  ArrowDown: (stage) => stage.turn(0, 10),
  "+": (stage) => stage.zoom(1.1),
  "-": (stage) => stage.zoom(1 / 1.1),
  0: (stage) => stage.home(),
  Home: (stage) => stage.home(),
  1: (stage) => stage.home([0, -1, 0]),
  2: (stage) => stage.home([1, 0, 0]),
  3: (stage) => stage.home([0, 0, 1], [0, 1, 0]),
};

/** Newest shapes by their keys: a view that is mounted elsewhere on the page goes on with its own at once. */
const shapes = new Map();

/** Found out at the first cube: a context takes a software renderer a fifth of a second, as long as all else. */
let offersWebGL;

function keepShape(shape) {
  shapes.delete(shape.key);
  shapes.set(shape.key, shape);
  if (shapes.size > SHAPES_KEPT) shapes.delete(shapes.keys().next().value);
}

class CubeView {
  #gate = new Gate();
  #latest = new Latest((frame) => this.#draw(frame));
  #hovered = null;
  #selected = null;
  #asked = null;
  #settling = 0;
  #reporting = 0;
  #telling = 0;
  #started = null;
  view = viewName();
  reported = "";
  told = "";
  pictures = new Map();

  constructor(parent) {
    this.host = element("div", { class: "cellnet-cube", role: "application", tabindex: "0" });
    this.container = element("div", { class: "stage" });
    this.host.append(element("style", {}, style), this.container);
    parent.append(this.host);
    this.overlay = new Overlay(this.host, {
      onHome: () => this.#act((stage) => stage.home()),
      onSave: () => this.#save(),
    });
    this.player = new Player(() => this.#show(), (number) => this.#tell("number", number));
    this.host.append(this.player.element);
    this.cameras = new CameraMemory((state) => this.#follow(state));
    this.sizes = new ResizeObserver(() => this.scene && this.stage.draw());
    this.sizes.observe(this.container);
    this.#listen();
  }

  receive(bytes) {
    const { header, arrays } = unpack(bytes);
    this.report = header.report;
    feeds.follow(this, header.feed, (news) => this.#take(unpack(news)), () => this.reported);
    this.#take({ header, arrays });
  }

  #take({ header, arrays }) {
    this.host.style.height = `${header.height}px`;
    this.cameras.name = header.camera;
    this.reportsCamera = header.reports_camera;
    const themed = this.#takeTheme();
    if (!this.#gate.isNews(header)) {
      if (themed && this.scene) this.stage.draw();
      return;
    }
    const pictures = header.scene ? picturesOf(header, arrays) : [];
    for (const [, scene, own] of pictures) if (own.cells) keepShape(shapeOf(scene, own));
    this.#latest.offer({ header, arrays, pictures });
  }

  #draw({ header, arrays, pictures }) {
    if (!header.scene) this.#showEmpty(header);
    else if (!this.#ready() || !this.#takePictures(pictures)) return;
    else {
      this.header = header;
      this.table = arrays.table;
      this.#takeSelected(header.selected);
      this.rings = new Map(header.rings.flatMap((ring, place) => Array.from(arrays[`ring${place}`], (cell) => [cell, ring])));
      this.player.take(header.film);
      this.host.classList.toggle("plays", this.player.plays);
      this.#show(header.start);
    }
    this.#gate.pass(header);
    markDrawn(this.host, header);
  }

  #showEmpty({ label, empty }) {
    this.scene = null;
    this.player.take(null);
    this.host.classList.remove("plays");
    this.host.setAttribute("aria-label", `${label}: ${empty}`);
    this.overlay.say(empty);
  }

  destroy() {
    feeds.drop(this);
    cancelAnimationFrame(this.#settling);
    clearTimeout(this.#telling);
    clearTimeout(this.#reporting);
    this.#latest.cancel();
    this.sizes.disconnect();
    this.cameras.close();
    this.player.close();
    this.stage?.leave();
    this.host.remove();
  }

  /** Starts WebGL at the first scene; says what to do where there is none. */
  #ready() {
    if (this.stage) return true;
    offersWebGL ??= document.createElement("canvas").getContext("webgl2") !== null;
    if (!offersWebGL) {
      this.host.dataset.error = "webgl";
      this.overlay.say(NO_WEBGL);
      return false;
    }
    const lost = () => {
      this.host.dataset.error = "lost";
      this.overlay.say(LOST);
    };
    this.stage = Stage.enter(this.container, () => this.#cameraMoved(), lost);
    this.ink = null;
    this.#takeTheme();
    return true;
  }

  /** Finds the shape of each picture, among those that came along or were kept; asks for all if one is missing. */
  #takePictures(pictures) {
    const own = new Map([...this.pictures.values()].map(({ shape }) => [shape.key, shape]));
    const found = new Map();
    for (const [number, scene, { colors }] of pictures) {
      const shape = shapes.get(scene.geometry) ?? own.get(scene.geometry);
      if (!shape) {
        this.told = null;
        this.#reportGeometry([]);
        if (!this.scene) this.overlay.say(WAITING);
        return false;
      }
      found.set(number, { scene, shape, colors });
    }
    this.pictures = found;
    const used = [...found.values()].map(({ shape }) => shape);
    used.forEach(keepShape);
    this.#reportGeometry(used);
    return true;
  }

  /** Draws the picture whose turn it is; of a film that has not all of them, the one that was asked for. */
  #show(start = null) {
    const { scene, shape, colors } = this.pictures.get(this.player.number) ?? this.pictures.get(this.header.film.at);
    this.#useShape(shape);
    this.#takeScene(scene, colors);
    this.#startAt(start);
    this.stage.draw();
    this.#settle();
  }

  #useShape(shape) {
    if (this.faces?.key === shape.key) return;
    const before = this.faces;
    this.faces = shape;
    this.stage.setFaces(shape);
    this.stage.resize();
    if (String(before?.dimensions) !== String(shape.dimensions)) this.#placeCamera();
    else if (String(before.size) !== String(shape.size)) this.stage.follow(before.size);
  }

  #takeSelected(selected) {
    if (selected === this.#asked) return;
    this.#asked = selected;
    this.#selected = selected;
  }

  #takeScene(scene, colors) {
    this.scene = scene;
    this.colors = colors;
    this.stage.setColors(colors, this.table);
    this.stage.setRings(this.rings);
    this.stage.setMarks(this.#selected, this.#hovered);
    this.stage.showFrame(scene.shown < scene.dimensions.reduce((product, length) => product * length));
    this.overlay.say("");
    this.overlay.showScene(scene, this.table);
    const { legend } = scene;
    const range = legend.kind === "ramp" ? `, from ${format(legend.low)} to ${format(legend.high)}` : "";
    const name = [this.header.label, this.player.words].filter(Boolean).join(", ");
    this.host.dataset.number = String(this.player.number ?? "");
    this.host.setAttribute(
      "aria-label",
      `${name}: ${scene.dimensions.join(" by ")} cells colored by ${withUnit(legend)}${range}. ` +
        KEYS_IN_WORDS,
    );
  }

  /**
   * Python leaves the faces out of a message once it knows that this view holds them. Each report makes it draw that
   * part of the page anew, so that it hears of large shapes only, and after the drawing.
   */
  #reportGeometry(held) {
    this.reported = names(held);
    const told = names(held.filter(({ cells }) => cells.length > FEW_FACES));
    if (this.told === told) return;
    this.told = told;
    clearTimeout(this.#telling);
    this.#telling = setTimeout(() => this.#tell("geometry", told), AFTER_DRAWING);
  }

  #placeCamera() {
    const remembered = this.cameras.recall(this.faces.dimensions);
    if (remembered) {
      this.stage.setState(remembered);
      if (String(remembered.size) !== String(this.faces.size)) this.stage.follow(remembered.size);
    } else this.stage.home();
  }

  /** Stands where a link says, once. */
  #startAt(start) {
    if (!start || start === this.#started) return;
    this.#started = start;
    if (start === inWords(this.stage.getState())) return;
    const numbers = start.split(",").map(Number);
    const [position, focalPoint, viewUp] = [0, 3, 6].map((from) => numbers.slice(from, from + 3));
    this.stage.setState({ position, focalPoint, viewUp });
  }

  #cameraMoved() {
    if (this.#settling || !this.faces) return;
    this.#settling = requestAnimationFrame(() => this.#settle());
  }

  /** Writes the camera down, and tells the views that share it unless it came from one of them. */
  #settle(followed = false) {
    cancelAnimationFrame(this.#settling);
    this.#settling = 0;
    const state = this.stage.getState();
    this.overlay.showAxes(this.stage.axes());
    const text = JSON.stringify(state);
    if (text === this.host.dataset.camera) return;
    this.host.dataset.camera = text;
    if (!followed) this.cameras.remember(state);
    if (this.reportsCamera) this.#reportCamera(state);
  }

  /** Tells Python where the camera stands, once it rests. */
  #reportCamera(state) {
    clearTimeout(this.#reporting);
    const text = inWords(state);
    this.#reporting = setTimeout(() => {
      this.#started = text;
      this.#tell("camera", text);
    }, CAMERA_RESTS);
  }

  #follow(state) {
    if (!this.faces || String(state.dimensions) !== String(this.faces.dimensions)) return;
    this.stage.setState(state);
    this.stage.draw();
    this.#settle(true);
  }

  /** Returns whether the page's colors changed. */
  #takeTheme() {
    const { color, backgroundColor } = getComputedStyle(this.host);
    if (!this.stage || (color === this.ink && backgroundColor === this.paper)) return false;
    this.ink = color;
    this.paper = backgroundColor;
    const channels = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);
    this.stage.setTheme(channels(color), channels(backgroundColor));
    return true;
  }

  #act(change) {
    if (!this.scene) return;
    change(this.stage);
    this.stage.draw();
    this.#settle();
  }

  #listen() {
    let down = null;
    // The page keeps the wheel until the cube was clicked or focused.
    const keepScrolling = (event) => {
      if (this.host.getRootNode().activeElement !== this.host) event.stopPropagation();
    };
    this.host.addEventListener("wheel", keepScrolling, { capture: true, passive: true });
    this.host.addEventListener("keydown", (event) => {
      if (event.target !== this.host || event.ctrlKey || event.metaKey || event.altKey || !this.scene) return;
      if (KEYS[event.key]) this.#act(KEYS[event.key]);
      else if (event.key === " " && this.player.plays) this.player.toggle();
      else if (event.key === "?") this.overlay.toggleKeys();
      else return;
      event.preventDefault();
    });
    this.container.addEventListener("pointerdown", (event) => {
      down = [event.clientX, event.clientY];
      this.host.focus({ preventScroll: true, focusVisible: false });
    });
    this.container.addEventListener("pointerup", (event) => {
      if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) < CLICK_SLACK) this.#pick(event);
      down = null;
    });
    this.container.addEventListener("pointermove", (event) => {
      if (!event.buttons) this.#hover(event);
    });
    this.container.addEventListener("pointerleave", () => this.#hover(null));
  }

  #pick(event) {
    if (!this.scene) return;
    const face = this.stage.faceAt(event.clientX, event.clientY);
    this.#selected = face < 0 ? null : this.faces.cells[face];
    this.#tell("picked", this.#selected);
    this.#redrawMarks();
  }

  #hover(event) {
    if (!this.scene) return;
    const face = event ? this.stage.faceAt(event.clientX, event.clientY) : -1;
    const cell = face < 0 ? null : this.faces.cells[face];
    const words = () => describeCell(cell, this.faces.position(cell), this.colors[face], this.scene.legend);
    const ring = this.rings?.get(cell);
    const text = cell === null ? "" : words() + (ring ? `, ${ring.name}` : "");
    const box = this.host.getBoundingClientRect();
    this.overlay.showTip(text, (event?.clientX ?? 0) - box.left, (event?.clientY ?? 0) - box.top, box.width);
    if (cell === this.#hovered) return;
    this.#hovered = cell;
    this.#redrawMarks();
  }

  #tell(name, value) {
    reports.send(this.report, this.view, { [name]: value });
  }

  #redrawMarks() {
    this.stage.setMarks(this.#selected, this.#hovered);
    this.stage.draw();
  }

  #save() {
    if (!this.scene) return;
    this.stage.draw();
    savePicture(this.stage.canvas, this.scene, this.table, this.ink, this.paper);
  }
}

/** Keys of shapes, each once. */
const names = (shapes) => [...new Set(shapes.map(({ key }) => key))].join(" ");

/** Nine numbers, short enough for an address. */
const inWords = ({ position, focalPoint, viewUp }) =>
  [...position, ...focalPoint, ...viewUp].map((value) => Number(value.toFixed(2))).join(",");

// One for the page, so that an element that Streamlit connects anew keeps its view.
const connect = component(CubeView);

export default () => connect;
