#!/bin/sh
# picture.sh BARS.TSV REPORT.HTML: one line a measured bar, how many times over the
# bar its value is, on a log scale; right of the line at 1 it holds. Bars that were
# not measured are not drawn: the table and results.json name them.
set -eu
svg=$(gnuplot -e "file='$1'" -e '
  set terminal svg size 1100,900 font "sans,12" noenhanced;
  set output;
  set datafile separator "\t";
  stats file using 2 nooutput;
  set logscale x; set yrange [-1:STATS_records] reverse;
  set xlabel "times the bar (right of 1: holds)";
  set arrow from 1,graph 0 to 1,graph 1 nohead lw 2; set grid x; unset key;
  plot file using 2:0:yticlabels(1) with points pt 7 ps 1')
printf '<!DOCTYPE html><meta charset="utf-8"><title>eddy: bars</title>\n%s\n' "$svg" >"$2"
