(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("on");
  function setLanguage(language) {
    root.setAttribute("data-lang", language);
    root.lang = language === "zh" ? "zh-CN" : "en";
  }
  document.getElementById("lang").addEventListener("click", function () {
    setLanguage(root.getAttribute("data-lang") === "zh" ? "en" : "zh");
  });
  if (location.hash === "#en") setLanguage("en");
})();
