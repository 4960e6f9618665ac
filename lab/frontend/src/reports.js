// Reports what one does in a component, such as a click, to the server, which then runs the component's part of the
// page: see lab/components/reports.py.

class Reports {
  #sent = Promise.resolve();

  /**
   * Sends reports one after the other, so that the newest is the last to arrive.
   * @param {string | null} to name that the server gave to the component; null if it is not to report
   * @param {string} view name of the mounted view, see `viewName`
   * @param {object} values
   */
  send(to, view, values) {
    if (to === null) return;
    this.#sent = this.#sent.then(() => post({ to, view, values, query: location.search.slice(1) }));
  }
}

/** While the server is away, Streamlit says so. */
const post = (report) =>
  fetch(new URL("reports", document.baseURI), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(report),
  }).catch(() => null);

/** Tells mounted views of one component apart: one that is mounted anew has reported nothing. */
export const viewName = () => Math.random().toString(36).slice(2);

/** One for the page, whichever component comes first. */
export const reports = (globalThis.cellnetReports ??= new Reports());
