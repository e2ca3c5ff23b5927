
"use strict";
// Tables read well as they are; with scripts they also sort by any column, and long ones filter by name.
function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replaceAll("\u2212", "-").replace(/(\d),(?=\d{3}(?!\d))/g, "$1"));
  return Number.isNaN(number) ? text : number;
}
function compare(one, other, down) {
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;  // what has no number stays last
  return down * (typeof one === "number" ? one - other : one.localeCompare(other));
}
function sort(table, column, header) {
  const down = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(value(one, column), value(other, column), down));
  table.tBodies[0].append(...rows);
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
}
function filter(table) {
  const line = document.createElement("p"), label = document.createElement("label");
  const field = document.createElement("input"), shown = document.createElement("output");
  field.type = "search";
  line.className = "filter";
  label.append("Show rows whose name contains ", field);
  line.append(label, " ", shown);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase(), rows = [...table.tBodies[0].rows];
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    shown.textContent = wanted && `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  });
  table.parentElement.before(line);
}
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, column, header));
    header.append(button);
  });
  if (table.tBodies[0].rows.length > 5) filter(table);
}
// A link to a section opens it; what is folded opens on paper too.
function reveal() {
  const place = location.hash && document.getElementById(location.hash.slice(1));
  const fold = place && place.querySelector(":scope > .fold");
  if (fold) fold.open = true;
}
addEventListener("hashchange", reveal);
reveal();
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
