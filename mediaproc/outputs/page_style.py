"""How the page of a report looks, on a screen, on a telephone and on paper."""

STYLE = """
:root { --ink: #1b1f24; --faint: #57606a; --line: #d0d7de; --paper: #ffffff; --ground: #f6f8fa;
  --bar: #0072b2; --flag: #b42318; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main, header { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 32px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 12px; }
p { margin: 0 0 12px; }
.faint { color: var(--faint); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 20px; margin: 20px 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 10px;
  margin: 20px 0 0; }
dl.facts div { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 8px 12px; }
dl.facts dt { color: var(--faint); font-size: 12px; line-height: 1.3; }
dl.facts dd { margin: 0; font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums; }
.lanes { display: grid; grid-template-columns: minmax(90px, 190px) minmax(0, 1fr); gap: 6px 14px;
  align-items: center; }
.lanes .name { font-size: 13px; text-align: right; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.lanes svg { display: block; width: 100%; height: 16px; background: var(--ground);
  border-radius: 3px; }
.axis { position: relative; height: 20px; font-size: 12px; color: var(--faint);
  font-variant-numeric: tabular-nums; }
.axis span { position: absolute; white-space: nowrap; transform: translateX(-50%); }
.axis span:first-child { transform: none; }
.axis span:last-child { transform: translateX(-100%); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding-bottom: 6px; }
th, td { text-align: left; padding: 6px 10px 6px 0; border-top: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
thead th, thead td { border-top: 0; }
thead th { color: var(--faint); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 600; min-width: 9ch; max-width: 40ch; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.bar { width: 45%; min-width: 120px; vertical-align: middle; }
td.bar svg { display: block; width: 100%; height: 14px; }
ul.pictures { list-style: none; margin: 0; padding: 0; display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(var(--cell, 190px), 1fr)); }
ul.pictures figure { margin: 0; }
ul.pictures img { display: block; max-width: 100%; max-height: 240px; border-radius: 4px; }
ul.pictures figcaption { font-size: 13px; margin-top: 4px; }
ul.pictures .time { font-weight: 600; font-variant-numeric: tabular-nums; }
.flag { border-left: 4px solid var(--flag); padding-left: 10px; }
.mark { color: var(--flag); font-weight: 600; }
footer { max-width: 1120px; margin: 0 auto; padding: 0 24px 32px; font-size: 13px; }
@media (max-width: 600px) {
  main, header, footer { padding: 0 12px; }
  section { padding: 14px; }
  .lanes { grid-template-columns: minmax(0, 1fr); gap: 2px; }
  .lanes .name { text-align: left; }
}
@media print {
  @page { margin: 14mm; }
  body { background: #fff; font-size: 11pt; }
  main, header, footer { max-width: none; padding: 0; }
  section { border: 0; padding: 0; margin: 18px 0; }
  h2, thead { break-after: avoid; }
  tr, figure, .lanes > *, dl.facts div { break-inside: avoid; }
  svg, rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
