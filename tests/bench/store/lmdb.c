#include "base/check.h"
#include "shapes.h"

#ifdef HAVE_LMDB
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP_BYTES (8192 * MIB)

struct lmdb_store {
	MDB_env *environment;
	MDB_txn *transaction; /* NULL between commits */
	MDB_dbi rows;
	enum lmdb_key key;
	char path[4096];
};

static void start(struct lmdb_store *store)
{
	if (store->transaction == NULL)
		CHECK_EQ(mdb_txn_begin(store->environment, NULL, 0, &store->transaction), 0);
}

struct lmdb_store *lmdb_store_open(const char *directory, enum lmdb_key key)
{
	struct lmdb_store *store = calloc(1, sizeof(*store));
	CHECK(store != NULL);
	store->key = key;
	snprintf(store->path, sizeof(store->path), "%s/lmdb", directory);
	CHECK_EQ(mdb_env_create(&store->environment), 0);
	CHECK_EQ(mdb_env_set_mapsize(store->environment, MAP_BYTES), 0);
	CHECK_EQ(mdb_env_open(store->environment, store->path, MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS, 0600), 0);
	start(store);
	CHECK_EQ(mdb_dbi_open(store->transaction, NULL, key == LMDB_BY_SEQUENCE ? MDB_INTEGERKEY : 0, &store->rows), 0);
	lmdb_commit(store);
	return store;
}

void lmdb_fill_unsynced(struct lmdb_store *store)
{
	CHECK_EQ(mdb_env_set_flags(store->environment, MDB_NOSYNC, 1), 0);
}

void lmdb_sync(struct lmdb_store *store)
{
	CHECK_EQ(mdb_env_set_flags(store->environment, MDB_NOSYNC, 0), 0);
	CHECK_EQ(mdb_env_sync(store->environment, 1), 0);
}

void lmdb_put(struct lmdb_store *store, const void *key, size_t key_bytes, const void *value, size_t value_bytes,
	      bool append)
{
	MDB_val name = {key_bytes, (void *)(uintptr_t)key}, row = {value_bytes, (void *)(uintptr_t)value};
	start(store);
	CHECK_EQ(mdb_put(store->transaction, store->rows, &name, &row, append ? MDB_APPEND : 0), 0);
}

void lmdb_delete(struct lmdb_store *store, const void *key, size_t key_bytes)
{
	MDB_val name = {key_bytes, (void *)(uintptr_t)key};
	start(store);
	CHECK_EQ(mdb_del(store->transaction, store->rows, &name, NULL), 0);
}

void lmdb_commit(struct lmdb_store *store)
{
	CHECK(store->transaction != NULL);
	CHECK_EQ(mdb_txn_commit(store->transaction), 0);
	store->transaction = NULL;
}

uint64_t lmdb_read_all(struct lmdb_store *store)
{
	MDB_val key, row;
	MDB_txn *transaction;
	MDB_cursor *cursor;
	uint64_t count = 0, sum = 0;
	CHECK_EQ(mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction), 0);
	CHECK_EQ(mdb_cursor_open(transaction, store->rows, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &row, MDB_NEXT) == 0) {
		for (size_t at = 0; at < row.mv_size; at += 64)
			sum += ((const uint8_t *)row.mv_data)[at];
		count++;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(transaction);
	CHECK_NE(sum, 0u);
	return count;
}

uint64_t lmdb_disk_bytes(const struct lmdb_store *store)
{
	return file_disk_bytes(store->path);
}

void lmdb_make_cold(const char *directory)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/lmdb", directory);
	file_make_cold(path);
}

void lmdb_store_close(struct lmdb_store *store)
{
	mdb_env_close(store->environment);
	free(store);
}

#else
/* Nothing is ever opened. */

struct lmdb_store *lmdb_store_open(const char *directory, enum lmdb_key key)
{
	(void)directory;
	(void)key;
	return NULL;
}

static void never_open(const struct lmdb_store *store)
{
	(void)store;
	check_failed(__FILE__, __LINE__, "built with LMDB");
}

void lmdb_fill_unsynced(struct lmdb_store *store)
{
	never_open(store);
}

void lmdb_sync(struct lmdb_store *store)
{
	never_open(store);
}

void lmdb_put(struct lmdb_store *store, const void *key, size_t key_bytes, const void *value, size_t value_bytes,
	      bool append)
{
	(void)key;
	(void)key_bytes;
	(void)value;
	(void)value_bytes;
	(void)append;
	never_open(store);
}

void lmdb_delete(struct lmdb_store *store, const void *key, size_t key_bytes)
{
	(void)key;
	(void)key_bytes;
	never_open(store);
}

void lmdb_commit(struct lmdb_store *store)
{
	never_open(store);
}

uint64_t lmdb_read_all(struct lmdb_store *store)
{
	never_open(store);
	return 0;
}

uint64_t lmdb_disk_bytes(const struct lmdb_store *store)
{
	never_open(store);
	return 0;
}

void lmdb_make_cold(const char *directory)
{
	(void)directory;
	never_open(NULL);
}

void lmdb_store_close(struct lmdb_store *store)
{
	never_open(store);
}
#endif
