/* What comes from Redis and from the server of a key set: the first byte says which of it the others are. */
#include "fuzz.h"

#include "bridge/redis_message.h"
#include "bridge/redis_scan.h"
#include "fetch/caching.h"
#include "redis/redis_url.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOW_S INT64_C(1700000000)
/* What a socket's buffer takes at once, surely. */
#define ANSWER_BYTES_MAX 65536u

static void check_id(struct slice whole, enum revocation_kind kind, struct slice id)
{
	CHECK(kind < REVOCATION_KIND_COUNT && id.size != 0 && id.size <= REVOCATION_ID_BYTES_MAX);
	/* It is the end of what it was read from. */
	CHECK(id.data + id.size == whole.data + whole.size);
}

static void read_key(struct slice text)
{
	enum revocation_kind kind;
	struct slice id;
	if (!redis_key_parse(text, &kind, &id))
		return;
	check_id(text, kind, id);
	const char *name = revocation_kind_name(kind);
	CHECK(text.size == sizeof(REDIS_KEY_PREFIX) - 1 + strlen(name) + 1 + id.size);
}

static void read_revoked(struct slice text)
{
	struct revocation revocation;
	if (!redis_revoked_parse(text, NOW_S, &revocation))
		return;
	check_id(text, revocation.kind, revocation.id);
	CHECK(revocation.until_s > NOW_S);
}

static void read_lifted(struct slice text)
{
	enum revocation_kind kind;
	struct slice id;
	if (redis_lifted_parse(text, &kind, &id))
		check_id(text, kind, id);
}

static void check_text(const char *text)
{
	CHECK(memchr(text, '\0', REDIS_TEXT_BYTES_MAX) != NULL);
}

static void read_url(struct slice text)
{
	char *string = malloc(text.size + 1);
	struct redis_url url;
	const char *why = NULL;
	CHECK(string != NULL);
	if (text.size != 0)
		memcpy(string, text.data, text.size);
	string[text.size] = '\0';
	if (redis_url_parse(string, &url, &why)) {
		check_text(url.host);
		check_text(url.user);
		check_text(url.password);
		CHECK(url.host[0] != '\0' && url.is_unix == (url.port == 0) && url.database <= UINT16_MAX);
	} else {
		CHECK(why != NULL);
	}
	free(string);
}

static void read_header(struct slice line)
{
	struct slice value;
	uint32_t seconds;
	if (!header_line_value(line, "Cache-Control", &value))
		return;
	CHECK(value.size <= line.size);
	if (cache_control_max_age(value, &seconds))
		CHECK(seconds <= UINT32_C(1) << 31);
}

/* ---- answers to SCAN and PTTL ---- */

static char folder[] = "/tmp/roost-fuzz-XXXXXX";
static struct redis_url server = {.is_unix = true};
static struct streams streams;
static const struct redis_way way = {.url = &server, .streams = &streams};

static void remove_server(void)
{
	unlink(server.host);
	rmdir(folder);
}

static int listen_once(void)
{
	static int listener = -1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (listener >= 0)
		return listener;
	CHECK(mkdtemp(folder) != NULL);
	snprintf(server.host, sizeof(server.host), "%s/redis", folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/redis", folder);
	atexit(remove_server);
	streams_init(&streams);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(listener, 1) == 0);
	return listener;
}

static void visit(void *context, const struct revocation *revocation)
{
	uint32_t *visits = context;
	CHECK(revocation->kind < REVOCATION_KIND_COUNT && revocation->id.size != 0 && revocation->until_s > NOW_S);
	++*visits;
}

static void read_answers(struct slice bytes)
{
	struct redis_link link = {0};
	struct redis_scan scan;
	uint32_t visits = 0;
	if (bytes.size > ANSWER_BYTES_MAX)
		return;
	int listener = listen_once();
	CHECK(redis_link_open(&link, &way));
	int peer = accept(listener, NULL, NULL);
	CHECK(peer >= 0 && send(peer, bytes.data, bytes.size, 0) == (ssize_t)bytes.size);
	/* Its questions are left unread, and may be sent: only the other direction ends here. */
	CHECK(shutdown(peer, SHUT_WR) == 0);
	redis_scan_begin(&scan, visit, &visits);
	bool done = false;
	while (!done && redis_scan_page(&scan, &link, NOW_S, &done))
		CHECK(strlen(scan.cursor) < REDIS_CURSOR_BYTES);
	CHECK(done || link.fault[0] != '\0');
	CHECK(visits <= bytes.size);
	redis_link_close(&link);
	close(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_key, read_revoked, read_lifted,
							read_url, read_header,  read_answers};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *rest = block_new(size - 1);
	if (size > 1)
		memcpy(rest, data + 1, size - 1);
	READERS[data[0]](slice_of(rest, size - 1));
	free(rest);
	return 0;
}
