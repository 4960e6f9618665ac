// From a message to what Plotly understands: traces, one pair of axes per panel, marks. Pure functions.

const GAP_X = 58;
const GAP_Y = 58;
const TOP = 36;
const BOTTOM = 40;
const LEFT = 52;
const RIGHT = 10;
const MAX_DOTS = 80;
const MIN_PANEL_WIDTH = 215;
/** What growing curves get beyond their ends, as a share of the axis, so that the axes can stay for a while. */
const ROOM_AHEAD = 0.2;
const LEAST_AHEAD = 20;
const ROOM_BESIDE = 0.1;

const axisName = (letter, number) => `${letter}axis${number ? number + 1 : ""}`;
const axisId = (letter, number) => `${letter}${number ? number + 1 : ""}`;

export function traces({ panels }, arrays, hidden) {
  const listed = new Set();
  return panels.flatMap((panel, number) =>
    panel.curves.map((curve, place) => {
      const first = !listed.has(curve.name);
      listed.add(curve.name);
      return {
        type: "scatter",
        mode: mode(curve, arrays[`x${number}.${place}`].length),
        uid: `curve-${number}-${place}`,
        name: curve.name,
        legendgroup: curve.name,
        showlegend: first,
        visible: hidden.has(curve.name) ? "legendonly" : true,
        x: arrays[`x${number}.${place}`],
        y: arrays[`y${number}.${place}`],
        xaxis: axisId("x", number),
        yaxis: axisId("y", number),
        opacity: curve.opacity,
        connectgaps: false,
        line: { color: curve.color, dash: curve.dash, width: curve.width },
        marker: { color: curve.color, size: 5 },
        hovertemplate: "%{y:.4~g}",
      };
    }),
  );
}

function mode({ dots }, points) {
  if (points < 2) return "markers";
  return dots && points <= MAX_DOTS ? "lines+markers" : "lines";
}

/** Plot areas in a grid as wide as the page allows; ranges that the reader chose are in `ui`. */
export function layout(header, arrays, width, theme, ui) {
  const { panels, marks } = header;
  const ahead = header.growing ? roomAhead(arrays, panels) : undefined;
  const columns = Math.max(1, Math.min(header.columns, panels.length, Math.floor(width / MIN_PANEL_WIDTH)));
  const rows = Math.ceil(panels.length / columns);
  const height = rows * header.panelHeight + TOP;
  const inner = { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
  const panelWidth = (inner.width - (columns - 1) * GAP_X) / columns;
  const panelHeight = (inner.height - (rows - 1) * GAP_Y - 18) / rows;
  const result = {
    width,
    height,
    margin: { l: LEFT, r: RIGHT, t: TOP, b: BOTTOM, pad: 0 },
    uirevision: "kept",
    datarevision: header.seq,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.font, size: 11, color: theme.ink },
    hovermode: "x unified",
    hoverlabel: { bgcolor: theme.paper, bordercolor: theme.grid, font: { color: theme.ink, size: 11 } },
    dragmode: "zoom",
    showlegend: true,
    // The mode bar of Plotly owns the upper right corner.
    legend: { orientation: "h", x: 12 / inner.width, y: 1 + 10 / inner.height, yanchor: "bottom", font: { size: 12 } },
    modebar: { orientation: "h", bgcolor: "rgba(0,0,0,0)", color: theme.tool, activecolor: theme.ink },
    annotations: [],
    shapes: [],
  };
  panels.forEach((panel, number) => {
    const left = (number % columns) * (panelWidth + GAP_X);
    const top = 18 + Math.floor(number / columns) * (panelHeight + GAP_Y);
    const x = [left / inner.width, (left + panelWidth) / inner.width];
    const y = [1 - (top + panelHeight) / inner.height, 1 - top / inner.height];
    const shared = { gridcolor: theme.grid, linecolor: theme.grid, zeroline: false, tickfont: { size: 10 }, ticklabeloverflow: "allow" };
    const last = number + columns >= panels.length;
    result[axisName("x", number)] = {
      ...shared,
      domain: x,
      anchor: axisId("y", number),
      matches: number ? "x" : undefined,
      showgrid: false,
      showline: true,
      ticks: "outside",
      ticklen: 4,
      tickcolor: theme.grid,
      nticks: 6,
      title: last ? { text: header.xTitle, standoff: 4, font: { size: 11 } } : undefined,
      autorangeoptions: { include: ahead },
      ...kept(ui.ranges.x),
    };
    const log = panel.log !== ui.log;
    result[axisName("y", number)] = {
      ...shared,
      domain: y,
      anchor: axisId("x", number),
      type: log ? "log" : "linear",
      nticks: 5,
      exponentformat: "power",
      minexponent: 4,
      autorangeoptions: { include: header.growing && !log ? roomBeside(arrays, panel, number) : undefined },
      ...kept(ui.ranges[axisId("y", number)]),
    };
    result.annotations.push({
      text: `<b>${escape(panel.title)}</b>${panel.unit ? ` (${escape(panel.unit)})` : ""}`,
      x: x[0],
      y: y[1],
      xref: "paper",
      yref: "paper",
      xanchor: "left",
      yanchor: "bottom",
      yshift: 3,
      showarrow: false,
      font: { size: 12 },
    });
    marks.forEach((mark, place) => {
      result.shapes.push({
        type: "line",
        x0: mark.x,
        x1: mark.x,
        y0: 0,
        y1: 1,
        xref: axisId("x", number),
        yref: `${axisId("y", number)} domain`,
        line: { color: theme.ink, width: 1, dash: "dot" },
        opacity: 0.65,
        label: { text: String(place + 1), textposition: "end", textangle: 0, xanchor: "left", yanchor: "top", padding: 2, font: { size: 10, color: theme.ink } },
      });
    });
  });
  return result;
}

