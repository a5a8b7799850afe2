#include "relay/session/orphans.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/internal.h"
#include "relay/item/item.h"
#include "relay/session/session_asker.h"

#include <poll.h>
#include <stdio.h>

#define ORPHANS_MAX 64u /* all items may be replaced at a time */
#define WAIT_MS 2000u
#define ID_BYTES_MAX ITEM_CLIENT_BYTES_MAX

struct orphans {
	const struct orphans_kind *kind;
	char ids[ORPHANS_MAX][ID_BYTES_MAX];
	uint32_t count;
};

/* Nobody else may have such a client id. */
static void note_orphan(void *context, struct slice id)
{
	struct orphans *orphans = context;
	const size_t prefix = strlen(orphans->kind->prefix);
	if (id.size <= prefix || id.size >= ID_BYTES_MAX || orphans->count == ORPHANS_MAX)
		return;
	if (orphans->kind->has(orphans->kind->items, slice_of(id.data + prefix, id.size - prefix)))
		return;
	memcpy(orphans->ids[orphans->count], id.data, id.size);
	orphans->ids[orphans->count++][id.size] = '\0';
}

/* Reads until the session has come to this state. Messages that come meanwhile are not acknowledged, and stay. */
static bool await_state(struct session_link *link, enum session_state state)
{
	uint64_t until_ms = clock_now_ms() + WAIT_MS;
	struct mqtt_publish publish;
	bool more;
	for (;;) {
		uint64_t now_ms = clock_now_ms();
		struct pollfd polled = {.fd = link->fd, .events = POLLIN};
		if (link->state == state)
			return true;
		if (now_ms >= until_ms || poll(&polled, 1, (int)(until_ms - now_ms)) == 0 ||
		    !session_link_read(link, &more))
			return false;
		while (link->state != state && session_link_next(link, &publish))
			continue;
		if (session_link_is_broken(link))
			return false;
	}
}

static bool withdraw_all(struct gateway *gateway, struct slice id, const struct session_facts *session)
{
	struct session_link link = {.fd = -1};
	int fd = gateway_open_internal(gateway);
	if (fd < 0)
		return false;
	session_link_open(&link, fd, id);
	bool good = session_link_flush(&link) && await_state(&link, SESSION_CONNECTED);
	if (good) {
		session_link_withdraw(&link, session->stale, session->stale_count);
		good = session_link_flush(&link) && await_state(&link, SESSION_READY);
	}
	session_link_close(&link);
	return good;
}

/* False, after a word of why; of a session that has ended by itself none is needed. */
static bool look_at(struct session_asker *asker, const struct orphans_kind *kind, const char *text,
		    struct session_facts *session)
{
	enum error error = session_asker_inspect(asker, slice_string(text), NULL, session);
	if (error != ERROR_OK && error != ERROR_NOT_FOUND)
		log_write(LOG_ERROR, "%s %s is gone, and its session was not looked at: %s; a reload tries again",
			  kind->name, text + strlen(kind->prefix), error_sentence(error));
	return error == ERROR_OK;
}

static void tend_one(struct gateway *gateway, struct session_asker *asker, const struct orphans_kind *kind,
		     const char *text)
{
	struct session_facts session;
	struct slice id = slice_string(text);
	const char *name = text + strlen(kind->prefix);
	if (!look_at(asker, kind, text, &session))
		return;
	if (session.stale_count != 0 && !withdraw_all(gateway, id, &session)) {
		log_write(LOG_ERROR, "%s %s is gone, and its session still takes messages; a reload tries again",
			  kind->name, name);
		return;
	}
	/* What came before its subscriptions were withdrawn counts, too. */
	if (!look_at(asker, kind, text, &session))
		return;
	if (session.messages == 0 && session_asker_end(asker, id) == ERROR_OK)
		log_write(LOG_INFO, "%s %s is gone; its session was empty and has ended", kind->name, name);
	else
		log_write(LOG_WARNING,
			  "%s %s is gone; %lu messages that %s does not have wait in its session: a %s of that "
			  "name gets them, `roost ctl end-session '%s'` drops them",
			  kind->name, name, session.messages, kind->receiver, kind->name, text);
}

void orphans_tend(struct gateway *gateway, const struct orphans_kind *kind)
{
	struct orphans orphans = {.kind = kind};
	struct session_asker *asker = session_asker_new(gateway);
	enum error error = ERROR_NO_MEMORY;
	if (asker != NULL)
		error = session_asker_list(asker, kind->prefix, note_orphan, &orphans);
	for (uint32_t i = 0; i < orphans.count; i++)
		tend_one(gateway, asker, kind, orphans.ids[i]);
	session_asker_free(asker);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "each %s that is gone was not looked for: %s", kind->name, error_sentence(error));
	CHECK_LE(orphans.count, ORPHANS_MAX);
}
