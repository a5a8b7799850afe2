/* Results of a run, for people on a terminal and for programs as JSON. Main thread. */
#ifndef BENCH_RUN_REPORT_H
#define BENCH_RUN_REPORT_H

#include "bench/run/run_driver.h"

struct run_report {
	const struct scenario *scenario;
	const char *url;
	const struct run_result *server;
	const struct run_result *floor;    /* NULL: none was run */
	char floor_fault[RUN_FAULT_BYTES]; /* why there is no floor although it was asked for, or "" */
};

void run_report_print(const struct run_report *report);
/* Returns false without memory. */
bool run_report_print_json(const struct run_report *report);

/* The step of the knee, or STEP_NONE. */
uint32_t run_report_knee(const struct run_report *report);
/* The server's processor time for a message, divided by the floor's in the same step; NAN: not known. */
double run_report_distance(const struct run_report *report, uint32_t step);
/* Writes "the knee is at ...", or why none was found. */
void run_report_verdict(const struct run_report *report, char *out, size_t out_size);
/* Writes what carried MQTT, "TLS handshakes: 2,000, ..."; "": nothing but sockets did. */
void run_report_carriage(const struct run_result *result, char *out, size_t out_size);
/* At least one step met its objectives, and nothing ended the run early. */
bool run_report_is_good(const struct run_report *report);

#endif
