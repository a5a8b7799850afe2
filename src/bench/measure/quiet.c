#include "bench/measure/quiet.h"

#include "base/check.h"

#define ROUNDS_NEEDED 2u
/* More time than this between two looks is the bench's own absence, not the server's silence. */
#define LOOK_NS_MAX 100000000u
/* A server that is silent for this long, with a PINGREQ unanswered, is stuck. */
#define STUCK_NS 20000000000u

struct quiet quiet_begin(uint32_t quiet_ms, uint64_t progress, uint64_t now_ns)
{
	return (struct quiet){.quiet_ns = quiet_ms * 1000000ull, .progress = progress, .looked_ns = now_ns};
}

enum quiet_advice quiet_look(struct quiet *quiet, uint64_t progress, bool answered, uint64_t now_ns)
{
	CHECK(now_ns >= quiet->looked_ns);
	uint64_t passed = now_ns - quiet->looked_ns;
	bool is_new = progress != quiet->progress;
	quiet->looked_ns = now_ns;
	quiet->progress = progress;
	quiet->silence_ns = is_new ? 0 : quiet->silence_ns + (passed < LOOK_NS_MAX ? passed : LOOK_NS_MAX);
	if (quiet->probing && !answered) {
		/* Something arrived in this round, and more may be behind it: the round does not count. */
		quiet->rounds = is_new ? 0 : quiet->rounds;
		quiet->tainted = quiet->tainted || is_new;
		return quiet->silence_ns >= STUCK_NS ? QUIET_OVER : QUIET_WAIT;
	}
	if (quiet->probing)
		quiet->rounds = is_new || quiet->tainted ? 0 : quiet->rounds + 1;
	else if (is_new)
		quiet->rounds = 0;
	quiet->probing = quiet->tainted = false;
	CHECK(quiet->rounds <= ROUNDS_NEEDED);
	if (quiet->silence_ns < quiet->quiet_ns)
		return QUIET_WAIT;
	if (quiet->rounds == ROUNDS_NEEDED)
		return QUIET_OVER;
	quiet->probing = true;
	return QUIET_PROBE;
}