/** Equal for two messages if they differ in the lengths of their lines only; `look` is what else matters. */
export function sameFigure({ panels, marks, columns, panelHeight, growing }, arrays, look) {
  const shapes = panels.map((panel, number) =>
    panel.curves.map((curve, place) => {
      const points = arrays[`x${number}.${place}`].length;
      return curve.dots ? points : Math.min(points, 2);
    }),
  );
  return JSON.stringify([panels, marks, columns, panelHeight, growing, shapes, look]);
}

/**
 * The lines as SVG paths on the axes that Plotly has drawn, and whether one of them leaves an axis that is
 * meant to hold it all.
 * @returns {{paths: [string, string][], leftAcross: boolean, leftUpward: boolean}} `uid` of a trace and path
 */
export function linePaths({ panels }, arrays, drawn) {
  const paths = [];
  let [leftAcross, leftUpward] = [false, false];
  for (const [number, panel] of panels.entries()) {
    const [xAxis, yAxis] = ["x", "y"].map((letter) => drawn[axisName(letter, number)]);
    for (const [place, curve] of panel.curves.entries()) {
      const x = arrays[`x${number}.${place}`];
      const y = arrays[`y${number}.${place}`];
      if (curve.dots || x.length < 2) continue;
      let path = "";
      let command = "M";
      for (let point = 0; point < x.length; point += 1) {
        const [across, down] = [xAxis.d2p(x[point]), yAxis.d2p(y[point])];
        if (!Number.isFinite(down)) {
          command = "M";
          continue;
        }
        leftAcross ||= leaves(xAxis, across);
        leftUpward ||= leaves(yAxis, down);
        path += `${command}${tenths(across)},${tenths(down)}`;
        command = "L";
      }
      paths.push([`curve-${number}-${place}`, path]);
    }
  }
  return { paths, leftAcross, leftUpward };
}

const tenths = (value) => Math.round(value * 10) / 10;

const leaves = (axis, at) => axis.autorange && (at < -1 || at > axis._length + 1);

function roomAhead(arrays, panels) {
  const ends = panels.flatMap((panel, number) =>
    panel.curves.map((_, place) => arrays[`x${number}.${place}`].at(-1) ?? 0),
  );
  const last = Math.max(...ends);
  return last + Math.max(LEAST_AHEAD, ROOM_AHEAD * last);
}

function roomBeside(arrays, panel, number) {
  let [low, high] = [Infinity, -Infinity];
  for (const place of panel.curves.keys()) {
    for (const value of arrays[`y${number}.${place}`]) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const room = ROOM_BESIDE * (high - low);
  return low < high ? [low - room, high + room] : undefined;
}

/** The newest value of every curve, in words. */
export function summary({ label, panels, xTitle }, arrays) {
  const parts = panels.map((panel, number) => {
    const values = panel.curves.map((curve, place) => {
      const y = arrays[`y${number}.${place}`];
      const last = y.findLastIndex((value) => !Number.isNaN(value));
      if (last < 0) return `${curve.name} no value yet`;
      return `${curve.name} ${Number(y[last].toPrecision(3))} at ${xTitle} ${arrays[`x${number}.${place}`][last]}`;
    });
    return `${panel.title}: ${values.join(", ")}`;
  });
  return `${label}. ${parts.join("; ")}.`;
}

const kept = (range) => (range ? { range: [...range], autorange: false } : { autorange: true });

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
