#!/bin/sh
# picture.sh BARS.TSV REPORT.HTML REPORT.PNG: draws what eddy_bench --plot wrote (its
# columns: Report::WritePlot in report.h), by gnuplot. The page holds the same picture
# as SVG, and below it every number.
#
# Upper part: how many times over its bar each value is, on a log scale; right of the
# line at 1 it holds. A thin line spans the samples. Lower part: eddy beside its peers.
set -eu
bars=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# y, label, times (value, least, most), holds, text; a heading for each group.
awk -F '\t' -v OFS='\t' '
  $7 == "-" { next }
  $1 != group { group = $1; print ++y, "{/:Bold " group "}", "NaN", "NaN", "NaN", 1, "" }
  $8 == "-" { print ++y, $2, "NaN", "NaN", "NaN", 0, $4 " (" $7 " " $3 ")"; next }
  { print ++y, $2, $8, $9, $10, $11, $4 " " $3 " (" $7 ")" }' "$bars" >"$work/bars"
# y, label, value: records or messages a second, M, of eddy and its peers.
awk -F '\t' -v OFS='\t' '
  $1 ~ /^sustained/ && $3 == "M records/s" && $4 + 0 > 0 && $2 !~ /^replay/ { print ++y, $2, $4 }
  $1 ~ /^queue, / && $3 == "M cycles/s" { print ++y, "queue " $2 ", cycles", $4 }
  $1 ~ /^queue, / && $3 == "cycles/s" { print ++y, (($2 ~ /^row/) ? "" : "queue ") $2 ", cycles", $4 / 1e6 }
' "$bars" >"$work/peers"

rows=$(($(wc -l <"$work/bars") + 0))
peers=$(($(wc -l <"$work/peers") + 0))
height=$((90 + 18 * rows + (peers > 0 ? 80 + 18 * peers : 0)))
draw() { # draw TERMINAL: the picture on standard output
  gnuplot <<EOF
set terminal $1
set multiplot
set datafile separator "\t"
unset key
set encoding utf8
set lmargin at screen 0.36
set rmargin at screen 0.80
set ytics nomirror scale 0 textcolor rgb "#222222"
set border 1 lc rgb "#888888"
set style fill solid 0.85 noborder
split = $peers > 0 ? 1.0 * (80 + 18 * $peers) / $height : 0
set tmargin at screen 1 - 30.0 / $height
set bmargin at screen split + 45.0 / $height
set title "eddy: times over the bar (right of the line at 1: holds)" noenhanced
set logscale x
set xrange [0.02:200]
set yrange [$rows + 0.7:0.3]
set xtics nomirror textcolor rgb "#222222" ("1/50" 0.02, "1/10" 0.1, "1/2" 0.5, "1" 1, "2" 2, "5" 5, "10" 10, "100" 100)
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb "#333333"
set grid x lc rgb "#dddddd"
clip(x) = x < 0.02 ? 0.02 : x > 190 ? 190 : x
low(x) = x < 1 ? clip(x) : 1
high(x) = x < 1 ? 1 : clip(x)
plot "$work/bars" using (clip(\$3)):1:(low(\$3)):(high(\$3)):(\$1 - 0.38):(\$1 + 0.38):(\$6 == 1 ? 0x2a9d5c : 0xd1495b):ytic(2) with boxxyerror lc rgb variable, \
  "" using (clip(\$3)):1:(clip(\$4)):(clip(\$5)) with xerrorbars pt -1 lw 1 lc rgb "#222222", \
  "" using (195):1:7:(\$6 == 1 ? 0x333333 : 0xd1495b) with labels left noenhanced tc rgb variable
if ($peers > 0) {
  unset arrow 1
  unset logscale x
  set tmargin at screen split - 25.0 / $height
  set bmargin at screen 45.0 / $height
  set title "beside the peers, millions a second, medians" noenhanced
  set xrange [0:*]
  set xtics auto
  set yrange [$peers + 0.7:0.3]
  plot "$work/peers" using 3:1:(0):3:(\$1 - 0.38):(\$1 + 0.38):(strcol(2) eq "eddy" || strcol(2)[1:6] eq "queue " ? 0x2a6f97 : 0xa9b4bd):ytic(2) with boxxyerror lc rgb variable, \
    "" using 3:1:(sprintf("  %.3g", \$3)) with labels left noenhanced
}
unset multiplot
EOF
}
draw "pngcairo size 1200,$height font 'DejaVu Sans,9.5' background '#ffffff'" >"$3"
{
  cat <<'EOF'
<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>eddy: benchmarks</title>
<style>body{font:14px sans-serif;margin:2em;max-width:1200px}table{border-collapse:collapse}
td,th{padding:2px 10px;text-align:left;border-bottom:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}.no{color:#d1495b;font-weight:bold}
</style><h1>eddy: benchmarks</h1>
EOF
  draw "svg size 1200,$height font 'sans-serif,12' background '#ffffff'" | sed '/^<?xml/d'
  echo '<h2>Every number</h2><table>'
  awk -F '\t' '
    function text(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
    $1 != group { group = $1; printf "<tr><th>%s<th>median<th>unit<th>least .. most<th>bar<th>holds\n", text(group) }
    { printf "<tr><td>%s<td class=n>%s<td>%s<td>%s .. %s<td>%s<td%s>%s\n", text($2), text($4), text($3), $5, $6, \
        $7 == "-" ? "" : text($7), $11 == "0" ? " class=no" : "", $11 == "-" ? "" : $11 == "1" ? "yes" : "NO" }' "$bars"
  echo '</table></html>'
} >"$2"
