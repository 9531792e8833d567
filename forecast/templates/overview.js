"use strict";
// Hides the leaders whose name and country do not hold what was typed.
(() => {
  const field = document.getElementById("filter"), said = document.getElementById("filter-said");
  document.getElementById("filter-box").hidden = false;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = [...document.querySelectorAll("tr[data-country]")];
  field.addEventListener("input", () => {
    const wanted = plain(field.value.trim());
    for (const row of rows) row.hidden = !plain(row.dataset.country + " " + row.cells[1].textContent).includes(wanted);
    const shown = new Set(rows.filter((row) => !row.hidden).map((row) => row.dataset.country)).size;
    said.textContent = wanted ? `${shown} of ${new Set(rows.map((row) => row.dataset.country)).size} leaders` : "";
  });
})();
