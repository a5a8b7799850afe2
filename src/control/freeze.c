/* Freezes a gateway and thaws it: its threads end, and others go on with its clients. In this order:
 *
 * 1. The shards move their clients' sockets to where they outlive a thread, while they serve them.
 * 2. The gates take no more connections, which wait in the kernel's queues, and let in those that they have.
 * 3. The shards read no clients any more, and finish what is in transit between them. Clients wait from here on.
 * 4. When nothing is, the guest leaves (control/gateway.h), and their threads end, one after the other; the main thread
 * takes their descriptors first.
 * 5. The store writes and syncs what was told last, and its threads end.
 *
 * Every wait has a limit. Where one is over, all is taken back, and the gateway serves on. */
#include "shard/freeze/freeze.h"
#include "access/access.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/gateway.h"
#include "control/gateway_state.h"
#include "control/heritage.h"
#include "gate/gate.h"
#include "reactor/poller.h"
#include "shard/loop.h"
#include "state/shard.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* A million sockets are moved in a second or two. */
#define PREPARE_MS_MAX 30000u
/* Strangers have so long to finish their handshakes. */
#define GATES_MS_MAX 2000u
/* Clients wait meanwhile. */
#define QUIET_MS_MAX 500u
#define FROZEN_MS_MAX 500u
#define LOOK_NAP_NS 50000

/* What is left to be written when clients wait is little. */
#define STORE_MS_MAX 500u
/* Before, while they are served, it may catch up with what is behind. */
#define HURRY_MS_MAX 2000u

static void freeze_nap(void)
{
	static const struct timespec nap = {.tv_nsec = LOOK_NAP_NS};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

static bool is_late(uint64_t from_ns, uint32_t most_ms)
{
	return clock_now_ns() - from_ns > (uint64_t)most_ms * 1000000u;
}

static void ask_all(struct gateway *gateway, enum shard_halt halt)
{
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		freeze_ask(&gateway->shards[i], halt);
}

/* ---- the steps ---- */

/* What would end an attempt in any case is found before anything has happened. */
static bool may_freeze(const struct gateway *gateway, struct gateway_frozen *report)
{
	bool has_tables = false;
	if (!poller_outlives_descriptors()) {
		snprintf(report->why, sizeof(report->why),
			 "this build waits for clients by poll(2), and what it knows of them ends with it");
		return false;
	}
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		has_tables = has_tables || gateway->shards[i].loop.table == FDTABLE_PRIVATE;
	if (!has_tables || freeze_can_take_descriptors())
		return true;
	snprintf(report->why, sizeof(report->why),
		 "sockets cannot be taken out of the shards' own descriptor tables (%s): that needs Linux 6.9 and "
		 "pidfd_getfd(2), or --no-private-tables",
		 strerror(errno));
	return false;
}

static bool prepare_shards(struct gateway *gateway, struct gateway_frozen *report)
{
	ask_all(gateway, SHARD_PREPARES);
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		while (!freeze_is_prepared(&gateway->shards[i])) {
			uint64_t immovable = freeze_immovable(&gateway->shards[i]);
			if (immovable != 0) {
				snprintf(report->why, sizeof(report->why),
					 "shard %u has no place outside of its descriptor table for %lu sockets; it "
					 "has with "
					 "io_uring, and needs none with --no-private-tables",
					 i, immovable);
				return false;
			}
			if (is_late(report->asked_ns, PREPARE_MS_MAX)) {
				snprintf(report->why, sizeof(report->why),
					 "shard %u has not moved its clients' sockets within %u s", i,
					 PREPARE_MS_MAX / 1000);
				return false;
			}
			freeze_nap();
		}
	}
	return true;
}

static bool gates_rest(const struct gateway *gateway)
{
	for (uint16_t i = 0; i < gateway->gate_count; i++) {
		if (!gate_is_at_rest(&gateway->gates[i]))
			return false;
	}
	return true;
}

static void end_gates(struct gateway *gateway, struct gateway_frozen *report)
{
	uint64_t from_ns = clock_now_ns();
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gate_rest(&gateway->gates[i]);
	while (!gates_rest(gateway) && !is_late(from_ns, GATES_MS_MAX))
		freeze_nap();
	for (uint16_t i = 0; i < gateway->gate_count; i++) {
		if (gate_is_at_rest(&gateway->gates[i]))
			continue;
		report->closed += gate_handshakes_left(&gateway->gates[i]);
		gate_stop(&gateway->gates[i]);
	}
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		pthread_join(gateway->gates[i].thread, NULL);
}

/* All are quiet, twice in a row, and nothing has moved in between: then nothing is on its way from one that was quiet
 * too late to one that was asked too early. */
static const char *unquiet_shard(const struct gateway *gateway, uint64_t *activity)
{
	*activity = 0;
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		const char *unquiet = freeze_unquiet(&gateway->shards[i]);
		if (unquiet != NULL)
			return unquiet;
		*activity += freeze_activity(&gateway->shards[i]);
	}
	return NULL;
}

