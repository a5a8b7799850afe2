/* One to three shards without their threads: a test takes their turns, moves their clock, and is the gate and the
 * clients at the other end of socket pairs. One scene at a time; one thread. */
#ifndef TESTS_UNIT_SHARD_SCENE_H
#define TESTS_UNIT_SHARD_SCENE_H

#include "access/handshake.h"
#include "body_source.h"
#include "journal_model.h"
#include "memory/notes.h"
#include "state/shard.h"

#define SCENE_SHARDS_MAX 3
#define SCENE_START_MS 1000000u
#define SCENE_WALL_S 1800000000 /* when its time is 0 */

/* Which scene a program has: the same tests are linked with each of them. */
struct scene_kind {
	bool evicts;   /* packets of waiting messages leave memory */
	bool converts; /* to another layout, each time that the program is replaced */
};
extern const struct scene_kind SCENE_KIND;

struct shard_scene {
	struct mailbox mailboxes[SCENE_SHARDS_MAX + 1];
	struct node_port *nodes; /* after shard_scene_join_cluster() */
	struct congestion_board boards[SCENE_SHARDS_MAX + 1];
	struct quota quota;
	struct shard shards[SCENE_SHARDS_MAX];
	struct settings settings;
	struct hash_key key;
	struct memory_root root; /* with SCENE_ARENA: where shards have their memory, and what they share */
	struct notes notes;
	struct arena shared;
	struct arena arenas[SCENE_SHARDS_MAX];
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	struct sign_in sign_in; /* a gate's, as are the two that follow */
	struct acl *acl;
	struct sign_in_environment environment;
	bool internal;      /* who comes from now on is one of Roost's own */
	enum error refusal; /* why the last one was not let in */
	_Atomic uint32_t sessions_offline;
	_Atomic uint32_t checkpoints_begun;
	int pairs[SCENE_SHARDS_MAX][2]; /* sockets that were admitted: [0] the gate's end, [1] the shard's */
	_Atomic bool origin_takers[SCENE_SHARDS_MAX + 1];
	uint16_t shard_count;
	uint16_t first_shard_count;   /* as it was made */
	bool is_restored;             /* by shard_scene_crash() */
	struct journal_model journal; /* listens to all shards */
	struct journal_record records[SCENE_SHARDS_MAX];
	struct journal_model second_journal; /* from a checkpoint on */
	struct journal_record second_records[SCENE_SHARDS_MAX];
	struct body_source sources[SCENE_SHARDS_MAX]; /* with SCENE_EVICTS or once it is restored: have what the journal
							 was told */
	bool commits;                                 /* settling makes what was told safe */
	const struct journal_events *events;          /* NULL: JOURNAL_MODEL_EVENTS; from the next restart on */
};

/* With settings that suit tests; change them before the first client comes. Freed by shard_scene_free(). */
struct shard_scene *shard_scene_new(uint16_t shards);
/* The same with ways to sign in and rules. */
struct shard_scene *shard_scene_new_guarded(uint16_t shards, const struct access_settings *access);
/* With a journal whose commits become safe when the test says so, or while the scene settles. */
struct shard_scene *shard_scene_new_with_commits(uint16_t shards);
void shard_scene_free(struct shard_scene *scene);
/* Restarts the scene as one in a cluster: the test is the nodes thread. */
void shard_scene_join_cluster(struct shard_scene *scene);
/* Restarts the scene with such a journal, or without. */
void shard_scene_restart_with_commits(struct shard_scene *scene, bool commits);
/* Shards as new, their index and wakers the same: cheaper than another scene. */
void shard_scene_restart(struct shard_scene *scene);

/* The gate takes the keys, passwords and rules of now, and the time. Shards do so by themselves. */
void shard_scene_refresh(struct shard_scene *scene);
/* What another thread does just before a shard sleeps. NULL: nothing. */
void shard_scene_before_sleep(void (*hook)(void *context), void *context);
/* How long the last turn would have slept at the most, in ms. */
int shard_scene_sleep_ms(void);

/* Time goes on at the next turn. */
void shard_scene_pass_ms(struct shard_scene *scene, uint64_t ms);
/* The same, in which no thread runs. */
void shard_scene_stall_ms(struct shard_scene *scene, uint64_t ms);
/* Sets the wall clock to so many seconds from where it would be. */
void shard_scene_set_wall(int64_t offset_s);
/* One turn of one shard, which never sleeps. False when it has drained. */
bool shard_scene_turn_one(struct shard_scene *scene, uint16_t shard);
/* Turns of all shards, until none has anything to do; then the journal has to say what they are. */
void shard_scene_settle(struct shard_scene *scene);

/* The shard that a client id belongs to. Only clients who keep to that find their sessions after a crash. */
uint16_t shard_scene_of(const struct shard_scene *scene, const char *id);
/* The journal wants a checkpoint, unless one is under way. */
void shard_scene_want_checkpoint(struct shard_scene *scene);

/* All threads stop where they are. A gateway with so many shards starts with what the journal was told, and its journal
 * wants a checkpoint. The clients' connections are lost, what was counted begins with 0, and so does the monotonic
 * clock. False, and nothing happens: the checkpoint of the last start is not over. */
bool shard_scene_crash(struct shard_scene *scene, uint16_t shards);

/* Signs in with these bytes: reads CONNECT as a gate does and hands over the socket and what came behind. Returns the
 * client's end (non-blocking); -1: it was refused. send_bytes: of the server's send buffer; 0: as the system has it. */
int shard_scene_connect(struct shard_scene *scene, uint16_t shard, struct slice bytes, int send_bytes);

/* The shard's clients now. */
uint32_t shard_scene_clients(const struct shard_scene *scene, uint16_t shard);
uint64_t shard_scene_counter(const struct shard_scene *scene, uint16_t shard, enum counter counter);
uint64_t shard_scene_ends(const struct shard_scene *scene, uint16_t shard, enum error reason);
/* When all clients have ended and the scene has settled nothing may be left of them: this checks it. */
void shard_scene_check_empty(const struct shard_scene *scene);

#endif
