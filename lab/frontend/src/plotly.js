// Loads plotly.js and sets it up, for the curves and the charts.

import { element } from "./host.js";

// The buttons are listed, and no server is named, because plotly.js 4 by itself offers "Share chart...",
// which uploads the figure to another host.
export const CONFIG = {
  displaylogo: false,
  responsive: false,
  plotlyServerURL: "",
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

/** plotly.js is a classic script that leaves one global behind, so that it is loaded as one, once for the page. */
export function loadPlotly(address) {
  window.cellnetPlotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: address });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () =>
      reject(new Error(`The lab could not load ${address}. Is the server still running? Reload this page.`)),
    );
    document.head.append(script);
  });
  return window.cellnetPlotly;
}
