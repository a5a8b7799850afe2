#include "bench/storm.h"

#include "bench/options.h"
#include "bench/progress.h"
#include "bench/storm_options.h"
#include "bench/storm_report.h"

#include <stdio.h>
#include <time.h>

/* False: says on stderr what is wrong with the file. */
static bool open_credentials(struct storm_options *options, struct credentials *credentials)
{
	const char *path = options->token_path != NULL ? options->token_path : options->secret_path;
	const char *fault;
	*credentials = (struct credentials){.user_name = options->user_name};
	if (path == NULL)
		return true;
	if (options->token_path != NULL)
		fault = credentials_open_tokens(credentials, path);
	else
		fault = credentials_open_secret(credentials, path, options->token_claims, (uint64_t)time(NULL));
	if (fault != NULL) {
		fprintf(stderr, "roost bench storm: %s %s\n", path, fault);
		return false;
	}
	options->load.credentials = options->load.established.credentials = credentials;
	return true;
}

/* The kernel takes an IPv4 source address for an IPv4 target only. */
static bool suits_source(const struct storm_load *load, const struct target *target)
{
	if (load->from.hosts == 0 || target->address.storage.ss_family == AF_INET)
		return true;
	fputs("roost bench storm: --from is for IPv4, and the target is not\n", stderr);
	return false;
}

static int run(const struct storm_options *options)
{
	struct storm_result result;
	struct target server;
	if (!target_open(&server, "server", &options->url, (pid_t)options->server_pid) ||
	    !suits_source(&options->load, &server) || !storm_run(&options->load, &server, &result))
		return BENCH_EXIT_FAILED;
	progress_end();
	if (!storm_report_print(&options->load, &result, options->json))
		return BENCH_EXIT_FAILED;
	return storm_report_is_clean(&options->load, &result) ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}

int storm_main(int argc, char **argv)
{
	struct storm_options options;
	struct credentials credentials;
	int status;
	if (!storm_options_parse(argc, argv, &options, &status))
		return status;
	progress_catch_signals();
	status = open_credentials(&options, &credentials) ? run(&options) : BENCH_EXIT_FAILED;
	progress_end();
	credentials_close(&credentials);
	return status;
}
