/* A play: steps of some clients on two shards, with what a kernel may do to them (faults.h), checked against the model
 * (model.h) and client by client (fuzz/client_actor.h). It comes from a seed, and is plain data: what fails can be
 * played again with fewer steps, clients and kinds of faults. A play that fails aborts. */
#ifndef TESTS_SIM_PLAY_H
#define TESTS_SIM_PLAY_H

#include "faults.h"

#define PLAY_STEPS_MAX 600u

enum step_kind {
	STEP_CONNECT, /* also where the client is connected: the new connection takes over */
	STEP_DISCONNECT,
	STEP_DROP,
	STEP_END_OUTPUT, /* shutdown() of the client's half */
	STEP_SUBSCRIBE,
	STEP_UNSUBSCRIBE,
	STEP_PUBLISH,
	STEP_READ,
	STEP_ANSWER, /* acknowledgements */
	STEP_TURN,
	STEP_PASS, /* time */
	STEP_SETTLE,
	STEP_CHECKPOINT, /* the journal wants one */
	STEP_CRASH,      /* the gateway starts again, with so many shards as it may be */
	STEP_KINDS,
};

/* What a step does beside its kind follows from its bits alone, and so do the faults in it: without its neighbours it
 * is the same step. */
struct step {
	uint8_t kind; /* enum step_kind */
	uint8_t client;
	uint16_t place; /* in the play as it was made */
	uint32_t bits;
};

struct play {
	uint64_t seed;
	unsigned faults;    /* kinds, enum fault_kind */
	uint32_t rarity;    /* one in so many calls */
	uint32_t clients;   /* those from there on do nothing */
	bool small_buffers; /* the server's send buffers */
	bool tight;         /* short queues: what they drop is counted */
	bool hasty;         /* a shard that lags holds publishers back */
	bool impatient;     /* whoever does not read is soon ended */
	bool commits;       /* what is told becomes safe later */
	uint32_t step_count;
	struct step steps[PLAY_STEPS_MAX];
};

/* What happens around everything that the server does: memory is refused there (failing_memory.h), say. Zeroed:
 * nothing. */
struct play_hooks {
	bool memory_fails;
	void (*begin)(void);
	void (*end)(void);
	void (*finish)(void); /* from here on there is memory */
};

/* The play of a seed, of so many steps. */
void play_make(struct play *play, uint64_t seed, uint32_t steps);
/* Plays it. Aborts where the server does what it may not do. */
void play_run(const struct play *play, const struct play_hooks *hooks);
/* How often packets that had left memory were read again, in all plays of this process. */
uint64_t play_loads(void);
/* The scene that plays share, if there is one. */
void play_close(void);
/* In words. */
void play_print(const struct play *play);

#endif
