/* What members keep. For the files of cluster/members/members.h alone. */
#ifndef CLUSTER_MEMBERS_STATE_H
#define CLUSTER_MEMBERS_STATE_H

#include "cluster/members/member.h"

struct told_run {
	uint64_t incarnation;
	uint64_t until_ms;
};

struct members {
	struct members_settings settings;
	struct members_observer observer;
	char name[NODE_NAME_BYTES_MAX + 1];
	uint64_t born_ms; /* of this incarnation */
	uint32_t slot_count;
	struct member slots[NODES_MAX];
	uint32_t agreement_count;
	struct agreement agreements[HEARTBEAT_AGREEMENTS_MAX];
	char agreement_names[HEARTBEAT_AGREEMENTS_MAX][MEMBERS_AGREEMENT_BYTES_MAX + 1];
	/* Runs that were given up, our own among them; the oldest is forgotten first. */
	uint64_t given_up[MEMBERS_GIVEN_UP_MAX];
	uint32_t given_up_count;
	/* Those of them that turned up, and are told so. */
	struct told_run told[HEARTBEAT_GIVEN_UP_MAX];
	/* Another node with our name. */
	uint64_t namesake;
	uint64_t namesake_sent_ms;
	uint64_t namesake_since_ms;
	uint64_t namesake_heard_ms;
	bool has_yielded;
	bool owes_goodbye;
	bool must_renew;
	bool is_urgent; /* something has changed: the next heartbeat goes now */
	uint64_t next_heartbeat_ms;
	uint64_t last_heartbeat_ms;
	uint64_t last_sent_ms; /* time of sending in the last heartbeat: it grows with each */
	uint64_t view_hash;
	uint64_t refusal_told_ms[MEMBERS_REFUSAL_COUNT]; /* when it may be told again */
	struct bytes out;
	struct members_counters counters;
};

#endif
