// The charts: draws the figures that lab/components/chart.py sends, one after the other, once the page stands.

import { component, element, markDrawn } from "./host.js";
import { unpack } from "./payload.js";
import { CONFIG, loadPlotly } from "./plotly.js";
import { reports, viewName } from "./reports.js";

/** Charts that are to be drawn, those asked for first at the front. */
const waiting = new Set();
let request = 0;

/** Draws one chart per refresh of the screen, so that the page shows up, and answers, between two of them. */
function drawLater(chart) {
  waiting.add(chart);
  request ||= requestAnimationFrame(() => setTimeout(drawNext));
}

function drawNext() {
  request = 0;
  const [chart] = waiting;
  if (!chart) return;
  waiting.delete(chart);
  chart.draw();
  const [next] = waiting;
  if (next) drawLater(next);
}

class ChartView {
  view = viewName();

  constructor(parent, plotlyAddress) {
    this.plotlyAddress = plotlyAddress;
    // A layer of its own: else the browser goes through all points whenever it draws another part of the page.
    this.host = element("div", { class: "cellnet-chart", style: "contain: content; will-change: transform" });
    this.figure = element("div");
    this.host.append(this.figure);
    parent.append(this.host);
    this.sizes = new ResizeObserver(() => drawLater(this));
    this.sizes.observe(this.host);
  }

  receive(bytes) {
    const { header } = unpack(bytes);
    if (header.figure !== this.content?.figure) this.news = header;
    this.content = header;
    this.host.setAttribute("role", header.tools ? "figure" : "img"); // an image has no buttons
    this.host.setAttribute("aria-label", header.label);
    this.host.style.height = `${header.height}px`;
    loadPlotly(this.plotlyAddress).then(
      (Plotly) => {
        this.Plotly = Plotly;
        drawLater(this);
      },
      (error) => {
        this.figure.textContent = error.message;
      },
    );
  }

  /** Changes what differs from what is drawn: the figure, its width, or the colors of the page. */
  draw() {
    const width = Math.floor(this.host.getBoundingClientRect().width);
    if (!this.Plotly || width < 1) return;
    const base = template(this.host);
    const drawn = JSON.stringify([width, base]);
    if (!this.news && drawn === this.drawn) return;
    this.drawn = drawn;
    const { data, layout } = JSON.parse(this.content.figure);
    const chosen = ["lasso", "select"].includes(layout.dragmode);
    const config = {
      ...CONFIG,
      displayModeBar: this.content.tools ? "hover" : false,
      modeBarButtons: chosen ? [...CONFIG.modeBarButtons, ["lasso2d", "select2d"]] : CONFIG.modeBarButtons,
      scrollZoom: layout.dragmode === "pan",
    };
    this.Plotly.react(this.figure, data, { ...layout, width, template: base }, config);
    this.#listen();
    if (this.news) markDrawn(this.host, this.news);
    this.news = null;
  }

  /** Tells which points are chosen; there is nothing to listen to before the figure is drawn. */
  #listen() {
    if (this.listens) return;
    this.listens = true;
    this.figure.on("plotly_selected", (event) => {
      const ids = (event?.points ?? []).map(({ id }) => id).filter((id) => id !== undefined);
      if (ids.length) reports.send(this.content.report, this.view, { chosen: ids });
    });
  }

  destroy() {
    waiting.delete(this);
    this.sizes.disconnect();
    this.Plotly?.purge(this.figure);
    this.host.remove();
  }
}

/** What figures do not say themselves: the font and the colors of the page. */
function template(host) {
  const look = getComputedStyle(host);
  const color = (name) => look.getPropertyValue(name).trim();
  const faint = (share) => look.color.replace("rgb(", "rgba(").replace(")", `, ${share})`);
  const font = { family: color("--st-font"), size: 12, color: look.color };
  const axis = {
    gridcolor: faint(0.15),
    linecolor: faint(0.15),
    zerolinecolor: faint(0.3),
    automargin: true,
    tickcolor: faint(0.3),
    tickfont: { color: faint(0.75) },
    title: { font: { color: faint(0.75) }, standoff: 10 },
  };
  return {
    layout: {
      font,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: color("--st-background-color"), bordercolor: faint(0.15), font },
      xaxis: { ...axis, showgrid: false },
      yaxis: axis,
      coloraxis: { colorbar: { thickness: 16, outlinewidth: 0, tickfont: { color: faint(0.75) } } },
    },
  };
}

export default (plotlyAddress) =>
  component(
    class extends ChartView {
      constructor(parent) {
        super(parent, plotlyAddress);
      }
    },
  );
