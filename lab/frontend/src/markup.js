// Markup that lab/components/live_markup.py sends, which holds no script and whose text is escaped there.

import { feeds } from "./feeds.js";
import { component, element } from "./host.js";
import { unpack } from "./payload.js";

class MarkupView {
  constructor(parent) {
    this.host = element("div", { class: "cellnet-live-markup" });
    parent.append(this.host);
  }

  receive(bytes, _, setTrigger) {
    const { header } = unpack(bytes);
    this.drawnFrom = header.drawnFrom;
    this.setTrigger = setTrigger;
    feeds.follow(this, header.feed, (news) => this.#take(unpack(news).header));
    this.#take(header);
  }

  #take({ markup, drawnFrom }) {
    if (markup !== this.markup) this.host.innerHTML = markup;
    this.markup = markup;
    if (drawnFrom === this.drawnFrom) return;
    this.drawnFrom = drawnFrom;
    this.setTrigger("changed", drawnFrom);
  }

  destroy() {
    feeds.drop(this);
    this.host.remove();
  }
}

const connect = component(MarkupView);

export default () => connect;
