#include "reactor/pause.h"

#include "base/check.h"

#include <sodium.h>

_Static_assert(PAUSE_MS_LEAST * 2 < PAUSE_MS_MAX, "pauses grow");

void pause_clear(struct pause *pause)
{
	*pause = (struct pause){.next_ms = PAUSE_MS_LEAST};
}

void pause_begin(struct pause *pause, uint64_t now_ms)
{
	uint32_t half_ms = pause->next_ms / 2;
	CHECK(pause->next_ms >= PAUSE_MS_LEAST && pause->next_ms <= PAUSE_MS_MAX);
	pause->until_ms = now_ms + half_ms + randombytes_uniform(half_ms + 1);
	pause->next_ms = pause->next_ms < PAUSE_MS_MAX / 2 ? pause->next_ms * 2 : PAUSE_MS_MAX;
}
