#include "reactor/wheel.h"

#define WHEEL_HEAD 0x80000000u
_Static_assert((WHEEL_SLOTS & (WHEEL_SLOTS - 1)) == 0, "a slot is the low bits of a tick");
_Static_assert(WHEEL_SLOTS <= WHEEL_HEAD, "a slot's number fits beside WHEEL_HEAD");

static struct wheel_node *wheel_node_at(const struct wheel *wheel, uint32_t index)
{
	return (struct wheel_node *)(void *)((uint8_t *)pool_at(wheel->pool, index) + wheel->node_offset);
}

void wheel_init(struct wheel *wheel, const struct pool *pool, uint32_t node_offset, uint64_t now_ms)
{
	CHECK_LT(pool->limit, WHEEL_HEAD);
	CHECK_LE(node_offset + sizeof(struct wheel_node), pool->object_bytes);
	*wheel = (struct wheel){.pool = pool, .node_offset = node_offset, .tick = now_ms / WHEEL_TICK_MS};
}

void wheel_add(struct wheel *wheel, uint32_t index, uint64_t deadline_ms)
{
	/* Rounded up, so that no object is visited early. Kept between the current tick and the horizon, so that none
	 * is put into a slot of another round. */
	uint64_t tick = deadline_ms / WHEEL_TICK_MS + 1;
	if (tick < wheel->tick)
		tick = wheel->tick;
	if (tick >= wheel->tick + WHEEL_SLOTS)
		tick = wheel->tick + WHEEL_SLOTS - 1;

	uint32_t slot = (uint32_t)(tick % WHEEL_SLOTS);
	struct wheel_node *node = wheel_node_at(wheel, index);
	CHECK(node->previous == 0);
	*node = (struct wheel_node){.next = wheel->heads[slot], .previous = slot | WHEEL_HEAD};
	if (node->next != 0)
		wheel_node_at(wheel, node->next)->previous = index;
	wheel->heads[slot] = index;
	wheel->filed++;
}

static void wheel_unlink_first(struct wheel *wheel, uint32_t slot, uint32_t index, uint32_t next)
{
	CHECK_LT(slot, WHEEL_SLOTS);
	CHECK_EQ(wheel->heads[slot], index);
	wheel->heads[slot] = next;
}

void wheel_remove(struct wheel *wheel, uint32_t index)
{
	struct wheel_node *node = wheel_node_at(wheel, index);
	if (node->previous == 0)
		return;
	if (node->previous & WHEEL_HEAD)
		wheel_unlink_first(wheel, node->previous & ~WHEEL_HEAD, index, node->next);
	else
		wheel_node_at(wheel, node->previous)->next = node->next;
	if (node->next != 0)
		wheel_node_at(wheel, node->next)->previous = node->previous;
	*node = (struct wheel_node){0};
	CHECK_GT(wheel->filed, 0);
	wheel->filed--;
}

static bool is_filed(const struct wheel *wheel, uint32_t index)
{
	return wheel_node_at(wheel, index)->previous != 0;
}

bool wheel_turn(struct wheel *wheel, uint64_t now_ms, uint32_t budget, wheel_visit *visit, void *context)
{
	uint64_t now_tick = now_ms / WHEEL_TICK_MS;
	while (wheel->tick <= now_tick) {
		uint32_t slot = (uint32_t)(wheel->tick % WHEEL_SLOTS);
		while (wheel->heads[slot] != 0) {
			if (budget-- == 0)
				return true;
			uint32_t index = wheel->heads[slot];
			wheel_remove(wheel, index);
			uint64_t deadline_ms = visit(context, index, now_ms);
			if (deadline_ms <= now_ms || deadline_ms == WHEEL_NEVER)
				continue;
			if (is_filed(wheel, index)) { /* by the callback; which deadline is sooner is not known */
				wheel_remove(wheel, index);
				deadline_ms = now_ms;
			}
			wheel_add(wheel, index, deadline_ms);
		}
		wheel->tick++;
	}
	return false;
}

uint32_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms, uint32_t limit_ms)
{
	if (wheel->filed == 0)
		return limit_ms;
	for (uint32_t ahead = 0; ahead < WHEEL_SLOTS; ahead++) {
		uint64_t due_ms = (wheel->tick + ahead) * WHEEL_TICK_MS;
		if (due_ms > now_ms + limit_ms)
			return limit_ms;
		if (wheel->heads[(wheel->tick + ahead) % WHEEL_SLOTS] != 0)
			return due_ms > now_ms ? (uint32_t)(due_ms - now_ms) : 0;
	}
	return limit_ms;
}
