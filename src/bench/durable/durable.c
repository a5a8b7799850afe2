#include "bench/durable/durable.h"

#include "bench/durable/durable_report.h"
#include "bench/options/options.h"
#include "bench/report/progress.h"

#include <stdio.h>
#include <stdlib.h>

int durable_main(int argc, char **argv)
{
	struct durable_options options;
	struct target target;
	int status;
	if (!durable_options_parse(argc, argv, &options, &status))
		return status;
	if (!target_open(&target, "server", &options.url, (pid_t)options.server_pid, &options.transport))
		return BENCH_EXIT_FAILED;
	struct durable_run *run = calloc(1, sizeof(*run));
	if (run == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return BENCH_EXIT_FAILED;
	}
	progress_catch_signals();
	status = BENCH_EXIT_FAILED;
	if (durable_run_make(run, &options, &target)) {
		progress_end();
		durable_report_print(run, options.json);
		if (engine_is_clean(&run->engine))
			status = BENCH_EXIT_OK;
	}
	progress_end();
	durable_run_close(run);
	target_close(&target);
	free(run);
	return status;
}
