#include "control/heritage.h"

#include "access/access.h"
#include "access/addresses.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/layout_root.h"
#include "base/log.h"
#include "control/gateway_state.h"
#include "deliver/resumed.h"
#include "gate/gate.h"
#include "layout/memory_layout.h"
#include "net/fixed_files.h"
#include "shard/freeze/carry.h"
#include "shard/freeze/freeze.h"
#include "shard/loop.h"
#include "state/shard.h"
#include "topics/index/index.h"
#include "topics/retained.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCOPE "gateway"
/* Of the root, of notes, of the store, and what the shards share; listeners. */
#define ARENAS_OTHER 32u

/* What the gateway is, beside its parts. */
struct gateway_note {
	struct hash_key key;
	uint32_t quota_taken; /* of the whole */
	uint32_t sessions_offline;
	uint32_t checkpoints_begun;
	uint16_t shard_count;
	bool private_tables;
	bool tables_refused;
	bool fixed_files;
	bool in_step; /* with revocations that come from elsewhere */
};
LAYOUT_ROOT(gateway_note);
LAYOUT_ROOT(listener);

/* ---- making ---- */

static void heritage_refused(struct gateway *gateway, enum error error)
{
	log_write(LOG_WARNING, "memory cannot outlive the program, so that an upgrade will need a restart: %s",
		  error == ERROR_SYSTEM ? strerror(errno) : error_sentence(error));
	gateway->has_root = false;
}

void heritage_make(struct gateway *gateway)
{
	enum error error = memory_root_open(&gateway->memory.root, memory_layout_hash());
	if (error == ERROR_OK) {
		error = notes_open(&gateway->memory.notes, &gateway->memory.root);
		gateway->has_root = error == ERROR_OK;
		if (error != ERROR_OK)
			memory_root_close(&gateway->memory.root);
	}
	if (error != ERROR_OK)
		heritage_refused(gateway, error);
}

static enum error heritage_arena(struct gateway *gateway, struct arena *arena, const char *name)
{
	return gateway->is_heir ? arena_find(arena, &gateway->memory.root, name)
				: arena_open(arena, &gateway->memory.root, name);
}

void heritage_check_table(struct gateway *gateway)
{
	/* An arena is one more descriptor for each shard. */
	if (!gateway->has_root || gateway->is_heir ||
	    layout_table_to_start(gateway->shard_count) + gateway->shard_count + ARENAS_OTHER <= gateway->layout.table)
		return;
	heritage_refused(gateway, ERROR_NO_DESCRIPTORS);
	notes_close(&gateway->memory.notes);
	memory_root_close(&gateway->memory.root);
}

enum error heritage_open_arenas(struct gateway *gateway)
{
	if (!gateway->has_root)
		return ERROR_OK;
	gateway->arenas = calloc(gateway->shard_count + 1u, sizeof(*gateway->arenas));
	if (gateway->arenas == NULL)
		return ERROR_NO_MEMORY;
	enum error error = heritage_arena(gateway, &gateway->arenas[gateway->shard_count], "shared");
	for (uint16_t i = 0; i < gateway->shard_count && error == ERROR_OK; i++) {
		char name[ROOT_NAME_BYTES];
		snprintf(name, sizeof(name), "shard %u", i);
		error = heritage_arena(gateway, &gateway->arenas[i], name);
	}
	return error;
}

/* ---- saving ---- */

static enum error save_listeners(struct gateway *gateway)
{
	const struct settings *settings = gateway->settings;
	return notes_put(&gateway->memory.notes, SCOPE, "listeners", settings->listeners,
			 settings->listener_count * sizeof(settings->listeners[0]));
}

static enum error save_gates(struct gateway *gateway)
{
	struct counters sum = {0};
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		counters_add(&sum, &gateway->gates[i].counters);
	return notes_put(&gateway->memory.notes, SCOPE, "gates", &sum, sizeof(sum));
}

static enum error save_tickets(struct gateway *gateway)
{
	uint8_t keys[TLS_TICKETS_FILE_BYTES_MAX];
	if (gateway->tls.tickets == NULL)
		return ERROR_OK;
	size_t size = tls_tickets_save(gateway->tls.tickets, keys);
	enum error error = notes_put(&gateway->memory.notes, SCOPE, "tls tickets", keys, size);
	explicit_bzero(keys, sizeof(keys));
	return error;
}

static enum error save_facts(struct gateway *gateway)
{
	struct gateway_note note = {
		.key = gateway->key,
		.quota_taken = atomic_load(&gateway->whole.taken),
		.sessions_offline = atomic_load(&gateway->sessions_offline),
		.checkpoints_begun = atomic_load(&gateway->checkpoints_begun),
		.shard_count = gateway->shard_count,
		.private_tables = gateway->settings->private_tables,
		.tables_refused = gateway->tables_refused,
		.fixed_files = gateway->settings->fixed_files,
		.in_step = !access_is_out_of_step(gateway->access),
	};
	enum error error = notes_put(&gateway->memory.notes, SCOPE, "facts", &note, sizeof(note));
	uint32_t *taken = calloc(gateway->shard_count, sizeof(*taken));
	if (error != ERROR_OK || taken == NULL) {
		free(taken);
		return error != ERROR_OK ? error : ERROR_NO_MEMORY;
	}
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		taken[i] = atomic_load(&gateway->quota[i].taken);
	error = notes_put(&gateway->memory.notes, SCOPE, "quota", taken, gateway->shard_count * sizeof(*taken));
	free(taken);
	return error;
}

