/* What comes from Redis and from the server of a key set: the first byte says which of it the others are. */
#include "fuzz.h"

#include "asking/redis_tracking.h"
#include "asking/redis_user.h"
#include "bridge/redis_message.h"
#include "bridge/redis_scan.h"
#include "fetch/caching.h"
#include "redis/redis_slots.h"
#include "redis/redis_words.h"

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

static void check_login(const struct redis_login *login_read)
{
	check_text(login_read->user);
	check_text(login_read->password);
}

static void check_place(const struct redis_place *place, bool may_be_socket)
{
	char text[REDIS_PLACE_BYTES];
	check_text(place->host);
	CHECK(place->host[0] != '\0' && (place->port != 0 || may_be_socket));
	CHECK(strlen(redis_place_text(place, text)) < sizeof(text));
}

static void read_url(struct slice text)
{
	char *string = malloc(text.size + 1);
	struct redis_url url;
	char fault[REDIS_URL_FAULT_BYTES] = "";
	CHECK(string != NULL);
	if (text.size != 0)
		memcpy(string, text.data, text.size);
	string[text.size] = '\0';
	if (redis_url_parse(string, &url, fault)) {
		check_login(&url.login);
		check_login(&url.sentinel_login);
		check_text(url.master);
		CHECK((url.master[0] != '\0') == (url.kind == REDIS_SENTINEL) && url.database <= UINT16_MAX);
		CHECK(url.seed_count >= 1 && url.seed_count <= (url.kind == REDIS_SINGLE ? 1 : REDIS_SEEDS_MAX));
		for (uint32_t i = 0; i < url.seed_count; i++)
			check_place(&url.seeds[i], url.kind == REDIS_SINGLE);
	} else {
		CHECK(fault[0] != '\0');
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
static struct redis_place server;
static const struct redis_login login;
static struct streams streams;
static const struct redis_way way = {.place = &server, .login = &login, .streams = &streams};

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

/* Every other key is nowhere. */
static bool elsewhere(void *context, struct slice key, int64_t *ttl_ms)
{
	(void)context;
	*ttl_ms = 1000;
	return key.size % 2 == 0;
}

/* A link on which these bytes come, and then its end. Returns the other end. */
static int open_link(struct redis_link *link, struct slice bytes)
{
	int listener = listen_once();
	CHECK(redis_link_open(link, &way));
	int peer = accept(listener, NULL, NULL);
	CHECK(peer >= 0 && send(peer, bytes.data, bytes.size, 0) == (ssize_t)bytes.size);
	/* Its questions are left unread, and may be sent: only the other direction ends here. */
	CHECK(shutdown(peer, SHUT_WR) == 0);
	return peer;
}

static void read_answers(struct slice bytes)
{
	struct redis_link link = {0};
	struct redis_scan scan;
	uint32_t visits = 0;
	if (bytes.size > ANSWER_BYTES_MAX)
		return;
	int peer = open_link(&link, bytes);
	redis_scan_begin(&scan, visit, elsewhere, &visits);
	bool done = false;
	while (!done && redis_scan_page(&scan, &link, NOW_S, &done))
		CHECK(strlen(scan.cursor) < REDIS_CURSOR_BYTES);
	CHECK(visits <= bytes.size);
	redis_link_close(&link);
	close(peer);
}

/* ---- where things are ---- */

static const struct redis_place ASKED = {"asked", 7000};

static void read_redirect(struct slice text)
{
	struct redis_redirect redirect;
	struct redis_place place;
	CHECK(redis_key_slot(text) < REDIS_SLOTS);
	if (redis_redirect_read(text, &ASKED, &redirect)) {
		CHECK(redirect.slot < REDIS_SLOTS);
		check_place(&redirect.place, false);
	}
	if (redis_switch_read(text, "main", &place))
		check_place(&place, false);
}

static void check_slots(const struct redis_slots *slots)
{
	uint32_t covered = 0;
	CHECK(slots->node_count <= REDIS_NODES_MAX);
	for (uint32_t i = 0; i < REDIS_SLOTS; i++) {
		CHECK(slots->node_of[i] == REDIS_NO_NODE || slots->node_of[i] < slots->node_count);
		covered += slots->node_of[i] != REDIS_NO_NODE ? 1 : 0;
	}
	CHECK(covered == slots->covered);
	for (uint32_t i = 0; i < slots->node_count; i++)
		check_text(slots->nodes[i].host);
}

/* Answers to CLUSTER SLOTS, to SENTINEL and to ROLE. */
static void read_where(struct slice bytes)
{
	static struct redis_slots slots;
	struct redis_place place;
	const char *why = NULL;
	void *reply = NULL;
	redisReader *reader = redisReaderCreate();
	CHECK(reader != NULL);
	if (bytes.size <= ANSWER_BYTES_MAX && !announces_much(bytes) &&
	    redisReaderFeed(reader, (const char *)bytes.data, bytes.size) == REDIS_OK &&
	    redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
		bool good = redis_slots_read(&slots, reply, &ASKED, &why);
		check_slots(&slots);
		CHECK(good == (slots.covered != 0) && why != NULL);
		if (redis_master_read(reply, &place, &why))
			check_place(&place, false);
		(void)redis_role_is_master(reply);
		freeReplyObject(reply);
	}
	redisReaderFree(reader);
}

/* ---- users ---- */

static void read_users(struct slice bytes)
{
	struct redis_link link = {0};
	redisReply *reply;
	if (bytes.size > ANSWER_BYTES_MAX)
		return;
	int peer = open_link(&link, bytes);
	while (redis_link_await(&link, &reply)) {
		struct fault fault = {0};
		struct outside_answer *answer;
		enum redis_user_outcome outcome = redis_user_read(reply, slice_string("u"), &answer, &fault);
		CHECK((answer != NULL) == (outcome == REDIS_USER_READ));
		CHECK(answer != NULL || fault.text[0] != '\0');
		CHECK(answer == NULL || answer->verdict != OUTSIDE_ALLOWED);
		outside_answer_put(&answer);
		freeReplyObject(reply);
	}
	CHECK(link.fault[0] != '\0');
	redis_link_close(&link);
	close(peer);
}

static void hear_of(void *context, struct slice name)
{
	size_t *heard = context;
	*heard += name.size;
}

static void read_changes(struct slice bytes)
{
	size_t heard = 0;
	struct redis_tracking tracking = {.visit = hear_of, .context = &heard, .on = true};
	if (bytes.size > ANSWER_BYTES_MAX)
		return;
	int peer = open_link(&tracking.feed.link, bytes);
	while (redis_tracking_read(&tracking, true))
		;
	CHECK(tracking.feed.link.fault[0] != '\0' && heard <= bytes.size);
	redis_tracking_end(&tracking);
	close(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_key,    read_revoked, read_lifted,   read_url,
							read_header, read_answers, read_redirect, read_where,
							read_users,  read_changes};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *rest = block_new(size - 1);
	if (size > 1)
		memcpy(rest, data + 1, size - 1);
	READERS[data[0]](slice_of(rest, size - 1));
	free(rest);
	return 0;
}
