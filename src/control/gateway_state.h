/* What the gateway consists of. For the files of this folder; everybody else has control/gateway.h. Main thread, where
 * a member does not say otherwise. */
#ifndef CONTROL_GATEWAY_STATE_H
#define CONTROL_GATEWAY_STATE_H

#include "base/hash.h"
#include "control/layout.h"
#include "control/storage.h"
#include "control/tls/tls_keeper.h"
#include "layout/adoption.h"
#include "runtime/quota.h"
#include "runtime/settings/settings_feed.h"

#define GATEWAY_COUNTERS_MAX 8u

struct addresses;
struct access;
struct congestion_board;
struct authority;
struct password_workers;
struct node_port;

struct gateway {
	struct settings *settings;     /* as given at the start */
	struct layout_adoption memory; /* the root of all memory that outlives the program, and its notes
					  (control/heritage.h); made or adopted */
	char converted[128]; /* the first type that memory was converted for; "": it is as it was found, or nothing had
				to be */
	uint64_t converted_ns; /* how long that took */
	struct arena *arenas;  /* of the shards, and behind them that of what they share; NULL without a root */
	struct listener inherited[SETTINGS_LISTENERS_MAX]; /* what nobody has taken over has a descriptor still */
	uint32_t inherited_count;
	bool has_root;
	bool is_heir;              /* the root was made by the previous program */
	bool was_in_step;          /* and followed revocations without a gap */
	struct settings_feed feed; /* the settings in force */
	struct storage storage;
	struct hash_key key;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	struct tls_keeper tls;
	struct password_workers *password_workers; /* NULL: there are no hashes to compare passwords with */
	struct authority *authority;               /* NULL: nobody outside is asked */
	_Atomic uint32_t sessions_offline;
	_Atomic uint32_t checkpoints_begun;
	struct shard *shards;
	struct gate *gates;
	struct mailbox *mailboxes;
	struct congestion_board *boards;
	struct node_port *nodes;     /* NULL: the gateway is in no cluster */
	_Atomic bool *origin_takers; /* by shard, and behind them whether any does (deliver/origin/origin.h) */
	struct quota *quota;         /* one per shard; only the first is used if all share a table */
	struct quota whole;          /* `connections`: the quota of all shards together */
	int (*admission_pairs)[2];   /* one socket pair per shard: gates send on [0], the shard receives on [1] */
	int internal_pair[2];        /* connections of Roost's own: main sends on [0], the first gate receives on [1] */
	int *shard_keep_fds;         /* descriptors that each shard keeps: all wakers, its end of the pair */
	int *gate_keep_fds; /* descriptors that gates keep: all sending ends, the listeners, the gates' wakers */
	uint16_t shard_count;
	uint16_t gate_count;
	bool tables_refused; /* the kernel refused private descriptor tables */
	_Atomic(const struct counters *) extra_counters[GATEWAY_COUNTERS_MAX]; /* the bridge's */
	_Atomic uint32_t extra_count;
	struct layout layout;
};

/* Waits until a thread has set up its descriptor table. The table that it copies must not change until then. */
enum error gateway_await_start(const _Atomic bool *started, const _Atomic bool *failed);

#endif