static enum error save_parts(struct gateway *gateway)
{
	const struct arena *shared = &gateway->arenas[gateway->shard_count];
	enum error error = index_save(gateway->index, shared);
	if (error == ERROR_OK)
		error = retained_save(gateway->retained, shared);
	if (error == ERROR_OK)
		error = addresses_save(gateway->addresses, shared);
	if (error == ERROR_OK)
		error = access_save(gateway->access, &gateway->memory.notes, SCOPE);
	if (error == ERROR_OK)
		error = resumed_save(gateway->shards, shared);
	for (uint16_t i = 0; i < gateway->shard_count && error == ERROR_OK; i++) {
		error = shard_save_memory(&gateway->shards[i]);
		if (error == ERROR_OK)
			error = carry_save(&gateway->shards[i]);
	}
	return error;
}

bool heritage_save(struct gateway *gateway, char *why, size_t why_size)
{
	if (!gateway->has_root) {
		snprintf(why, why_size, "memory cannot outlive the program here");
		return false;
	}
	if (!access_hold(gateway->access)) {
		snprintf(why, why_size, "clients were revoked at that moment");
		return false;
	}
	notes_clear(&gateway->memory.notes);
	enum error error = storage_save(&gateway->storage);
	if (error == ERROR_OK)
		error = layout_put_notes(&gateway->memory.notes);
	if (error == ERROR_OK)
		error = save_facts(gateway);
	if (error == ERROR_OK)
		error = save_listeners(gateway);
	if (error == ERROR_OK)
		error = save_gates(gateway);
	if (error == ERROR_OK)
		error = save_tickets(gateway);
	if (error == ERROR_OK)
		error = save_parts(gateway);
	if (error != ERROR_OK) {
		snprintf(why, why_size, "what the new program needs cannot be noted: %s", error_sentence(error));
		access_release(gateway->access);
	}
	return error == ERROR_OK;
}

static void keep_descriptor(int fd, bool keep)
{
	CHECK(fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC) == 0);
}

/* In a shared table the sockets are descriptors of this thread, too. */
static void keep_sockets(struct shard *shard, bool keep)
{
	for (uint32_t i = 1; i <= shard->mem.clients.touched; i++) {
		const struct client *client = shard_client(shard, (struct client_ref){i});
		if (client->state == CLIENT_FREE || client->state == CLIENT_OFFLINE ||
		    !stream_exists(client->conn.stream))
			continue;
		int fd = stream_borrow(&shard->mem.io.streams, client->conn.stream);
		if (fd >= 0)
			keep_descriptor(fd, keep);
		stream_give_back(&shard->mem.io.streams, client->conn.stream, fd);
	}
}

void heritage_keep(const struct gateway *gateway, bool keep)
{
	memory_root_keep(&gateway->memory.root, keep);
	storage_keep(&gateway->storage, keep);
	for (uint32_t i = 0; i < gateway->settings->listener_count; i++)
		keep_descriptor(gateway->settings->listeners[i].fd, keep);
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		struct shard *shard = &gateway->shards[i];
		size_t count = freeze_descriptors(shard, NULL);
		int *fds = calloc(count, sizeof(*fds));
		CHECK(fds != NULL);
		freeze_descriptors(shard, fds);
		for (size_t place = 0; place < count; place++)
			keep_descriptor(fds[place], keep);
		free(fds);
		if (!gateway->settings->private_tables)
			keep_sockets(shard, keep);
	}
}

/* ---- adopting ---- */

static enum error heritage_complain(const char *what)
{
	log_write(LOG_ERROR, "what the previous program left cannot be taken over: %s", what);
	return ERROR_NOT_FOUND;
}

/* These are part of what the shards are made of. */
static void keep_settings(struct settings *settings, const struct gateway_note *note)
{
	if (settings->shards != 0 && settings->shards != note->shard_count)
		log_write(LOG_WARNING, "shards stays %u until a restart", note->shard_count);
	if (settings->private_tables != note->private_tables && !note->tables_refused)
		log_write(LOG_WARNING, "private-tables stays %s until a restart", note->private_tables ? "on" : "off");
	if (settings->fixed_files != note->fixed_files && (note->fixed_files || fixed_files_work()))
		log_write(LOG_WARNING, "fixed-files stays %s until a restart", note->fixed_files ? "on" : "off");
	settings->shards = note->shard_count;
	settings->private_tables = note->private_tables;
	settings->fixed_files = note->fixed_files;
}

