#include "admin/api/guard.h"

#include "base/check.h"
#include "base/slice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BEARER "Bearer "

_Static_assert(GUARD_DIGEST_BYTES >= crypto_generichash_BYTES_MIN && GUARD_DIGEST_BYTES <= crypto_generichash_BYTES_MAX,
	       "libsodium makes digests of this size");
_Static_assert(GUARD_TOKEN_BYTES_MIN < GUARD_TOKEN_BYTES_MAX, "there is a token of a good size");

void guard_init(struct guard *guard)
{
	*guard = (struct guard){0};
	CHECK(pthread_mutex_init(&guard->lock, NULL) == 0);
}

void guard_fini(struct guard *guard)
{
	pthread_mutex_destroy(&guard->lock);
}

/* ---- the token ---- */

static void digest_token(const char *token, size_t size, uint8_t digest[GUARD_DIGEST_BYTES])
{
	CHECK(crypto_generichash(digest, GUARD_DIGEST_BYTES, (const uint8_t *)token, size, NULL, 0) == 0);
}

/* Returns the length of the first line, or 0 if there is none. */
static size_t read_first_line(FILE *file, char line[GUARD_TOKEN_BYTES_MAX + 2])
{
	if (fgets(line, GUARD_TOKEN_BYTES_MAX + 2, file) == NULL)
		return 0;
	return strcspn(line, "\r\n");
}

static bool token_is_good(const char *token, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	}
	return size >= GUARD_TOKEN_BYTES_MIN && size <= GUARD_TOKEN_BYTES_MAX;
}

bool guard_read_token(struct guard *guard, const char *path, char fault[GUARD_FAULT_BYTES_MAX])
{
	char line[GUARD_TOKEN_BYTES_MAX + 2];
	uint8_t digest[GUARD_DIGEST_BYTES] = {0};
	bool some = *path != '\0';
	if (some) {
		FILE *file = fopen(path, "r");
		if (file == NULL) {
			snprintf(fault, GUARD_FAULT_BYTES_MAX, "%s: %s", path, strerror(errno));
			return false;
		}
		size_t size = read_first_line(file, line);
		fclose(file);
		if (!token_is_good(line, size)) {
			snprintf(fault, GUARD_FAULT_BYTES_MAX,
				 "%s: its first line is to be a token of %u to %u printable characters without spaces",
				 path, GUARD_TOKEN_BYTES_MIN, GUARD_TOKEN_BYTES_MAX);
			return false;
		}
		digest_token(line, size, digest);
		sodium_memzero(line, sizeof(line));
	}
	pthread_mutex_lock(&guard->lock);
	guard->has_token = some;
	memcpy(guard->digest, digest, sizeof(digest));
	pthread_mutex_unlock(&guard->lock);
	return true;
}

/* Compares digests, so that neither timing nor length reveals anything about the token. */
static bool token_is_right(struct slice token, const uint8_t digest[GUARD_DIGEST_BYTES])
{
	uint8_t given[GUARD_DIGEST_BYTES];
	digest_token((const char *)token.data, token.size, given);
	return sodium_memcmp(given, digest, sizeof(given)) == 0;
}

/* ---- browsers ---- */

/* Copies the name or address from "host", "host:port" or "[v6]:port". Returns false if it is empty or too long for an
 * address. */
static bool take_host_name(struct slice host, bool brackets, char *name, size_t room)
{
	if (brackets)
		host = slice_of(host.data + 1, host.size - 1);
	const uint8_t *end = host.size != 0 ? memchr(host.data, brackets ? ']' : ':', host.size) : NULL;
	size_t size = end != NULL ? (size_t)(end - host.data) : host.size;
	if (size == 0 || size >= room)
		return false;
	memcpy(name, host.data, size);
	name[size] = '\0';
	return true;
}

/* Returns whether the host is this machine's own name. A foreign name that resolves to this machine (DNS rebinding) is
 * not. */
static bool host_is_local(struct slice host)
{
	char name[INET6_ADDRSTRLEN + 1];
	struct in_addr v4;
	struct in6_addr v6;
	bool brackets = host.size != 0 && host.data[0] == '[';
	if (!take_host_name(host, brackets, name, sizeof(name)))
		return false;
	if (brackets)
		return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcasecmp(name, "localhost") == 0;
}

/* Compares the page's origin, "http://host:port", with the host of the request. */
static bool origin_is_host(struct slice origin, struct slice host)
{
	static const char BETWEEN[] = "://";
	const size_t between = sizeof(BETWEEN) - 1;
	const uint8_t *found = origin.size != 0 ? memmem(origin.data, origin.size, BETWEEN, between) : NULL;
	if (found == NULL || host.data == NULL || host.size == 0)
		return false;
	size_t size = origin.size - (size_t)(found - origin.data) - between;
	return size == host.size && strncasecmp((const char *)found + between, (const char *)host.data, size) == 0;
}

static enum guard_verdict check_origin(const struct guard_claim *claim)
{
	if (claim->changes && claim->origin.data != NULL && !origin_is_host(claim->origin, claim->host))
		return GUARD_WRONG_ORIGIN;
	return GUARD_GRANTED;
}

enum guard_verdict guard_check_open(const struct guard_claim *claim)
{
	return check_origin(claim);
}

enum guard_verdict guard_check(struct guard *guard, const struct guard_claim *claim)
{
	uint8_t digest[GUARD_DIGEST_BYTES];
	pthread_mutex_lock(&guard->lock);
	bool needs_token = guard->has_token;
	memcpy(digest, guard->digest, sizeof(digest));
	pthread_mutex_unlock(&guard->lock);
	if (!needs_token && claim->host.data != NULL && !host_is_local(claim->host))
		return GUARD_WRONG_HOST;
	if (needs_token) {
		struct slice given = claim->authorization;
		const size_t bearer = strlen(BEARER);
		if (given.size < bearer || strncasecmp((const char *)given.data, BEARER, bearer) != 0)
			return GUARD_NO_TOKEN;
		if (!token_is_right(slice_of(given.data + bearer, given.size - bearer), digest))
			return GUARD_WRONG_TOKEN;
	}
	return check_origin(claim);
}
