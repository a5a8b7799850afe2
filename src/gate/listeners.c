#include "gate/listeners.h"

#include "base/check.h"
#include "base/log.h"
#include "runtime/settings.h"

#include <errno.h>
#include <string.h>

struct opened {
	struct listener items[SETTINGS_LISTENERS_MAX];
	uint32_t count;
};

static enum error listeners_complain(const char *url, const char *why)
{
	log_write(LOG_ERROR, "cannot listen on %s: %s", url, why);
	return ERROR_SYSTEM;
}

/* A name may have an address that this machine lacks, an IPv6 address for example. */
static bool may_be_skipped(const struct listener *listener)
{
	return listener->named && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
}

/* Opens the listeners of one URL and adds them to *opened. */
static enum error open_url(const struct listener *wanted, struct listener_options options, struct opened *opened)
{
	struct listener found[LISTENER_ADDRESSES_MAX];
	const char *fault;
	size_t count = listener_resolve(wanted, found, &fault);
	CHECK_LE(count, LISTENER_ADDRESSES_MAX);
	if (count == 0)
		return listeners_complain(wanted->url, fault);
	uint32_t before = opened->count;
	for (size_t i = 0; i < count; i++) {
		if (opened->count == SETTINGS_LISTENERS_MAX)
			return listeners_complain(wanted->url, "its addresses exceed the limit of listeners");
		if (listener_open(&found[i], options) == ERROR_OK) {
			if (wanted->named)
				log_write(LOG_INFO, "%s resolves to %s", wanted->url, found[i].url);
			opened->items[opened->count++] = found[i];
			continue;
		}
		fault = strerror(errno);
		if (!may_be_skipped(&found[i]))
			return listeners_complain(found[i].url, fault);
		log_write(LOG_INFO, "%s resolves to %s, which is skipped: %s", wanted->url, found[i].url, fault);
	}
	return opened->count != before ? ERROR_OK : listeners_complain(wanted->url, fault);
}

enum error listeners_open(struct settings *settings)
{
	CHECK_LE(settings->listener_count, SETTINGS_LISTENERS_MAX);
	struct opened opened = {.count = 0};
	struct listener_options options = {
		.backlog = (int)settings->backlog,
		.idle_s = settings->idle_probe_s,
		.defer_accept_s = settings->defer_accept ? (int)(settings->connect_timeout_ms + 999) / 1000 : 0,
	};
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		enum error error = open_url(&settings->listeners[i], options, &opened);
		if (error != ERROR_OK)
			return error;
	}
	memcpy(settings->listeners, opened.items, sizeof(opened.items));
	settings->listener_count = opened.count;
	return ERROR_OK;
}
