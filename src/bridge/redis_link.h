/* One connection to Redis: commands go out, answers come back in order. Each answer has a deadline and a limit, so a
 * Redis that hangs or sends garbage costs bounded time and memory, even if it announces a huge array, which hiredis
 * would allocate before the first element arrives. Owned by one thread, which may block on it. The struct must not move
 * while it is open. Once a call has failed the link is broken: `fault` tells why, and only redis_link_close() may
 * follow. */
#ifndef BRIDGE_REDIS_LINK_H
#define BRIDGE_REDIS_LINK_H

#include "net/stream.h"
#include "redis/redis_url.h"
#include "tls/context.h"

#include <hiredis/hiredis.h>

#define REDIS_TIMEOUT_MS 2000u
#define REDIS_ANSWER_BYTES_MAX ((size_t)64 << 20)
#define REDIS_ANSWER_ELEMENTS_MAX (1u << 20) /* announced by all arrays of an answer */
#define REDIS_FAULT_BYTES 256u

/* Where a server is, and the way there. */
struct redis_way {
	const struct redis_place *place;
	const struct redis_login *login;
	uint32_t database;
	struct streams *streams; /* of the thread, with STREAM_TLS where tls is set; they outlive the link */
	struct tls_context *tls; /* NULL: without TLS */
	const char *tls_name;    /* that the server's certificate is to have; "": the host's name */
};

struct redis_link {
	struct stream stream;    /* the connection, while streams is set */
	struct streams *streams; /* NULL: closed */
	bool more;               /* the stream has more, of which poll() knows nothing */
	bool tls_failed;         /* what failed is TLS */
	char *out;               /* commands that are not sent yet */
	size_t out_bytes;
	redisReader *reader; /* parses answers within limits; one that hiredis makes by itself has none */
	/* hiredis' functions that allocate the parts of an answer, and ours, which count before they call them. */
	const redisReplyObjectFunctions *makers;
	redisReplyObjectFunctions counting;
	size_t answer_bytes; /* in strings of the incomplete answer */
	size_t answer_elements;
	bool too_long;
	char fault[REDIS_FAULT_BYTES];
};

/* Connects, signs in and selects the database. On failure it closes the link again, sets fault and returns false. */
bool redis_link_open(struct redis_link *link, const struct redis_way *way);
void redis_link_close(struct redis_link *link);
/* For poll(), which tells of input if `more` does not. */
int redis_link_fd(const struct redis_link *link);

/* Marks the link as broken. Returns false. */
bool redis_link_fail(struct redis_link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Likewise, with the text of an error reply. */
bool redis_link_refused(struct redis_link *link, const redisReply *reply);

/* Appends a command to the output. Arguments as for redisAppendCommandArgv(). */
bool redis_link_append(struct redis_link *link, int count, const char **words, const size_t *sizes);
/* Sends the output. */
bool redis_link_send(struct redis_link *link);
/* Waits for the next answer, which must have this type (REDIS_REPLY_...) and which the caller frees with
 * freeReplyObject(). Any other answer, such as an error, breaks the link. Returns NULL if the link is broken. */
redisReply *redis_link_answer(struct redis_link *link, int type);
/* Waits for the next answer of any type, likewise. false: the link is broken. */
bool redis_link_await(struct redis_link *link, redisReply **reply);
/* Receives what has arrived, once. Does not wait. */
bool redis_link_receive(struct redis_link *link);
/* Sets *reply to the next complete answer of any type among what was received, or to NULL. */
bool redis_link_next(struct redis_link *link, redisReply **reply);

/* Sends PING and waits for the answer. */
bool redis_link_ping(struct redis_link *link);
/* Sends a command of such words, and waits for its answer, which must have this type; as redis_link_answer(). */
redisReply *redis_link_ask(struct redis_link *link, int type, int count, const char **words);

#endif
