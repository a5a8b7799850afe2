/* A user's record in Redis: a hash, of which these fields count.
 *
 *	HSET roost:user:alice password '$argon2id$...' permissions '{"publish":["sensors/%c/#"]}'
 *
 * password is what `roost passwd` writes, permissions what a token has; disabled, expires_s and user may be there (see
 * auth/outside/answer.h). Others are not read. */
#ifndef ASKING_REDIS_USER_H
#define ASKING_REDIS_USER_H

#include "auth/outside/answer.h"
#include "bridge/redis_link.h"

/* Asks for the record of this key. */
bool redis_user_ask(struct redis_link *link, struct slice key);

enum redis_user_outcome {
	REDIS_USER_READ,   /* *answer is new */
	REDIS_USER_BAD,    /* there is something else, or it cannot be read; fault says what */
	REDIS_USER_FAILED, /* Redis does not say, or memory is short; fault says why */
};

/* Reads the answer to that. named: who it is where the record does not say. */
enum redis_user_outcome redis_user_read(const redisReply *reply, struct slice named, struct outside_answer **answer,
					struct fault *fault);

#endif
