/* What servers of a cluster and Sentinels say: where a key is, and who is the master. Pure; any thread. */
#ifndef REDIS_REDIS_WORDS_H
#define REDIS_REDIS_WORDS_H

#include "base/slice.h"
#include "redis/redis_url.h"

#include <hiredis/hiredis.h>

enum redis_redirect_kind {
	REDIS_MOVED, /* the slot is there from now on */
	REDIS_ASK,   /* the key is there already, or to be made there, while its slot moves: ASKING goes before the
			command */
};

struct redis_redirect {
	enum redis_redirect_kind kind;
	uint16_t slot;
	struct redis_place place;
};

/* Reads "MOVED 3999 host:port" and "ASK ...". asked: the server that said it; where the host is missing it is that
 * one's. false: the error is another. */
bool redis_redirect_read(struct slice error, const struct redis_place *asked, struct redis_redirect *redirect);

/* Reads an answer to SENTINEL get-master-addr-by-name. false: *why says that there is none or that it is no such
 * answer; static. */
bool redis_master_read(const redisReply *reply, struct redis_place *place, const char **why);
/* Reads what a Sentinel publishes on +switch-master, "name host port host port": whether it is about this name, and
 * where the master is now. false: it is about another, or cannot be read. */
bool redis_switch_read(struct slice text, const char *name, struct redis_place *place);
/* Whether an answer to ROLE says that the server is a master. */
bool redis_role_is_master(const redisReply *reply);

#endif
