#include "daemon/options.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Options that may change while the gateway runs: they are read each time that they are needed, no client was promised
 * them, and nothing was allocated to their size. */
static const char *const LIVE[] = {
	"connect-timeout-ms",
	"connect-bytes-max",
	"handshake-bytes-max",
	"queue-bytes-max",
	"queue-messages-max",
	"queue-policy",
	"overlapping-subscriptions",
	"inflight-max",
	"session-expiry-max-s",
	"keepalive-max-s",
	"sys-interval-s",
	"payload-format-check",
	"response-information",
	"stuck-timeout-ms",
	"grace-ms",
	"overload-refuse-ms",
	"drain-ms",
	"disconnect-on-stop",
	"client-id-bytes-max",
	"client-subscriptions-max",
	"client-subscription-bytes-max",
	"address-connections-max",
	"address-handshakes-max",
	"address-rate",
	"address-burst",
	"address-exempt",
	"address-denied",
	"client-messages-a-second",
	"client-bytes-a-second",
	"rate-policy",
	"log-level",
};

bool option_is_live(const struct option_spec *spec)
{
	for (size_t i = 0; i < sizeof(LIVE) / sizeof(LIVE[0]); i++) {
		if (strcmp(LIVE[i], option_name(spec)) == 0)
			return true;
	}
	return false;
}

void option_print_key(const struct option_spec *spec, FILE *out)
{
	for (const char *at = option_name(spec); *at != '\0'; at++)
		fputc(*at == '-' ? '_' : *at, out);
}

/* On the heap; NULL: out of memory. */
static char *printed_value(const struct option_spec *spec, const struct options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	option_print_value(spec, options, out);
	fclose(out);
	return text;
}

/* Whether both print the same. *was and *will are what they print, to be freed. */
static bool same_value(const struct option_spec *spec, const struct options *one, const struct options *other,
		       char **was, char **will)
{
	*was = printed_value(spec, one);
	*will = printed_value(spec, other);
	return *was != NULL && *will != NULL && strcmp(*was, *will) == 0;
}

static void report_fixed(const struct option_spec *spec, uint32_t line, const char *path, FILE *report)
{
	if (line != 0)
		fprintf(report, "%s:%u: ", path, line);
	else if (*path != '\0')
		fprintf(report, "%s: ", path);
	option_print_key(spec, report);
	fputs(": its value differs from the one at the start, and changes with a restart only; nothing was changed\n",
	      report);
}

enum error options_change(struct options *into, const struct options *started, const struct options *wanted,
			  const char *path, FILE *report)
{
	/* A misspelt name would leave its option out, and nobody would notice. */
	for (size_t i = 0; i < sizeof(LIVE) / sizeof(LIVE[0]); i++)
		CHECK(option_find(LIVE[i]) != NULL);
	struct options changed = *into;
	enum error error = ERROR_OK;
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		char *was;
		char *will;
		bool live = option_is_live(spec);
		if (!same_value(spec, live ? into : started, wanted, &was, &will)) {
			if (!live) {
				report_fixed(spec, wanted->lines[i], path, report);
				error = ERROR_LIMIT;
			} else if (error == ERROR_OK) {
				option_print_key(spec, report);
				fprintf(report, ": %s -> %s\n", was, will);
				option_copy(spec, &changed, wanted);
			}
		}
		free(was);
		free(will);
	}
	if (error == ERROR_OK)
		*into = changed;
	return error;
}
