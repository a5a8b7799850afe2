/* Decides when a missing message is lost: nothing has arrived for a while, and since then every client has had two
 * PINGREQ answered. A server handles the packets of a client in order. So when the first round is answered, it has read
 * all that was sent; when the second is answered, all that it had for the receivers came before their PINGRESP.
 *
 * Silence alone proves nothing: on a busy machine the server, or the bench itself, may not have run at all. So only
 * silence that the bench was there to hear counts, and a server with an unanswered PINGREQ gets much more time.
 *
 * Pure; owned by one thread, which looks now and then and sends the pings that are asked for. */
#ifndef BENCH_QUIET_H
#define BENCH_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* How long it must be quiet. Tests use 0, so that the pings alone decide. */
#define QUIET_MS 2000u

enum quiet_advice {
	QUIET_WAIT,  /* look again */
	QUIET_PROBE, /* send a PINGREQ to every client, and look again */
	QUIET_OVER,  /* what has not arrived is lost */
};

/* Begun by quiet_begin(). */
struct quiet {
	uint64_t quiet_ns;
	uint64_t progress;
	uint64_t looked_ns;
	uint64_t silence_ns; /* since the last progress, as far as the bench was there */
	uint32_t rounds;     /* of answers since then */
	bool probing;        /* a round is under way */
	bool tainted;        /* something arrived during it */
};

struct quiet quiet_begin(uint32_t quiet_ms, uint64_t progress, uint64_t now_ns);

/* progress is a number that changes with whatever arrives. answered: every PINGREQ of the last round has its answer;
 * read it before progress. */
enum quiet_advice quiet_look(struct quiet *quiet, uint64_t progress, bool answered, uint64_t now_ns);

#endif
