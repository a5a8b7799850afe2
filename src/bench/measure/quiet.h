/* When what is still missing is lost: not before nothing has come for a while and, since then, every client has twice
 * had a PINGREQ answered. The server handles a client's packets in their order. So the first round of answers says that
 * it has read all that was sent, and the second that all it had for the receivers stands before their PINGRESP.
 *
 * Silence alone says nothing: on a busy machine the server, or the bench itself, may not have run at all. So silence
 * counts only as far as the bench was there to hear it, and a server that answers no PINGREQ has a long time to.
 *
 * Pure; owned by one thread, which looks now and then and sends the pings that it is asked for. */
#ifndef BENCH_QUIET_H
#define BENCH_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* Quiet for so long, unless a test wants to know at once. */
#define QUIET_MS 2000u

enum quiet_advice {
	QUIET_WAIT,  /* look again */
	QUIET_PROBE, /* send a PINGREQ to every client, and look again */
	QUIET_OVER,  /* what has not come is lost */
};

/* Begun by quiet_begin(). */
struct quiet {
	uint64_t quiet_ns;
	uint64_t progress;
	uint64_t looked_ns;
	uint64_t silence_ns; /* since the last progress, as far as it was heard */
	uint32_t rounds;     /* of answers since then */
	bool probing;        /* a round is under way */
	bool tainted;        /* something came in it */
};

struct quiet quiet_begin(uint32_t quiet_ms, uint64_t progress, uint64_t now_ns);

/* progress: a number that changes with whatever comes. answered: no PINGREQ of a round that was asked for is without
 * its answer; it must have been read before progress was. */
enum quiet_advice quiet_look(struct quiet *quiet, uint64_t progress, bool answered, uint64_t now_ns);

#endif
