"use strict";
// Sorts a table by the column whose button is pressed; rows that are equal keep their order.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = button.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const key = (row) => {
      const cell = row.cells[head.cellIndex], words = cell.textContent.trim();
      if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
      return words === "" || words === "–" ? null : words;
    };
    // What is not there stands last both ways.
    const order = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const sign = up ? 1 : -1;
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    };
    const rows = [...body.rows].sort((a, b) => order(key(a), key(b)));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  });
}
