/* The report of a run as one HTML file with plots, which needs no other file and suits light and dark mode. Main
 * thread. */
#ifndef BENCH_RUN_HTML_H
#define BENCH_RUN_HTML_H

#include "bench/run/run_report.h"

#include <stdio.h>

/* Returns NULL, or why the file could not be written. */
const char *run_html_write(const struct run_report *report, const char *path);

/* The output is well-formed XML too, so that an XML parser can check it. */
void run_html_print(const struct run_report *report, FILE *out);

#endif
