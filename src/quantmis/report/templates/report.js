
"use strict";
// Tables read well as they are; with scripts they also sort by any column, and long ones filter by name.
function value(row, column) {
  const text = row.cells[column].textContent.trim(), number = parseFloat(text.replace("\u2212", "-"));
  return Number.isNaN(number) ? text : number;
}
function compare(one, other) {
  if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
  return typeof one === "number" ? -1 : 1;
}
function sort(table, column, header) {
  const down = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => down * compare(value(one, column), value(other, column)));
  table.tBodies[0].append(...rows);
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
}
function filter(table) {
  const label = document.createElement("label"), field = document.createElement("input");
  field.type = "search";
  label.className = "filter";
  label.append("Show versions whose name contains ", field);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });
  table.parentElement.before(label);
}
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, column, header));
    header.append(button);
  });
}
const ranking = document.getElementById("ranking-table");
if (ranking.tBodies[0].rows.length > 5) filter(ranking);
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
