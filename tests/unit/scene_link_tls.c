/* The scene's connections over TLS. A client's end says what it says in records of several sizes, with a KeyUpdate now
 * and then, and opens the shard's records however they come. */
#include "scene_link.h"

#include "shard_scene.h"
#include "tls/schedule.h"
#include "transport/stream_tls.h"

#include <stdlib.h>
#include <string.h>

/* In this file they are the system's. */
#undef send
#undef recv

#define LINKS_MAX 4096
#define PART_BYTES_MAX 500u
#define RAW_BYTES ((size_t)64 << 10)
#define CIPHER 0x1301
/* A stream ends where too many come together. */
#define UPDATE_EVERY 50u

/* A client's end. */
struct link {
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	uint8_t raw[RAW_BYTES]; /* what came: records, the last of them in part */
	size_t raw_bytes;
	uint8_t plain[TLS_PLAIN_BYTES_MAX]; /* of the last record that was opened */
	size_t plain_bytes;
	size_t plain_taken;
	uint8_t update[TLS_KEY_UPDATE_BYTES_MAX]; /* a KeyUpdate that the socket had no room for */
	size_t update_bytes;
	uint32_t sent;
};

static struct tls_ciphers *link_ciphers;
static struct link *links[LINKS_MAX];

static const uint8_t CLIENT_SECRET[TLS_SECRET_BYTES_MAX] = {1, 2, 3};
static const uint8_t SERVER_SECRET[TLS_SECRET_BYTES_MAX] = {4, 5, 6};

static struct tls_session *link_session(struct link *link)
{
	return (struct tls_session *)(void *)link->memory;
}

/* A shard has the kind. */
void link_shard_begin(uint16_t shard, struct streams *streams)
{
	(void)shard;
	CHECK(streams->ops[STREAM_TLS] != NULL);
	if (link_ciphers == NULL)
		link_ciphers = tls_ciphers_new();
	CHECK(link_ciphers != NULL);
}

void link_shard_end(uint16_t shard)
{
	(void)shard;
	for (int i = 0; i < LINKS_MAX; i++) {
		free(links[i]);
		links[i] = NULL;
	}
}

/* The handshake is done: the stream is made here, and released to the shard as a gate does it. */
void link_begin(int shard_end, int client_end, struct stream_carry *carry)
{
	static struct streams streams;
	static struct tls_streams tls;
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session = (struct tls_session *)(void *)memory;
	CHECK(client_end >= 0 && client_end < LINKS_MAX);
	if (links[client_end] == NULL)
		links[client_end] = malloc(sizeof(*links[client_end]));
	struct link *link = links[client_end];
	CHECK(link != NULL);
	link->raw_bytes = link->plain_bytes = link->plain_taken = link->update_bytes = 0;
	link->sent = 0;
	tls_session_init_1_3(link_ciphers, link_session(link), CIPHER, CLIENT_SECRET, SERVER_SECRET, false);

	if (tls.ciphers == NULL) {
		streams_init(&streams);
		CHECK(tls_streams_open(&tls, &streams, NULL) == ERROR_OK);
	}
	tls_session_init_1_3(link_ciphers, session, CIPHER, CLIENT_SECRET, SERVER_SECRET, true);
	struct stream stream = tls_stream_over(&streams, stream_of(STREAM_DESCRIPTOR, shard_end), session,
					       (struct slice){0}, slice_string("CN=client"));
	CHECK(stream_release(&streams, stream, carry) == shard_end);
}

/* Records are short: a unix socket takes them whole or not at all. */
static bool send_whole(int fd, const uint8_t *bytes, size_t size, int flags)
{
	ssize_t sent = size != 0 ? send(fd, bytes, size, flags) : 0;
	CHECK(sent < 0 || (size_t)sent == size);
	return sent >= 0;
}

static bool send_part(struct link *link, int fd, struct slice part, int flags)
{
	uint8_t record[PART_BYTES_MAX + TLS_SEAL_BYTES_MAX];
	if (!send_whole(fd, link->update, link->update_bytes, flags))
		return false;
	link->update_bytes = 0;
	size_t size = tls_record_seal(link_ciphers, link_session(link), &part, 1, part.size, record);
	if (!send_whole(fd, record, size, flags)) {
		tls_record_unseal(link_session(link));
		return false;
	}
	if (++link->sent % UPDATE_EVERY == 0) {
		link->update_bytes = tls_key_update_write(link_ciphers, link_session(link), link->update);
		if (send_whole(fd, link->update, link->update_bytes, flags))
			link->update_bytes = 0;
	}
	return true;
}

ssize_t link_send(int fd, const void *bytes, size_t size, int flags)
{
	struct link *link = fd >= 0 && fd < LINKS_MAX ? links[fd] : NULL;
	size_t sent = 0;
	if (link == NULL)
		return send(fd, bytes, size, flags);
	while (sent != size) {
		size_t part = size - sent < PART_BYTES_MAX ? size - sent : PART_BYTES_MAX;
		if (!send_part(link, fd, slice_of((const uint8_t *)bytes + sent, part), flags))
			return sent != 0 ? (ssize_t)sent : -1;
		sent += part;
	}
	return (ssize_t)sent;
}

/* False: there is no whole one. */
static bool open_record(struct link *link)
{
	size_t size = 0;
	CHECK(tls_record_size(slice_of(link->raw, link->raw_bytes), &size) == ERROR_OK);
	if (size == 0 || size > link->raw_bytes || link_session(link)->closed)
		return false;
	struct slice plain;
	enum tls_content what;
	CHECK(tls_record_open(link_ciphers, link_session(link), link->raw, size, NULL, &plain, &what) == ERROR_OK);
	CHECK(what == TLS_CONTENT_DATA || what == TLS_CONTENT_END);
	link->plain_bytes = what == TLS_CONTENT_DATA ? plain.size : 0;
	link->plain_taken = 0;
	memcpy(link->plain, plain.data, link->plain_bytes);
	link->raw_bytes -= size;
	memmove(link->raw, link->raw + size, link->raw_bytes);
	return true;
}

size_t link_unread(int fd)
{
	return fd >= 0 && fd < LINKS_MAX && links[fd] != NULL ? links[fd]->raw_bytes : 0;
}

ssize_t link_recv(int fd, void *bytes, size_t size, int flags)
{
	struct link *link = fd >= 0 && fd < LINKS_MAX ? links[fd] : NULL;
	if (link == NULL)
		return recv(fd, bytes, size, flags);
	size_t got = 0;
	while (got != size) {
		if (link->plain_taken == link->plain_bytes && open_record(link))
			continue;
		if (link->plain_taken == link->plain_bytes) {
			ssize_t some = recv(fd, link->raw + link->raw_bytes, RAW_BYTES - link->raw_bytes, flags);
			if (some <= 0)
				return got != 0 ? (ssize_t)got : some;
			link->raw_bytes += (size_t)some;
			continue;
		}
		size_t left = link->plain_bytes - link->plain_taken;
		size_t part = left < size - got ? left : size - got;
		memcpy((uint8_t *)bytes + got, link->plain + link->plain_taken, part);
		link->plain_taken += part;
		got += part;
	}
	return (ssize_t)got;
}
