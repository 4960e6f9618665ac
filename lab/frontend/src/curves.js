// The curves: feeds the frames that lab/components/curves.py sends to one Plotly figure, with Plotly.react.

import { layout, linePaths, sameFigure, summary, traces } from "./curves/figure.js";
import style from "./curves/style.css";
import { feeds } from "./feeds.js";
import { Gate, Latest, component, element, markDrawn } from "./host.js";
import { unpack } from "./payload.js";
import { CONFIG, loadPlotly } from "./plotly.js";

/** Milliseconds during which lines may go beyond the upper or lower end of their axis. */
const AXES_STAY = 6000;

class CurvesView {
  #gate = new Gate();
  #latest = new Latest((frame) => this.#take(frame));
  #waiting = null;

  constructor(parent, plotlyAddress) {
    this.plotlyAddress = plotlyAddress;
    this.ui = { log: false, hidden: new Set(), ranges: {} };
    this.host = element("div", { class: "cellnet-curves" });
    this.notice = element("div", { class: "curves-notice", role: "status" });
    this.figure = element("div", { role: "figure" });
    this.marks = element("ol", { class: "curves-marks", "aria-label": "Changes made while training" });
    this.logButton = element("button", { type: "button", class: "curves-log" }, "log y");
    this.logButton.addEventListener("click", () => this.#toggleLog());
    this.host.append(element("style", {}, style), this.logButton, this.figure, this.marks, this.notice);
    parent.append(this.host);
    this.sizes = new ResizeObserver(() => this.#draw());
    this.sizes.observe(this.host);
    this.release = () => setTimeout(() => this.#drawWaiting());
    window.addEventListener("pointerup", this.release);
    // What is said of the point under the pointer is what Plotly drew last.
    this.figure.addEventListener("pointerenter", () => this.extended && this.#draw());
  }

  receive(bytes) {
    const { header, arrays } = unpack(bytes);
    feeds.follow(this, header.feed, (news) => this.#offer(unpack(news)));
    this.#offer({ header, arrays });
  }

  #offer({ header, arrays }) {
    if (!this.#gate.isNews(header)) {
      this.#draw();
      return;
    }
    this.#latest.offer({ header, arrays });
  }

  destroy() {
    feeds.drop(this);
    this.#latest.cancel();
    window.removeEventListener("pointerup", this.release);
    this.sizes.disconnect();
    this.drawing?.then(() => this.Plotly.purge(this.figure));
    this.host.remove();
  }

  #take(frame) {
    this.#gate.pass(frame.header);
    this.#restore(frame.header.key);
    this.#waiting = frame;
    this.#drawWaiting();
  }

  /** Draws the newest frame, but not under a hand that is dragging a zoom box. */
  #drawWaiting() {
    if (!this.#waiting || this.figure._dragging) return;
    if (hasPoints(this.#waiting) && !this.Plotly) {
      this.#load();
      return;
    }
    this.frame = this.#waiting;
    this.#waiting = null;
    this.#draw();
    markDrawn(this.host, this.frame.header);
  }

  /** Loads Plotly once there is something to draw: a page without curves appears the sooner. */
  #load() {
    this.loading ??= loadPlotly(this.plotlyAddress).then(
      (Plotly) => {
        this.Plotly = Plotly;
        this.#drawWaiting();
      },
      (error) => {
        this.notice.hidden = false;
        this.notice.textContent = error.message;
      },
    );
  }

  #draw() {
    if (!this.frame) return;
    const { header, arrays } = this.frame;
    const empty = !hasPoints(this.frame);
    this.notice.hidden = !empty;
    this.notice.textContent = empty ? header.empty : "";
    for (const part of [this.figure, this.marks, this.logButton]) part.hidden = empty;
    const width = Math.floor(this.host.getBoundingClientRect().width);
    if (empty || width < 1) return;
    this.figure.setAttribute("aria-label", summary(header, arrays));
    const look = sameFigure(header, arrays, [width, this.#theme(), this.ui.log]);
    this.extended = look === this.look && !this.figure.matches(":hover") && this.#extend(header, arrays);
    if (this.extended) return;
    this.look = look;
    this.drawn = performance.now();
    this.drawing = this.Plotly.react(
      this.figure,
      traces(header, arrays, this.ui.hidden),
      layout(header, arrays, width, this.#theme(), this.ui),
      { ...CONFIG, toImageButtonOptions: { format: "svg", filename: "curves" } },
    );
    if (!this.listening) this.#listen();
    this.logButton.setAttribute("aria-pressed", String(this.ui.log));
    this.#list(header);
  }

  /**
   * Draws longer lines into the figure as it stands, in a tenth of the time that Plotly.react takes for it.
   * @returns {boolean} false, and nothing is drawn, if it is time for other axes
   */
  #extend(header, arrays) {
    const { paths, leftAcross, leftUpward } = linePaths(header, arrays, this.figure._fullLayout);
    if (leftAcross || (leftUpward && performance.now() > this.drawn + AXES_STAY)) return false;
    for (const [trace, path] of paths) {
      this.figure.querySelector(`.trace${trace} .js-line`)?.setAttribute("d", path);
    }
    return true;
  }

  #list({ marks, xTitle }) {
    const items = marks.map(({ x, label }, place) => {
      const item = element("li", {}, element("b", {}, String(place + 1)));
      item.append(`${xTitle} ${x}: ${label}`);
      return item;
    });
    this.marks.replaceChildren(...items);
  }

  #theme() {
    const look = getComputedStyle(this.host);
    const color = (name) => look.getPropertyValue(name).trim();
    return {
      font: color("--st-font"),
      ink: look.color,
      paper: color("--st-background-color"),
      grid: look.color.replace("rgb(", "rgba(").replace(")", ", 0.17)"),
      tool: look.color.replace("rgb(", "rgba(").replace(")", ", 0.45)"),
    };
  }

  /** What the reader did to the figure, kept for every later frame and for a reload of the page. */
  #listen() {
    this.listening = true;
    this.figure.on("plotly_relayout", () => this.#keepRanges());
    this.figure.on("plotly_restyle", () => {
      this.ui.hidden = new Set();
      for (const trace of this.figure.data) if (trace.visible === "legendonly") this.ui.hidden.add(trace.name);
      this.#save();
    });
  }

  #keepRanges() {
    this.ui.ranges = {};
    for (const [name, axis] of Object.entries(this.figure.layout)) {
      const found = /^([xy])axis(\d*)$/.exec(name);
      if (found && axis.autorange === false) {
        this.ui.ranges[found[1] === "x" ? "x" : `y${found[2]}`] = [...axis.range];
      }
    }
    this.#save();
  }

  #toggleLog() {
    this.ui.log = !this.ui.log;
    this.ui.ranges = this.ui.ranges.x ? { x: this.ui.ranges.x } : {};
    this.#save();
    this.#draw();
  }

  #save() {
    const { log, hidden, ranges } = this.ui;
    sessionStorage.setItem(this.slot, JSON.stringify({ log, hidden: [...hidden], ranges }));
  }

  #restore(key) {
    if (this.slot) return;
    this.slot = `cellnet.curves.${key}`;
    const saved = JSON.parse(sessionStorage.getItem(this.slot) ?? "null");
    if (saved) this.ui = { ...saved, hidden: new Set(saved.hidden) };
  }
}

const hasPoints = ({ header, arrays }) =>
  header.panels.some((panel, number) => panel.curves.some((_, place) => arrays[`x${number}.${place}`].length));

export default (plotlyAddress) =>
  component(
    class extends CurvesView {
      constructor(parent) {
        super(parent, plotlyAddress);
      }
    },
  );
