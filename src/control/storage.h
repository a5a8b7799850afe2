/* The gateway's store (store/store.h): opened before the shards are made, read into them before they start, and
 * stopped after they have ended. Main thread, unless a function says otherwise. */
#ifndef CONTROL_STORAGE_H
#define CONTROL_STORAGE_H

#include "base/error.h"
#include "memory/arena.h"
#include "store/format/disk.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct hash_key;
struct mailbox;
struct memory_root;
struct shard;
struct shard_environment;
struct store_options;

struct storage {
	struct store *store; /* NULL: none is configured */
	struct disk disk;
	struct arena arena; /* of what outlives the program; root NULL: nothing does */
	const struct store_options *options;
	struct waker **wakers; /* of the shards */
	uint16_t shard_count;
	bool is_followed; /* a replica may read the log as it is written; to be set before it is opened */
	bool is_adopted;  /* it is still the program's before */
};

/* Opens the store in the directory of the options, which must outlive the storage, and locks it for this process. Does
 * nothing where there is none. root: where what outlives the program lies; NULL: nothing does. ERROR_SYSTEM,
 * ERROR_NO_MEMORY: after logging a sentence for the operator. */
enum error storage_open(struct storage *storage, const struct store_options *options, uint16_t shard_count,
			struct memory_root *root);
/* The key of client id hashes that the store was made with. */
struct hash_key storage_key(const struct storage *storage);
/* Makes the store the shard's journal. Before shard_open(). */
void storage_attach(const struct storage *storage, struct shard_environment *environment);
/* Reads the log and fills the shards, which are open and do not run yet. Logs what was found. ERROR_SYSTEM,
 * ERROR_LIMIT, ERROR_NO_MEMORY: after logging why the gateway must not start. */
enum error storage_recover(struct storage *storage, struct shard *shards, const struct hash_key *key,
			   store_progress progress, void *context);
/* Begins to write. Before the first turn of a shard. */
enum error storage_start(struct storage *storage, struct mailbox *mailboxes);
/* Logs what an acknowledgement promises. */
void storage_log_promise(const struct storage *storage);
/* After the last turn of a shard: writes and syncs what is left. False: not all of it could be. */
bool storage_stop(struct storage *storage);
void storage_close(struct storage *storage);

/* ---- the program is replaced (store/store.h says what that means for the store) ----
 *
 * Where no store is configured all of this succeeds and does nothing. In this order, in the old program:
 *
 * 1. storage_may_follow(), by what storage_describe() says in the new one, before anything stands still;
 * 2. storage_hurry(), before clients stop being read;
 * 3. storage_pause(), when all shards' threads have ended;
 * 4. storage_save(), with everybody's notes; storage_keep(true), and execve().
 *
 * In the new one storage_continue() stands for storage_open(), before the shards are opened, and storage_go_on() for
 * storage_recover() and storage_start(); it may come after the first turns of the shards. In the old one, after a
 * failure at any place since 2, storage_go_on() goes back. */

#define STORAGE_TEXT_BYTES 96u
/* What a program with these options takes a store for, in one line: its format and its directory. */
void storage_describe(const struct store_options *options, char text[STORAGE_TEXT_BYTES]);
/* Whether a program that says so can go on with this store, and whether the store works. */
bool storage_may_follow(const struct storage *storage, const char *text, struct store_refusal *refusal);
/* False: what was told does not become safe, so that clients would wait for the device; storage_go_on() is due then. It
 * is given limit_ms, while clients are served. */
bool storage_hurry(struct storage *storage, uint32_t limit_ms, struct store_refusal *refusal);
bool storage_pause(struct storage *storage, uint32_t limit_ms, struct store_refusal *refusal);
/* Also where storage_pause() was not called, or refused. */
enum error storage_go_on(struct storage *storage, struct mailbox *mailboxes);
/* There is a root. */
enum error storage_save(const struct storage *storage);
/* Whether the directory's descriptors stay open across execve(). */
void storage_keep(const struct storage *storage, bool keep);
/* root: adopted, and its notes too. Nothing on the device changes before storage_go_on(). */
enum error storage_continue(struct storage *storage, const struct store_options *options, uint16_t shard_count,
			    struct memory_root *root, struct store_refusal *refusal);

#endif
