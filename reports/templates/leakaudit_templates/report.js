(function () {
  "use strict";
  var all = function (query) { return Array.prototype.slice.call(document.querySelectorAll(query)); };
  var details = function () { return all("details"); };

  // Print everything: open what is closed, and close it again afterwards.
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = details().filter(function (one) { return !one.open; });
    opened.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (one) { one.open = false; });
    opened = [];
  });

  var tools = document.querySelector(".tools");
  if (!tools) { return; }
  tools.hidden = false;

  var rows = document.getElementById("rows");
  rows.addEventListener("change", function () {
    all("tr.cell").forEach(function (row) {
      var ok = row.dataset.state === "ok";
      var shown = rows.value === "all" ||
        (rows.value === "ok" && ok) ||
        (rows.value === "other" && !ok) ||
        (rows.value === "worst" && row.classList.contains("worst"));
      row.hidden = !shown;
      row.nextElementSibling.hidden = !shown;
    });
  });

  var button = document.getElementById("details");
  var open = false;
  button.addEventListener("click", function () {
    open = !open;
    all("tr.more details").forEach(function (one) { one.open = open; });
    button.textContent = open ? "Close all rows" : "Open all rows";
  });
})();
