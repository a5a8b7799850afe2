#include "tls/tickets.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>

#define CIPHER_KEY_BYTES 32u /* AES-256 */
#define MAC_KEY_BYTES 32u    /* HMAC-SHA-256 */

struct ticket_key {
	uint8_t name[TLS_TICKET_NAME_BYTES];
	uint8_t cipher[CIPHER_KEY_BYTES];
	uint8_t mac[MAC_KEY_BYTES];
	int64_t made_s;
};

struct tls_tickets {
	pthread_rwlock_t lock; /* around the keys: handshakes read them, a rotation writes */
	EVP_CIPHER *cipher;    /* fetched once: a fetch a ticket takes a lock and a search */
	uint32_t lifetime_s;
	uint32_t count;
	struct ticket_key keys[TLS_TICKET_KEYS_MAX]; /* the newest first */
};

/* A file: magic, version, count, then name, cipher, mac, made_s of each key, then SHA-256 of all of that. Numbers are
 * big-endian. */
#define FILE_MAGIC_BYTES 8u
#define FILE_HEAD_BYTES (FILE_MAGIC_BYTES + 4u + 4u)
#define FILE_KEY_BYTES (TLS_TICKET_NAME_BYTES + CIPHER_KEY_BYTES + MAC_KEY_BYTES + 8u)
#define FILE_VERSION 1u
static const uint8_t FILE_MAGIC[FILE_MAGIC_BYTES] = {'R', 'O', 'O', 'S', 'T', 'T', 'K', '\n'};
_Static_assert(FILE_HEAD_BYTES + TLS_TICKET_KEYS_MAX * FILE_KEY_BYTES + SHA256_DIGEST_LENGTH <=
		       TLS_TICKETS_FILE_BYTES_MAX,
	       "all keys go into a file");

static bool key_make(struct ticket_key *key, int64_t wall_s)
{
	key->made_s = wall_s;
	bool made = RAND_bytes(key->name, sizeof(key->name)) == 1 &&
		    RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
		    RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
	ERR_clear_error();
	return made;
}

struct tls_tickets *tls_tickets_new(uint32_t lifetime_s, int64_t wall_s)
{
	CHECK(lifetime_s >= 2 && lifetime_s <= TLS_TICKET_LIFETIME_S_MAX);
	struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
	if (tickets == NULL)
		return NULL;
	CHECK_EQ(pthread_rwlock_init(&tickets->lock, NULL), 0);
	tickets->lifetime_s = lifetime_s;
	tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	tickets->count = 1;
	if (tickets->cipher == NULL || !key_make(&tickets->keys[0], wall_s)) {
		ERR_clear_error();
		tls_tickets_free(tickets);
		return NULL;
	}
	return tickets;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	EVP_CIPHER_free(tickets->cipher);
	pthread_rwlock_destroy(&tickets->lock);
	OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
	free(tickets);
}

uint32_t tls_tickets_lifetime_s(const struct tls_tickets *tickets)
{
	return tickets->lifetime_s;
}

/* A key seals for half of the lifetime, and what it sealed last is good for a lifetime after that. */
static bool is_spent(const struct tls_tickets *tickets, const struct ticket_key *key, int64_t wall_s)
{
	return wall_s - key->made_s >= (int64_t)tickets->lifetime_s + (tickets->lifetime_s + 1) / 2;
}

bool tls_tickets_rotate(struct tls_tickets *tickets, int64_t wall_s)
{
	struct ticket_key fresh;
	bool changed = false;
	pthread_rwlock_wrlock(&tickets->lock);
	if (wall_s - tickets->keys[0].made_s >= tickets->lifetime_s / 2 && key_make(&fresh, wall_s)) {
		if (tickets->count < TLS_TICKET_KEYS_MAX)
			tickets->count++;
		memmove(tickets->keys + 1, tickets->keys, (tickets->count - 1) * sizeof(fresh));
		tickets->keys[0] = fresh;
		changed = true;
	}
	while (tickets->count > 1 && is_spent(tickets, &tickets->keys[tickets->count - 1], wall_s)) {
		OPENSSL_cleanse(&tickets->keys[--tickets->count], sizeof(tickets->keys[0]));
		changed = true;
	}
	CHECK(tickets->count >= 1 && tickets->count <= TLS_TICKET_KEYS_MAX);
	pthread_rwlock_unlock(&tickets->lock);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return changed;
}

size_t tls_tickets_keys(struct tls_tickets *tickets, int64_t *newest_s)
{
	pthread_rwlock_rdlock(&tickets->lock);
	size_t count = tickets->count;
	*newest_s = tickets->keys[0].made_s;
	pthread_rwlock_unlock(&tickets->lock);
	return count;
}

/* ---- the file ---- */

static uint8_t *put(uint8_t *out, const void *bytes, size_t size)
{
	memcpy(out, bytes, size);
	return out + size;
}

static const uint8_t *get(const uint8_t *in, void *bytes, size_t size)
{
	memcpy(bytes, in, size);
	return in + size;
}

