#include "gate/listeners.h"

#include "base/check.h"
#include "base/log.h"
#include "runtime/settings/settings.h"

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

static const char *why_not_opened(const struct listener *listener)
{
	if (listener->scheme == LISTENER_UNIX && errno == EADDRINUSE)
		return "a server that is running listens on this path";
	if (listener->scheme == LISTENER_UNIX && errno == EEXIST)
		return "there is a file of this name that is no socket";
	return strerror(errno);
}

/* A listener on [::] leaves IPv4 to another one that names the same port of an IPv4 address. */
static bool serves_v4_too(const struct settings *settings, const struct listener *wanted)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	if (!wanted->dual_stack)
		return false;
	memcpy(&v6, &wanted->address, sizeof(v6));
	for (uint32_t i = 0; i < settings->listener_count && v6.sin6_port != 0; i++) {
		const struct listener *other = &settings->listeners[i];
		if (other->address.ss_family != AF_INET)
			continue;
		memcpy(&v4, &other->address, sizeof(v4));
		if (v4.sin_port == v6.sin6_port)
			return false;
	}
	return true;
}

/* Adds what the previous program listened on for this URL. False: it did not. */
static bool inherit_url(const struct listener *wanted, struct listener *inherited, uint32_t inherited_count,
			struct opened *opened)
{
	bool found = false;
	for (uint32_t i = 0; i < inherited_count && opened->count < SETTINGS_LISTENERS_MAX; i++) {
		if (inherited[i].fd < 0 || strcmp(inherited[i].asked, wanted->asked) != 0)
			continue;
		opened->items[opened->count] = inherited[i];
		opened->items[opened->count++].settings = wanted->settings;
		inherited[i].fd = -1;
		found = true;
	}
	return found;
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
		fault = why_not_opened(&found[i]);
		if (!may_be_skipped(&found[i]))
			return listeners_complain(found[i].url, fault);
		log_write(LOG_INFO, "%s resolves to %s, which is skipped: %s", wanted->url, found[i].url, fault);
	}
	return opened->count != before ? ERROR_OK : listeners_complain(wanted->url, fault);
}

static void unlink_files(const struct listener *listeners, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		listener_unlink(&listeners[i]);
}

enum error listeners_open(struct settings *settings, struct listener *inherited, uint32_t inherited_count)
{
	CHECK_LE(settings->listener_count, SETTINGS_LISTENERS_MAX);
	struct opened opened = {.count = 0};
	struct listener_options options = {
		.backlog = (int)settings->backlog,
		.idle_s = settings->idle_probe_s,
		.waits = true,
		.defer_accept_s = settings->defer_accept ? (int)(settings->connect_timeout_ms + 999) / 1000 : 0,
	};
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		struct listener *wanted = &settings->listeners[i];
		const struct listener_settings *own = &settings->listener_settings[wanted->settings];
		CHECK_LT(wanted->settings, SETTINGS_LISTENERS_MAX);
		memcpy(wanted->asked, wanted->url, sizeof(wanted->asked));
		if (inherit_url(wanted, inherited, inherited_count, &opened))
			continue;
		wanted->dual_stack = serves_v4_too(settings, wanted);
		options.mode = own->mode;
		options.owner = own->sets_owner ? own->owner : (uid_t)-1;
		options.group = own->sets_group ? own->group : (gid_t)-1;
		if (open_url(wanted, options, &opened) == ERROR_OK)
			continue;
		if (inherited_count != 0) {
			log_write(LOG_ERROR, "nobody is let in on %s until the next upgrade or restart", wanted->url);
		} else {
			unlink_files(opened.items, opened.count);
			return ERROR_SYSTEM;
		}
	}
	memcpy(settings->listeners, opened.items, sizeof(opened.items));
	settings->listener_count = opened.count;
	return ERROR_OK;
}

enum error listeners_begin(const struct settings *settings)
{
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		const struct listener *listener = &settings->listeners[i];
		if (listener_listen(listener, (int)settings->backlog) != ERROR_OK)
			error = listeners_complain(listener->url, why_not_opened(listener));
	}
	return error;
}

void listeners_end(const struct settings *settings)
{
	unlink_files(settings->listeners, settings->listener_count);
}