static enum error adopt_listeners(struct gateway *gateway)
{
	const void *listeners;
	uint32_t count;
	if (!notes_get_array(&gateway->memory.notes, SCOPE, "listeners", sizeof(struct listener), &listeners, &count) ||
	    count > SETTINGS_LISTENERS_MAX)
		return heritage_complain("its listeners");
	memcpy(gateway->inherited, listeners, count * sizeof(gateway->inherited[0]));
	gateway->inherited_count = count;
	return ERROR_OK;
}

/* Memory of another layout is converted. */
static enum error adopt_memory(struct gateway *gateway, int root_fd)
{
	char sentence[256];
	uint64_t from_ns = clock_now_ns();
	if (layout_adopt(&gateway->memory, root_fd, sentence, sizeof(sentence)) != ERROR_OK)
		return heritage_complain(sentence);
	if (gateway->memory.is_converted) {
		gateway->converted_ns = clock_now_ns() - from_ns;
		snprintf(gateway->converted, sizeof(gateway->converted), "%.127s", sentence);
	}
	return ERROR_OK;
}

enum error heritage_adopt(struct gateway *gateway, struct settings *settings, int root_fd)
{
	struct gateway_note note;
	if (adopt_memory(gateway, root_fd) != ERROR_OK)
		return ERROR_NOT_FOUND;
	if (!notes_get_exact(&gateway->memory.notes, SCOPE, "facts", &note, sizeof(note)) || note.shard_count == 0)
		return heritage_complain("the facts of its gateway");
	gateway->has_root = true;
	gateway->is_heir = true;
	gateway->key = note.key;
	gateway->tables_refused = note.tables_refused;
	atomic_init(&gateway->whole.taken, note.quota_taken);
	atomic_init(&gateway->sessions_offline, note.sessions_offline);
	atomic_init(&gateway->checkpoints_begun, note.checkpoints_begun);
	gateway->was_in_step = note.in_step;
	keep_settings(settings, &note);
	return adopt_listeners(gateway);
}

static enum error adopt_quota(struct gateway *gateway)
{
	const void *items;
	uint32_t count;
	if (!notes_get_array(&gateway->memory.notes, SCOPE, "quota", sizeof(uint32_t), &items, &count) ||
	    count != gateway->shard_count)
		return heritage_complain("places of its clients");
	const uint32_t *taken = items;
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		atomic_store(&gateway->quota[i].taken, taken[i]);
	return ERROR_OK;
}

static void adopt_tickets(struct gateway *gateway)
{
	struct slice keys;
	if (gateway->tls.tickets == NULL || !notes_get(&gateway->memory.notes, SCOPE, "tls tickets", &keys))
		return;
	/* Keys that are no good any more are nobody's loss: clients shake hands in full. */
	enum error error = tls_tickets_load(gateway->tls.tickets, keys, (int64_t)time(NULL));
	if (error != ERROR_OK)
		log_write(LOG_INFO, "keys of session tickets are not taken over: %s", error_sentence(error));
}

enum error heritage_adopt_parts(struct gateway *gateway)
{
	if (!gateway->is_heir)
		return ERROR_OK;
	enum error error = adopt_quota(gateway);
	for (uint16_t i = 0; i < gateway->shard_count && error == ERROR_OK; i++) {
		error = carry_adopt(&gateway->shards[i]);
		if (error != ERROR_OK)
			heritage_complain(error == ERROR_SYSTEM ? strerror(errno) : "the state of a shard's loop");
	}
	if (error != ERROR_OK)
		return error;
	if (resumed_adopt(gateway->shards, gateway->shard_count, &gateway->arenas[gateway->shard_count]) != ERROR_OK)
		return heritage_complain("what publishers may send again");
	if (access_restore(gateway->access, &gateway->memory.notes, SCOPE, (int64_t)time(NULL)) != ERROR_OK)
		return heritage_complain("its revocations");
	access_set_in_step(gateway->access, gateway->was_in_step);
	if (!notes_get_exact(&gateway->memory.notes, SCOPE, "gates", &gateway->gates[0].counters,
			     sizeof(struct counters)))
		return heritage_complain("the counters of its gates");
	gate_go_on_from_counters(&gateway->gates[0]);
	adopt_tickets(gateway);
	return ERROR_OK;
}

void heritage_settle(struct gateway *gateway)
{
	if (!gateway->is_heir)
		return;
	for (uint32_t i = 0; i < gateway->inherited_count; i++) {
		struct listener *listener = &gateway->inherited[i];
		if (listener->fd < 0)
			continue;
		log_write(LOG_INFO, "%s is no longer configured, and closed", listener->url);
		listener_close(listener);
		listener_unlink(listener);
	}
	gateway->inherited_count = 0;
	if (gateway->converted[0] != '\0')
		log_write(LOG_INFO, "memory of another layout was converted in %.1f ms, %s first",
			  (double)gateway->converted_ns / 1e6, gateway->converted);
	layout_adoption_finish(&gateway->memory);
	notes_clear(&gateway->memory.notes);
}

void heritage_close(struct gateway *gateway)
{
	if (!gateway->has_root)
		return;
	free(gateway->arenas);
	notes_close(&gateway->memory.notes);
	memory_root_close(&gateway->memory.root);
}
