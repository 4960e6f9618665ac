// Everything around the picture that is text or line art: legend, axes, tool tip, buttons, notices.

import { element, format, iconButton } from "../host.js";

const HOME_ICON = "M3 11 12 3l9 8M6 9v11h12V9";
const SAVE_ICON = "M12 3v12m-5-5 5 5 5-5M4 20h16";
const KEYS_ICON = "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4m0 4v.01";
const AXIS_COLORS = ["#D55E00", "#009E73", "#0072B2"];

const KEYS = [
  ["\u2190 \u2192 \u2191 \u2193", "turn"],
  ["+ \u2212", "zoom"],
  ["1 2 3", "from the front, the side, above"],
  ["0 or Home", "the start"],
  ["space", "play or pause the steps"],
  ["?", "these keys"],
];
export const KEYS_IN_WORDS =
  "Arrow keys turn it, plus and minus zoom, 1, 2 and 3 look from the front, the side and above, 0 goes back to " +
  "the start, space plays or pauses, the question mark lists these keys.";

export class Overlay {
  constructor(host, { onHome, onSave }) {
    this.legend = element("div", { class: "legend", hidden: "" });
    this.counts = element("div", { class: "counts" });
    this.tip = element("div", { class: "tip", hidden: "" });
    this.notice = element("div", { class: "notice", role: "status" });
    this.tools = element("div", { class: "tools" });
    this.tools.append(
      iconButton("Reset the camera (key 0)", HOME_ICON, onHome),
      iconButton("Save the picture as PNG", SAVE_ICON, onSave),
      iconButton("Keys (key ?)", KEYS_ICON, () => this.toggleKeys()),
    );
    this.keys = element("dl", { class: "keys", hidden: "" });
    this.keys.append(...KEYS.flatMap(([key, words]) => [element("dt", {}, key), element("dd", {}, words)]));
    this.axes = element("div", { class: "axes", "aria-hidden": "true" });
    host.append(this.axes, this.counts, this.legend, this.tools, this.keys, this.tip, this.notice);
  }

  /** Says why there is no picture; an empty text shows the picture. */
  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
    for (const part of [this.tools, this.axes, this.counts]) part.hidden = Boolean(text);
    if (text) this.legend.hidden = this.keys.hidden = true;
  }

  toggleKeys() {
    this.keys.hidden = !this.keys.hidden;
  }

  showScene({ dimensions, shown, legend }, table) {
    const total = dimensions.reduce((product, length) => product * length);
    const size = dimensions.join(" \u00d7 ");
    this.counts.textContent =
      shown === total ? `${size} cells` : `${size}, ${shown.toLocaleString("en")} of ${total.toLocaleString("en")} shown`;
    this.legend.hidden = false;
    this.legend.replaceChildren(element("div", { class: "name" }, withUnit(legend)));
    if (legend.kind === "ramp") {
      const ramp = element("div", { class: "ramp" });
      ramp.style.background = gradient(table, legend);
      const ends = element("div", { class: "ends" });
      ends.append(element("span", {}, format(legend.low)), element("span", {}, format(legend.high)));
      this.legend.append(ramp, ends);
    }
    legend.names.forEach((name, index) => {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = rgb(table, index);
      this.legend.append(element("div", { class: "kind" }, name, swatch));
    });
  }

  /** @param {number[][]} axes [right, up, towards the viewer] of x, y and z */
  showAxes(axes) {
    const arms = axes
      .map(([right, up, toward], index) => ({ x: right * 27, y: -up * 27, toward, index }))
      .sort((a, b) => a.toward - b.toward)
      .map(
        ({ x, y, index }) =>
          `<line x1="0" y1="0" x2="${x.toFixed(1)}" y2="${y.toFixed(1)}" stroke="${AXIS_COLORS[index]}"/>` +
          `<text x="${(x * 1.3).toFixed(1)}" y="${(y * 1.3).toFixed(1)}">${"xyz"[index]}</text>`,
      );
    this.axes.innerHTML = `<svg viewBox="-38 -38 76 76">${arms.join("")}</svg>`;
  }

  showTip(text, x, y, width) {
    this.tip.hidden = !text;
    if (!text) return;
    this.tip.textContent = text;
    this.tip.style.top = `${Math.max(4, y - 34)}px`;
    this.tip.style.left = `${Math.max(4, Math.min(x + 12, width - this.tip.offsetWidth - 4))}px`;
  }
}

export const withUnit = ({ label, unit }) => (unit ? `${label} (${unit})` : label);

/** Words for one cell: where it is and, as far as its color can tell, its value. */
export function describeCell(cell, position, code, legend) {
  const place = `cell ${cell} at (${position.join(", ")})`;
  if (legend.kind === "categories") return `${place}: ${legend.names[code]}`;
  if (legend.kind !== "ramp") return place;
  return `${place}: \u2248 ${format(Number((legend.low + (code / 255) * (legend.high - legend.low)).toPrecision(3)))}`;
}

/** The picture on its background, with the legend, as a PNG. */
export async function savePicture(canvas, scene, table, ink, paper) {
  const copy = element("canvas", { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d");
  const unit = canvas.width / canvas.getBoundingClientRect().width;
  context.fillStyle = paper;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  context.scale(unit, unit);
  const right = copy.width / unit - 16;
  const bottom = copy.height / unit - 16;
  context.fillStyle = ink;
  context.font = "12px sans-serif";
  const { legend } = scene;
  const lines = Math.max(legend.names.length, 2);
  context.textAlign = "right";
  context.fillText(withUnit(legend), right, bottom - lines * 17);
  if (legend.kind === "ramp") {
    for (let x = 0; x < 190; x += 1) {
      context.fillStyle = rgb(table, Math.round((x / 189) * 255));
      context.fillRect(right - 190 + x, bottom - 27, 1.5, 10);
    }
    context.fillStyle = ink;
    context.fillText(format(legend.high), right, bottom);
    context.textAlign = "left";
    context.fillText(format(legend.low), right - 190, bottom);
  }
  legend.names.forEach((name, index) => {
    const y = bottom - (legend.names.length - 1 - index) * 17;
    context.fillStyle = rgb(table, index);
    context.fillRect(right - 11, y - 10, 11, 11);
    context.fillStyle = ink;
    context.fillText(name, right - 17, y);
  });
  const blob = await new Promise((resolve) => copy.toBlob(resolve, "image/png"));
  const link = element("a", { href: URL.createObjectURL(blob), download: "cube.png" });
  link.click();
  URL.revokeObjectURL(link.href);
}

function gradient(table, { low, high }) {
  if (low === high) return rgb(table, 128);
  const stops = Array.from({ length: 33 }, (_, index) => rgb(table, Math.round((index / 32) * 255)));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

const rgb = (table, index) => `rgb(${table[index * 3]}, ${table[index * 3 + 1]}, ${table[index * 3 + 2]})`;
