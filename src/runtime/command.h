/* What another thread, the admin side's, asks of a shard: to be carried out by the shard's thread between two parts of
 * its turn, because a shard's clients are its own alone. A bounded queue for each shard; the work of each command is
 * bounded, and a shard carries out only some in a turn.
 *
 * Whoever asks owns the command and all that it points to, and waits until it is done. It never waits while a lock is
 * held, and a shard never waits at all: the lock is held to push or to pop. */
#ifndef RUNTIME_COMMAND_H
#define RUNTIME_COMMAND_H

#include "base/error.h"
#include "reactor/waker.h"

#include <pthread.h>
#include <stdint.h>

#define COMMANDS_PER_TURN 4u
#define COMMANDS_WAITING_MAX 64u

struct command_list;
struct command_client;
struct command_publish;

enum command_kind {
	COMMAND_LIST,        /* some of the shard's clients (shard/command_clients.h) */
	COMMAND_INSPECT,     /* one of them, in all detail */
	COMMAND_DISCONNECT,  /* ends its connection */
	COMMAND_END_SESSION, /* ends its session, with its connection if there is one */
	COMMAND_PUBLISH,     /* messages (shard/command_publish.h) */
};

enum command_state {
	COMMAND_WAITING, /* in the queue -> RUNNING; or out of it, when its time is over */
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
	/* Of the queue. */
	struct command *next;
	enum command_state state;
	enum error result;
};

struct commands {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct command *first;
	struct command **end;
	bool refusing; /* the shard's thread has ended */
	_Atomic uint32_t count;
};

void commands_open(struct commands *commands);
void commands_close(struct commands *commands);

/* Hands the command to the shard that sleeps on this waker, and waits. ERROR_LIMIT: too many wait already;
 * ERROR_TIMEOUT: it was not its turn within timeout_ms, and will not be; ERROR_SERVER_STOPPING; otherwise what came of
 * it. Any thread but a shard's. */
enum error command_do(struct command *command, struct commands *commands, struct waker *waker, uint32_t timeout_ms);

/* Whether there is something to carry out. By the shard's thread, as the rest. */
static inline bool commands_waiting(const struct commands *commands)
{
	return atomic_load_explicit(&commands->count, memory_order_acquire) != 0;
}

/* The next one, now RUNNING, to be given back with its result by commands_finish(); NULL: none waits. */
struct command *commands_take(struct commands *commands);
void commands_finish(struct commands *commands, struct command *command, enum error result);
/* From now on none is carried out. */
void commands_refuse(struct commands *commands);

#endif
