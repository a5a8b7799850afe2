/* One connection to Redis, spoken to in order: commands go out, answers are read with a deadline and a limit, so that a
 * Redis that hangs or sends garbage costs a bounded time and memory: also where an answer announces an array that would
 * be made before its first element came. Owned by one thread, which may block on it; it stays where it was opened. Once
 * a call has failed the link is broken, `fault` says why, and only redis_link_close() makes sense. */
#ifndef BRIDGE_REDIS_LINK_H
#define BRIDGE_REDIS_LINK_H

#include "bridge/redis_url.h"

#include <hiredis/hiredis.h>

#define REDIS_TIMEOUT_MS 2000u
#define REDIS_ANSWER_BYTES_MAX ((size_t)64 << 20)
#define REDIS_ANSWER_ELEMENTS_MAX (1u << 20) /* of all arrays in it, as announced */
#define REDIS_FAULT_BYTES 160u

struct redis_link {
	redisContext *context; /* NULL: closed */
	redisReader *reader;   /* of answers, with limits; the context's own one has none */
	/* hiredis' own makers of answers, and those that count before they call them. */
	const redisReplyObjectFunctions *makers;
	redisReplyObjectFunctions counting;
	size_t answer_bytes; /* of the strings of the answer that is not whole yet */
	size_t answer_elements;
	bool too_long;
	char fault[REDIS_FAULT_BYTES];
};

/* Connects, signs in and selects the database. False: closed again, and the fault is set. */
bool redis_link_open(struct redis_link *link, const struct redis_url *url);
void redis_link_close(struct redis_link *link);

/* Breaks the link; returns false. */
bool redis_link_fail(struct redis_link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with the text of an answer that is an error. */
bool redis_link_refused(struct redis_link *link, const redisReply *reply);

/* Adds a command to what is to be sent; arguments as in redisAppendCommandArgv(). */
bool redis_link_append(struct redis_link *link, int count, const char **words, const size_t *sizes);
/* Sends all of that. */
bool redis_link_send(struct redis_link *link);
/* The next answer, which the caller frees with freeReplyObject(), of this type (REDIS_REPLY_...). An answer of another
 * type, an error for one, breaks the link. NULL: broken. */
redisReply *redis_link_answer(struct redis_link *link, int type);
/* Reads what has come, without waiting, after poll() has said that there is something. */
bool redis_link_receive(struct redis_link *link);
/* The next whole answer among what was received, of any type; *reply is NULL where there is none. */
bool redis_link_next(struct redis_link *link, redisReply **reply);

/* "PING", and waits for its answer. */
bool redis_link_ping(struct redis_link *link);

#endif
