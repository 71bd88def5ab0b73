// Chooses the browser's own time zone in a form that nobody has filled in yet.
const choice = document.querySelector("[data-own-time-zone]");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (choice && choice.value === "UTC" && [...choice.options].some((option) => option.value === own)) {
  choice.value = own;
}
