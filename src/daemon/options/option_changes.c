#include "daemon/options/options.h"

#include "base/check.h"
#include "daemon/options/listener_options.h"

#include <stdlib.h>
#include <string.h>

/* Options that may change while the gateway runs: they are read each time that they are needed, no client was promised
 * them, and nothing was allocated to their size. */
static const char *const LIVE[] = {
	"tls-certificate",
	"tls-key",
	"tls-client-certificates",
	"tls-client-ca-file",
	"tls-client-crl-file",
	"tls-identity-from",
	"tls-identity-as",
	"tls-min-version",
	"tls-ciphers",
	"tls-ciphersuites",
	"admin-tls-certificate",
	"admin-tls-key",
	"admin-tls-client-ca-file",
	"tls-handshakes-max",
	"tls-handshake-timeout-ms",
	"websocket-origin",
	"proxy-from",
	"unix-peer-is-user",
	"connect-timeout-ms",
	"connect-bytes-max",
	"handshake-bytes-max",
	"queue-bytes-max",
	"queue-messages-max",
	"queue-memory-max",
	"rule-messages-max",
	"rule-bytes-max",
	"queue-policy",
	"overlapping-subscriptions",
	"inflight-max",
	"session-expiry-max-s",
	"store-full",
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
	"auth-cache-s",
	"auth-cache-denied-s",
	"auth-stale-s",
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

/* Of those that may change while the gateway runs, or of the others: writes a line for each that differs. ERROR_LIMIT:
 * one of the others does. Takes over what may change. */
static enum error compare_options(struct options *into, const struct options *started, const struct options *wanted,
				  bool live, const char *path, FILE *report)
{
	enum error error = ERROR_OK;
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		char *was;
		char *will;
		if (option_is_live(spec) != live)
			continue;
		if (!same_value(spec, live ? into : started, wanted, &was, &will)) {
			if (live) {
				option_print_key(spec, report);
				fprintf(report, ": %s -> %s\n", was, will);
				option_copy(spec, into, wanted);
			} else {
				report_fixed(spec, wanted->lines[i], path, report);
				error = ERROR_LIMIT;
			}
		}
		free(was);
		free(will);
	}
	if (error == ERROR_OK)
		error = listener_options_compare(into, wanted, live, path, report);
	return error;
}

static void report_items(const struct item_kind *kind, const struct relay_items *old, const struct relay_items *wanted,
			 FILE *report)
{
	for (uint32_t i = 0; i < item_count(kind, old); i++) {
		const char *name = item_name(item_look(kind, old, i));
		if (item_find(kind, wanted, slice_string(name)) == NULL)
			fprintf(report, "%s: %s %s is gone\n", kind->list, kind->name, name);
	}
	for (uint32_t i = 0; i < item_count(kind, wanted); i++) {
		const void *item = item_look(kind, wanted, i);
		const void *before = item_find(kind, old, slice_string(item_name(item)));
		if (before == NULL)
			fprintf(report, "%s: %s %s is new\n", kind->list, kind->name, item_name(item));
		else if (!kind->equal(before, item))
			fprintf(report, "%s: %s %s has changed\n", kind->list, kind->name, item_name(item));
	}
}

void options_change_items(struct relay_items *into, const struct relay_items *wanted, FILE *report)
{
	const struct item_kind *kind;
	for (size_t i = 0; (kind = item_kind_at(i)) != NULL; i++)
		report_items(kind, into, wanted, report);
	*into = *wanted;
}

enum error options_change(struct options *into, const struct options *started, const struct options *wanted,
			  const char *path, FILE *report)
{
	/* A misspelt name would leave its option out, and nobody would notice. */
	for (size_t i = 0; i < sizeof(LIVE) / sizeof(LIVE[0]); i++)
		CHECK(option_find(LIVE[i]) != NULL);
	/* First what may not change: whoever reads of changes finds that they were made. */
	enum error error = compare_options(into, started, wanted, false, path, report);
	if (error != ERROR_OK)
		return error;
	struct options *changed = options_clone(into);
	if (changed == NULL) {
		fprintf(report, "%s\n", error_sentence(ERROR_NO_MEMORY));
		return ERROR_NO_MEMORY;
	}
	compare_options(changed, started, wanted, true, path, report);
	listener_options_copy(changed, wanted);
	options_change_items(&changed->items, &wanted->items, report);
	*into = *changed;
	free(changed);
	return ERROR_OK;
}
