/* What a shard is given before its thread starts and never changes itself. What is behind the pointers is shared with
 * other threads: it is immutable, or takes care of itself. */
#ifndef STATE_ENVIRONMENT_H
#define STATE_ENVIRONMENT_H

#include "net/io.h"
#include "runtime/counters.h"
#include "runtime/quota.h"
#include "runtime/settings.h"

struct mailbox;
struct congestion_board;
struct index;
struct retained;
struct addresses;
struct access;

struct shard_environment {
	const struct settings *settings; /* the snapshot that it has taken up last (shared.settings_view) */
	struct mailbox *mailboxes;
	struct congestion_board *boards; /* of all shards, by number */
	struct quota *quota;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	_Atomic uint32_t *sessions_offline;                              /* of the whole gateway */
	void (*sum_counters)(const void *context, struct counters *sum); /* of all threads; NULL: not told about */
	const void *sum_context;
	const int *keep_fds; /* what its descriptor table keeps */
	size_t keep_count;
	int admissions_fd; /* the receiving end (reactor/fdpass.h) */
	uint16_t number;
	uint16_t shard_count;
	struct fixed_plan fixed; /* sockets that its table does not hold */
};

#endif
