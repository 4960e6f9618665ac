// Markup that lab/components/live_markup.py sends, which holds no script and whose text is escaped there.

import { feeds } from "./feeds.js";
import { component, element } from "./host.js";
import { unpack } from "./payload.js";
import { reports, viewName } from "./reports.js";

class MarkupView {
  view = viewName();

  constructor(parent) {
    this.host = element("div", { class: "cellnet-live-markup" });
    parent.append(this.host);
  }

  receive(bytes) {
    const { header } = unpack(bytes);
    this.drawn = header;
    this.#follow();
    this.#show(header.markup);
  }

  #follow() {
    feeds.follow(this, this.drawn.feed, (news) => this.#take(unpack(news).header));
  }

  #take({ markup, drawnFrom }) {
    this.#show(markup);
    if (drawnFrom === this.drawn.drawnFrom) return;
    this.#follow(); // from what the script has drawn, so that this comes again until it draws anew
    reports.send(this.drawn.report, this.view, { changed: drawnFrom });
  }

  #show(markup) {
    if (markup !== this.markup) this.host.innerHTML = markup;
    this.markup = markup;
  }

  destroy() {
    feeds.drop(this);
    this.host.remove();
  }
}

const connect = component(MarkupView);

export default () => connect;
