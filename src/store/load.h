/* Bodies that are in the store alone, as a shard asks for them and gets them (session/messages.h,
 * deliver/bodies/bodies.h). */
#ifndef STORE_LOAD_H
#define STORE_LOAD_H

#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_LOAD_MAX 64u
struct store_body {
	struct message_ref message;
	uint32_t packet_bytes; /* as asked for */
	uint8_t *packet; /* malloc()ed, the receiver's; NULL: it could not be read, which was logged and counted */
	bool later;      /* NULL, for want of memory, of descriptors or of a device that reads: it was tried for some
			  * seconds, and has to be asked for again */
};
/* Bodies that a client needs, asked for together and answered together. malloc()ed. */
struct store_load {
	struct store_load *next;
	struct client_ref client; /* the asker's own, with its generation */
	uint32_t generation;
	uint32_t count;
	/* The reader's own: which bodies are not read yet, how often that failed, and when it is tried again. */
	uint64_t missing;
	uint64_t retry_at_ns;
	uint16_t shard;
	uint16_t tries;
	struct store_body bodies[STORE_LOAD_MAX];
};

/* Where a shard asks, by its thread. context: STORE_MESSAGE_SOURCE's is the struct store_shard. */
struct message_source {
	/* Asks for the bodies of messages whose `kept` is safe, which the caller keeps a reference to until the answer.
	 * Takes the load over. */
	void (*load)(void *context, struct store_load **load);
	/* A load that is answered, first asked first; NULL: none. The shard was woken for it. */
	struct store_load *(*loaded)(void *context);
};

#endif
