/* Whatever a broker sends to a bridge, from CONNACK on, and what the gateway's side answers: nothing is read beyond its
 * end, what goes on is MQTT, and little is kept. The first byte is the version; then come pieces, each a byte that says
 * from which side it is, two with its size, and what that side sends. */
#include "base/check.h"
#include "fuzz.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "relay/bridging/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES_MAX 16384u

struct side {
	struct session_link *link;
	int far;
};

static void open_side(struct side *side, struct session_link *link, uint8_t version)
{
	int pair[2];
	const struct session_peer peer = {.name = "the other side"};
	const struct mqtt_connect connect = {.client_id = slice_string("c"),
					     .version = version,
					     .receive_max = UINT16_MAX,
					     .packet_bytes_max = 65536};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	session_link_open_to(link, pair[0], &peer, &connect);
	*side = (struct side){.link = link, .far = pair[1]};
}

/* What is sent on is whole packets that can be read. */
static void check_output(const struct session_link *link)
{
	const uint8_t *at = link->out.data;
	size_t left = link->out.size;
	while (left != 0) {
		struct mqtt_header header;
		struct mqtt_publish publish;
		CHECK(mqtt_header_decode(at, left, &header) == ERROR_OK);
		size_t whole = header.header_bytes + header.body_bytes;
		CHECK_LE(whole, left);
		struct slice body = slice_of(at + header.header_bytes, header.body_bytes);
		if (header.type == MQTT_PUBLISH)
			CHECK(mqtt_publish_decode(body, header.flags, link->version, true, &publish) == ERROR_OK);
		at += whole;
		left -= whole;
	}
}

/* As the bridge's thread does it, in a few words. */
static void go_on(struct exchange *exchange)
{
	struct session_link *local = &exchange->local, *remote = &exchange->remote;
	if (remote->state == SESSION_CONNECTED) {
		session_link_be_ready(remote);
		exchange->is_open = true;
	}
	if (local->state == SESSION_CONNECTED)
		session_link_be_ready(local);
}

static bool play(struct exchange *exchange, struct side sides[2], uint8_t from, struct slice piece)
{
	struct side *side = &sides[from % 2];
	if (piece.size > PIECE_BYTES_MAX || (from % 2 == 0 && !exchange->is_open))
		return false;
	if (piece.size != 0 && send(side->far, piece.data, piece.size, 0) != (ssize_t)piece.size)
		return false;
	bool good = from % 2 == 0 ? exchange_read_local(exchange) : exchange_read_remote(exchange);
	go_on(exchange);
	good = good && exchange_read_remote(exchange);
	for (int i = 0; i < 2; i++) {
		if (sides[i].link->state != SESSION_CLOSED && !session_link_is_broken(sides[i].link))
			check_output(sides[i].link);
	}
	CHECK_LE(exchange->local.out.size, EXCHANGE_OUTPUT_BYTES_MAX + PIECE_BYTES_MAX * 4);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mqtt_bridge bridge;
	static struct exchange exchange;
	struct side sides[2];
	char fault[ITEM_FAULT_BYTES_MAX];
	if (size == 0)
		return 0;
	mqtt_bridge_init(&bridge);
	CHECK(mqtt_bridge_key("up")->set(&bridge, "u/# qos=2 remote=r/", fault));
	CHECK(mqtt_bridge_key("down")->set(&bridge, "d/# qos=2 local=l/", fault));
	exchange_init(&exchange, &bridge);
	open_side(&sides[1], &exchange.remote, data[0] % 2 == 0 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1);
	open_side(&sides[0], &exchange.local, MQTT_VERSION_5);
	struct slice rest = slice_of(data + 1, size - 1);
	while (rest.size >= 3) {
		size_t bytes = (size_t)rest.data[1] << 8 | rest.data[2];
		bytes = bytes < rest.size - 3 ? bytes : rest.size - 3;
		if (!play(&exchange, sides, rest.data[0], slice_of(rest.data + 3, bytes)))
			break;
		rest = slice_of(rest.data + 3 + bytes, rest.size - 3 - bytes);
	}
	exchange_close(&exchange);
	exchange_fini(&exchange);
	close(sides[0].far);
	close(sides[1].far);
	return 0;
}
