/* Commands from other threads (the admin API's) to a shard. The shard's thread carries them out between two parts of
 * its turn, because only it may touch its clients. Each shard has a bounded queue, the work of each command is bounded,
 * and a shard carries out only a few per turn.
 *
 * The caller owns the command and everything it points to, and blocks until it is done. The queue's lock is held only
 * to push or pop, so a shard never waits for long. */
#ifndef RUNTIME_COMMAND_H
#define RUNTIME_COMMAND_H

#include "base/error.h"
#include "reactor/waker.h"

#include <pthread.h>
#include <stdint.h>

#define COMMANDS_PER_TURN 4u
#define COMMANDS_WAITING_MAX 64u
_Static_assert(COMMANDS_PER_TURN <= COMMANDS_WAITING_MAX, "a turn takes no more than can wait");

struct command_list;
struct command_client;
struct command_publish;

enum command_kind {
	COMMAND_LIST,        /* some of the shard's clients (shard/command_clients.h) */
	COMMAND_INSPECT,     /* one of them, in full detail */
	COMMAND_DISCONNECT,  /* ends its connection */
	COMMAND_END_SESSION, /* ends its session and, if there is one, its connection */
	COMMAND_PUBLISH,     /* publishes messages (shard/command_publish.h) */
};

enum command_state {
	COMMAND_WAITING, /* in the queue -> RUNNING; on a timeout it leaves the queue */
	COMMAND_RUNNING, /* -> DONE */
	COMMAND_DONE,
};

struct command {
	enum command_kind kind;
	union {
		struct command_list *list;
		struct command_client *client;
		struct command_publish *publish;
	};
	/* Used by the queue, under its lock. */
	struct command *next;
	enum command_state state;
	enum error result;
};

struct commands {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct command *first;
	struct command **end;
	bool refusing; /* the shard's thread ends */
	_Atomic uint32_t count;
};

void commands_open(struct commands *commands);
void commands_close(struct commands *commands);

/* Hands the command to the shard that sleeps on this waker, and waits. ERROR_LIMIT: too many commands wait already.
 * ERROR_TIMEOUT: the shard did not begin it within timeout_ms, and will not. ERROR_SERVER_STOPPING. Otherwise the
 * command's own result. Any thread except a shard's. */
enum error command_do(struct command *command, struct commands *commands, struct waker *waker, uint32_t timeout_ms);

/* Whether a command waits. This and the rest: shard's thread only. */
static inline bool commands_waiting(const struct commands *commands)
{
	return atomic_load_explicit(&commands->count, memory_order_acquire) != 0;
}

/* Takes the next command, which is then RUNNING and must be passed to commands_finish(). NULL: none waits. */
struct command *commands_take(struct commands *commands);
void commands_finish(struct commands *commands, struct command *command, enum error result);
/* Refuses those that wait and all that come. */
void commands_refuse(struct commands *commands);

#endif
