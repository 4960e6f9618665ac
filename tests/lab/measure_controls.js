// What tests/lab/measure_controls.py watches a page with.

/** Parts that the training itself keeps changing. */
const FED = ".cellnet-live-markup, .cellnet-cube, .cellnet-curves";
const PART = "[data-testid=stElementContainer]";
const SHOWN = ["d", "points", "data-stream", "transform", "href", "src", "disabled", "aria-disabled"];

let lastMessage = 0;
let lastChange = 0;
globalThis.answer = {};

class Socket extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", () => {
      lastMessage = performance.now();
      answer.begun ||= lastMessage - answer.pressed;
    });
  }

  send(data) {
    answer.sent ||= performance.now() - answer.pressed;
    super.send(data);
  }
}
globalThis.WebSocket = Socket;

globalThis.labelOf = (widget) => {
  if (!widget.dataset.testid) return "a cell in the cube";
  const named = widget.querySelector("[data-testid=stWidgetLabel]") ?? widget;
  return `${named.textContent.trim()} (${widget.dataset.testid.slice(2)})`;
};

const texts = new WeakMap();

/** What a part says; of one that is fed only what the training alone does not change. */
function words(part) {
  if (!part.matches(FED)) return part.textContent;
  const told = part.querySelectorAll(".lab-note, .lab-said q");
  return [part.querySelector(".lab-status")?.dataset.state, ...Array.from(told, (each) => each.textContent)].join();
}

/** Whether a part says something else than it did; Streamlit often writes the same again. */
function saysNew(part) {
  const before = texts.get(part);
  texts.set(part, words(part));
  return before !== words(part);
}

const elementOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement);

function isAnswer({ type, target, attributeName, oldValue }, control) {
  const place = elementOf(target);
  const outside = place?.getRootNode().host ?? place; // the cube is in a shadow of its own
  if (!place || control.contains(place) || !outside.closest("[data-testid=stMain]")) return false;
  const fed = place.closest(FED);
  const part = fed ?? place.closest(PART);
  if (type === "attributes" && place.getAttribute(attributeName) === oldValue) return false;
  if (type === "attributes") return fed ? place === fed && attributeName === "data-stream" : SHOWN.includes(attributeName);
  return !fed?.matches(".cellnet-cube, .cellnet-curves") && (!part || saysNew(part));
}

const ALL = { subtree: true, childList: true, attributes: true, attributeOldValue: true, characterData: true };
const shadows = () => [...document.querySelectorAll("*")].flatMap(({ shadowRoot }) => shadowRoot ?? []);

globalThis.watchAnswer = (control) => {
  const seen = { pressed: 0, sent: 0, begun: 0, changed: 0, painted: 0, rested: 0, what: "" };
  globalThis.answer = seen;
  for (const part of document.querySelectorAll(`${PART}, .cellnet-live-markup`)) texts.set(part, words(part));
  const press = (event) => (seen.pressed ||= event.timeStamp);
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, press, { capture: true, once: true });
  watching?.disconnect();
  watching = new MutationObserver((records) => {
    if (!seen.sent) return;
    const record = records.find((each) => isAnswer(each, control));
    if (!record) return;
    lastChange = performance.now();
    seen.rested = lastChange - seen.pressed;
    if (seen.changed) return;
    seen.changed = seen.rested;
    const { dataset, className } = elementOf(record.target) ?? {};
    seen.what = [record.type, record.attributeName, dataset?.testid ?? className?.baseVal ?? className].join(" ").slice(0, 60);
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => (seen.painted = performance.now() - seen.pressed);
      port2.postMessage(null);
    });
  });
  for (const root of [document.body, ...shadows()]) watching.observe(root, ALL);
};
let watching = null;

globalThis.restedFor = (pause) => performance.now() - Math.max(lastMessage, lastChange) > pause;
