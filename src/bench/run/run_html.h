/* The report of a run as one HTML file with plots, which needs no other file and is readable in light and dark. Main
 * thread. */
#ifndef BENCH_RUN_HTML_H
#define BENCH_RUN_HTML_H

#include "bench/run/run_report.h"

#include <stdio.h>

/* NULL, or why the file could not be written. */
const char *run_html_write(const struct run_report *report, const char *path);

/* Well-formed XML too, so that what reads XML can check it. */
void run_html_print(const struct run_report *report, FILE *out);

#endif
