#include "relay/stream/master_watch.h"

#include "redis/redis_words.h"

bool master_watch_init(struct master_watch *watch, const struct redis_target *target)
{
	*watch = (struct master_watch){.name = target->url.master};
	watch->dial.kind = REDIS_DIAL_WATCH;
	watch->dial.connection = &watch->connection;
	watch->dial.master = &watch->master;
	pause_clear(&watch->pause);
	return redis_connection_init(&watch->connection, target);
}

void master_watch_begin(struct master_watch *watch, int done_fd)
{
	watch->dial.done_fd = done_fd;
}

void master_watch_fini(struct master_watch *watch)
{
	redis_dial_give_up(&watch->dial);
	redis_connection_fini(&watch->connection);
}

/* Its faults are told where the master is lost, too: then Sentinels are asked. */
static void lose_watch(struct master_watch *watch, uint64_t now_ms)
{
	redis_connection_close(&watch->connection);
	watch->connection.link.fault[0] = '\0';
	watch->connected = watch->owes = false;
	pause_begin(&watch->pause, now_ms);
}

static bool end_watch_dial(struct master_watch *watch, uint64_t now_ms)
{
	watch->connected = redis_dial_end(&watch->dial);
	watch->ping_ms = now_ms + MASTER_WATCH_PING_MS;
	if (watch->connected)
		pause_clear(&watch->pause);
	else
		lose_watch(watch, now_ms);
	return watch->connected;
}

static void ping_sentinel(struct master_watch *watch, uint64_t now_ms)
{
	struct redis_link *link = &watch->connection.link;
	bool good = !watch->owes && redis_link_append(link, 1, (const char *[]){"PING"}, NULL) && redis_link_send(link);
	watch->owes = true;
	watch->ping_ms = now_ms + MASTER_WATCH_PING_MS;
	if (!good)
		lose_watch(watch, now_ms);
}

bool master_watch_tend(struct master_watch *watch, uint64_t now_ms)
{
	if (redis_dial_is_over(&watch->dial))
		return end_watch_dial(watch, now_ms);
	if (watch->connected && now_ms >= watch->ping_ms)
		ping_sentinel(watch, now_ms);
	if (!watch->connected && !watch->dial.is_running && now_ms >= watch->pause.until_ms &&
	    !redis_dial_begin(&watch->dial))
		lose_watch(watch, now_ms);
	return false;
}

uint64_t master_watch_due_ms(const struct master_watch *watch)
{
	if (watch->dial.is_running)
		return UINT64_MAX;
	return watch->connected ? watch->ping_ms : watch->pause.until_ms;
}

int master_watch_fd(const struct master_watch *watch)
{
	return watch->connected ? redis_link_fd(&watch->connection.link) : -1;
}

/* ["message", channel, text] or ["pong", ""]. */
static bool hear_sentinel(struct master_watch *watch, const redisReply *reply)
{
	watch->owes = false;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || reply->element[2]->type != REDIS_REPLY_STRING)
		return false;
	struct slice text = slice_of(reply->element[2]->str, (size_t)reply->element[2]->len);
	return redis_switch_read(text, watch->name, &watch->master);
}

bool master_watch_hear(struct master_watch *watch, uint64_t now_ms)
{
	struct redis_link *link = &watch->connection.link;
	redisReply *reply;
	bool is_news = false;
	do {
		bool good = redis_link_receive(link);
		while (good && (good = redis_link_next(link, &reply)) && reply != NULL) {
			is_news = hear_sentinel(watch, reply) || is_news;
			freeReplyObject(reply);
		}
		if (!good) {
			lose_watch(watch, now_ms);
			return is_news;
		}
	} while (link->more);
	return is_news;
}