static bool quieten_shards(struct gateway *gateway, struct gateway_frozen *report)
{
	uint64_t before = 0;
	uint64_t now = 0;
	bool once = false;
	if (report->quiet_from_ns == 0)
		report->quiet_from_ns = clock_now_ns();
	ask_all(gateway, SHARD_QUIETENS);
	for (;;) {
		const char *unquiet = unquiet_shard(gateway, &now);
		if (unquiet == NULL && once && now == before) {
			report->quiet_ns = clock_now_ns();
			return true;
		}
		once = unquiet == NULL;
		before = now;
		if (unquiet != NULL) {
			if (is_late(report->quiet_from_ns, QUIET_MS_MAX)) {
				snprintf(report->why, sizeof(report->why), "after %u ms there are still %s",
					 QUIET_MS_MAX, unquiet);
				return false;
			}
			freeze_nap();
		}
	}
}

static bool end_shards(struct gateway *gateway, struct gateway_frozen *report)
{
	uint64_t from_ns = clock_now_ns();
	ask_all(gateway, SHARD_FREEZES);
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		while (!freeze_is_frozen(&gateway->shards[i])) {
			if (is_late(from_ns, FROZEN_MS_MAX)) {
				snprintf(report->why, sizeof(report->why), "shard %u does not come to rest", i);
				return false;
			}
			freeze_nap();
		}
	}
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		struct shard *shard = &gateway->shards[i];
		if (freeze_take_descriptors(shard) != ERROR_OK) {
			snprintf(report->why, sizeof(report->why), "the descriptors of shard %u cannot be taken: %s", i,
				 strerror(errno));
			return false;
		}
		pthread_join(shard->loop.thread, NULL);
	}
	report->frozen_ns = clock_now_ns();
	return true;
}

static bool hurry_storage(struct gateway *gateway, struct gateway_frozen *report)
{
	struct store_refusal refusal;
	if (storage_hurry(&gateway->storage, HURRY_MS_MAX, &refusal))
		return true;
	snprintf(report->why, sizeof(report->why), "%s", refusal.why);
	return false;
}

static bool pause_storage(struct gateway *gateway, struct gateway_frozen *report)
{
	struct store_refusal refusal;
	if (storage_pause(&gateway->storage, STORE_MS_MAX, &refusal))
		return true;
	snprintf(report->why, sizeof(report->why), "%s", refusal.why);
	return false;
}

/* ---- going on ---- */

/* Those whose threads have ended get new ones, the others go on as they were. */
static enum error resume_shards(struct gateway *gateway)
{
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		struct shard *shard = &gateway->shards[i];
		if (!shard->shared.freeze.resumes) {
			freeze_give_up(shard);
			continue;
		}
		freeze_ask(shard, SHARD_RUNS);
		if (shard_start(shard) != ERROR_OK ||
		    gateway_await_start(&shard->shared.started, &shard->shared.failed) != ERROR_OK)
			return ERROR_SYSTEM;
		freeze_close_copies(shard);
	}
	return ERROR_OK;
}

static enum error resume_gates(struct gateway *gateway)
{
	for (uint16_t i = 0; i < gateway->gate_count; i++) {
		struct gate *gate = &gateway->gates[i];
		if (gate_start(gate) != ERROR_OK || gateway_await_start(&gate->started, &gate->failed) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	return ERROR_OK;
}

/* It may have sent something at the last moment: all have to be quiet once more. */
static bool end_guest(struct gateway *gateway, const struct gateway_guest *guest, struct gateway_frozen *report)
{
	if (guest == NULL)
		return true;
	guest->leave(guest->context);
	return quieten_shards(gateway, report);
}

bool gateway_freeze(struct gateway *gateway, const struct gateway_guest *guest, struct gateway_frozen *report)
{
	*report = (struct gateway_frozen){.asked_ns = clock_now_ns()};
	if (!may_freeze(gateway, report))
		return false;
	if (!prepare_shards(gateway, report)) {
		ask_all(gateway, SHARD_RUNS);
		return false;
	}
	end_gates(gateway, report);
	if (hurry_storage(gateway, report) && quieten_shards(gateway, report) && end_guest(gateway, guest, report) &&
	    end_shards(gateway, report) && pause_storage(gateway, report)) {
		report->stored_ns = clock_now_ns();
		return true;
	}
	if (!gateway_thaw(gateway))
		abort(); /* half of it stands still: better a restart by whoever watches the process */
	return false;
}

bool gateway_thaw(struct gateway *gateway)
{
	if (storage_go_on(&gateway->storage, gateway->mailboxes) == ERROR_OK && resume_shards(gateway) == ERROR_OK &&
	    resume_gates(gateway) == ERROR_OK)
		return true;
	log_write(LOG_ERROR, "cannot start the threads again: %s", strerror(errno));
	return false;
}

bool gateway_may_follow(const struct gateway *gateway, const char *storage, struct store_refusal *refusal)
{
	return storage_may_follow(&gateway->storage, storage, refusal);
}

bool gateway_leave(struct gateway *gateway, int *root_fd, char *why, size_t why_size)
{
	if (!heritage_save(gateway, why, why_size))
		return false;
	heritage_keep(gateway, true);
	*root_fd = gateway->memory.root.fd;
	return true;
}

struct notes *gateway_notes(struct gateway *gateway)
{
	return &gateway->memory.notes;
}

void gateway_stay(struct gateway *gateway)
{
	heritage_keep(gateway, false);
	access_release(gateway->access);
	notes_clear(&gateway->memory.notes);
}