size_t tls_tickets_save(struct tls_tickets *tickets, uint8_t out[TLS_TICKETS_FILE_BYTES_MAX])
{
	pthread_rwlock_rdlock(&tickets->lock);
	uint32_t version = htobe32(FILE_VERSION), count = htobe32(tickets->count);
	uint8_t *at = put(put(put(out, FILE_MAGIC, FILE_MAGIC_BYTES), &version, 4), &count, 4);
	for (uint32_t i = 0; i < tickets->count; i++) {
		const struct ticket_key *key = &tickets->keys[i];
		uint64_t made_s = htobe64((uint64_t)key->made_s);
		at = put(put(at, key->name, sizeof(key->name)), key->cipher, sizeof(key->cipher));
		at = put(put(at, key->mac, sizeof(key->mac)), &made_s, 8);
	}
	pthread_rwlock_unlock(&tickets->lock);
	SHA256(out, (size_t)(at - out), at);
	return (size_t)(at - out) + SHA256_DIGEST_LENGTH;
}

/* The keys of a file; 0: it is none of ours. */
static uint32_t file_keys(struct slice file, struct ticket_key keys[TLS_TICKET_KEYS_MAX])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint32_t version, count;
	if (file.size < FILE_HEAD_BYTES || memcmp(file.data, FILE_MAGIC, FILE_MAGIC_BYTES) != 0)
		return 0;
	const uint8_t *at = get(get(file.data + FILE_MAGIC_BYTES, &version, 4), &count, 4);
	count = be32toh(count);
	if (be32toh(version) != FILE_VERSION || count == 0 || count > TLS_TICKET_KEYS_MAX ||
	    file.size != FILE_HEAD_BYTES + count * FILE_KEY_BYTES + SHA256_DIGEST_LENGTH)
		return 0;
	SHA256(file.data, file.size - SHA256_DIGEST_LENGTH, digest);
	if (memcmp(digest, file.data + file.size - SHA256_DIGEST_LENGTH, sizeof(digest)) != 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t made_s;
		at = get(get(at, keys[i].name, sizeof(keys[i].name)), keys[i].cipher, sizeof(keys[i].cipher));
		at = get(get(at, keys[i].mac, sizeof(keys[i].mac)), &made_s, 8);
		keys[i].made_s = (int64_t)be64toh(made_s);
	}
	return count;
}

enum error tls_tickets_load(struct tls_tickets *tickets, struct slice file, int64_t wall_s)
{
	struct ticket_key keys[TLS_TICKET_KEYS_MAX] = {0};
	uint32_t count = file_keys(file, keys);
	enum error error = count == 0 ? ERROR_NOT_FOUND : ERROR_OK;
	/* From a clock that was ahead: such a key would never be old. */
	for (uint32_t i = 0; i < count; i++)
		keys[i].made_s = keys[i].made_s > wall_s ? wall_s : keys[i].made_s;
	while (count > 0 && is_spent(tickets, &keys[count - 1], wall_s))
		count--;
	if (count == 0 && error == ERROR_OK)
		error = ERROR_TIMEOUT;
	if (error == ERROR_OK) {
		pthread_rwlock_wrlock(&tickets->lock);
		OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
		memcpy(tickets->keys, keys, count * sizeof(keys[0]));
		tickets->count = count;
		pthread_rwlock_unlock(&tickets->lock);
	}
	OPENSSL_cleanse(keys, sizeof(keys));
	return error;
}

/* ---- within a handshake ---- */

static bool use_key(const struct tls_tickets *tickets, const struct ticket_key *key, const uint8_t *iv,
		    struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac, bool seals)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
					 OSSL_PARAM_construct_end()};
	return EVP_MAC_init(mac, key->mac, sizeof(key->mac), parameters) == 1 &&
	       EVP_CipherInit_ex2(cipher, tickets->cipher, key->cipher, iv, seals, NULL) == 1;
}

bool tls_tickets_seal(struct tls_tickets *tickets, uint8_t name[TLS_TICKET_NAME_BYTES], uint8_t iv[TLS_TICKET_IV_BYTES],
		      struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac)
{
	if (RAND_bytes(iv, TLS_TICKET_IV_BYTES) != 1)
		return false;
	pthread_rwlock_rdlock(&tickets->lock);
	const struct ticket_key *key = &tickets->keys[0];
	memcpy(name, key->name, sizeof(key->name));
	bool used = use_key(tickets, key, iv, cipher, mac, true);
	pthread_rwlock_unlock(&tickets->lock);
	return used;
}

bool tls_tickets_open(struct tls_tickets *tickets, const uint8_t name[TLS_TICKET_NAME_BYTES], const uint8_t *iv,
		      struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac, bool *newest)
{
	bool used = false;
	pthread_rwlock_rdlock(&tickets->lock);
	for (uint32_t i = 0; i < tickets->count && !used; i++) {
		const struct ticket_key *key = &tickets->keys[i];
		if (memcmp(key->name, name, sizeof(key->name)) != 0)
			continue;
		*newest = i == 0;
		used = use_key(tickets, key, iv, cipher, mac, false);
	}
	pthread_rwlock_unlock(&tickets->lock);
	return used;
}
