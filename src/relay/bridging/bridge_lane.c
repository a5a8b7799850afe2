#include "relay/bridging/bridge_lane.h"

#include "base/check.h"
#include "base/log.h"
#include "control/internal.h"
#include "mqtt/field/reason.h"
#include "relay/bridging/bridge_subscribe.h"

#include <errno.h>
#include <stdio.h>

/* Of messages on their way up, where the configuration does not say: brokers of before version 5 say nothing, and many
 * of them take no more than 20 at a time. */
#define INFLIGHT_5 1000u
#define INFLIGHT_3_1_1 20u
#define RETURN_CODE_VERSION 1u
#define SILENCES_MAX 2u

static uint32_t inflight_of(const struct bridge_lane *lane)
{
	const struct session_link *remote = &lane->exchange.remote;
	uint32_t most = lane->bridge->inflight;
	if (most == 0)
		most = remote->version == MQTT_VERSION_5 ? INFLIGHT_5 : INFLIGHT_3_1_1;
	return most < remote->connack.receive_max ? most : remote->connack.receive_max;
}

bool bridge_lane_init(struct bridge_lane *lane, const struct mqtt_bridge *bridge, const char *node, int done_fd)
{
	*lane = (struct bridge_lane){.bridge = bridge, .node = node, .stage = BRIDGE_AWAY, .receive_max = UINT16_MAX};
	lane->packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	lane->settled = bridge->protocol == BRIDGE_PROTOCOL_3_1_1 ? BRIDGE_SPEAKS_3_1_1_AS_BRIDGE : BRIDGE_SPEAKS_5;
	lane->speech = lane->settled;
	exchange_init(&lane->exchange, bridge);
	pause_clear(&lane->pause);
	return upstream_dial_init(&lane->dial, bridge, done_fd);
}

void bridge_lane_fini(struct bridge_lane *lane)
{
	exchange_close(&lane->exchange);
	exchange_fini(&lane->exchange);
	upstream_dial_fini(&lane->dial);
}

/* ---- faults ---- */

static void note_bridge_fault(struct bridge_lane *lane, const char *fault, uint64_t now_ms)
{
	CHECK(fault[0] != '\0');
	bool is_news = strcmp(lane->told, fault) != 0 || !lane->says_when_well;
	if (is_news && (lane->told_ms == 0 || now_ms - lane->told_ms >= BRIDGE_TELL_MS)) {
		log_write(LOG_WARNING, "bridge %s: %s", lane->bridge->name, fault);
		snprintf(lane->told, sizeof(lane->told), "%s", fault);
		lane->told_ms = now_ms;
		lane->says_when_well = true;
	}
	snprintf(lane->fault, sizeof(lane->fault), "%s", fault);
	lane->fault_ms = now_ms;
}

/* What one message was not taken for says nothing of the others. */
static void bridge_lane_note_poison(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	if (exchange->poison[0] != '\0')
		note_bridge_fault(lane, exchange->poison, now_ms);
	exchange->poison[0] = '\0';
	if (exchange->remote.notice[0] != '\0')
		note_bridge_fault(lane, exchange->remote.notice, now_ms);
	exchange->remote.notice[0] = '\0';
}

static void bridge_lane_go_away(struct bridge_lane *lane, const char *fault, uint64_t now_ms)
{
	bridge_lane_note_poison(lane, now_ms);
	note_bridge_fault(lane, fault, now_ms);
	if (lane->stage == BRIDGE_BRIDGED && now_ms - lane->connected_ms >= BRIDGE_SETTLED_MS)
		pause_clear(&lane->pause);
	exchange_close(&lane->exchange);
	lane->speech = lane->stage == BRIDGE_GREETING ? lane->speech : lane->settled;
	lane->stage = BRIDGE_AWAY;
	lane->exchange.counts.retries++;
	pause_begin(&lane->pause, now_ms);
}

/* ---- this gateway's side ---- */

static bool open_local(struct bridge_lane *lane, uint32_t window, uint64_t now_ms)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	const struct session_peer gateway = {.streams = NULL};
	struct mqtt_connect connect = {
		.client_id = slice_of(id, item_client_id(MQTT_BRIDGE_CLIENT_PREFIX, lane->bridge->name, id)),
		.version = MQTT_VERSION_5,
		.session_expiry_s = UINT32_MAX,
		.receive_max = (uint16_t)window,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.request_problem_info = true,
	};
	CHECK(window != 0 && window <= UINT16_MAX);
	int fd = gateway_open_internal(lane->gateway);
	if (fd < 0) {
		bridge_lane_go_away(lane, strerror(errno), now_ms);
		return false;
	}
	session_link_open_to(&lane->exchange.local, fd, &gateway, &connect);
	lane->until_ms = now_ms + BRIDGE_GREETING_MS;
	return true;
}

static void prime(struct bridge_lane *lane, uint64_t now_ms)
{
	/* What comes meanwhile comes again, so it is to be little. */
	if (open_local(lane, 1, now_ms))
		lane->stage = BRIDGE_PRIMING;
}

static void tend_local(struct bridge_lane *lane, uint64_t now_ms)
{
	struct session_link *local = &lane->exchange.local;
	bool is_priming = lane->stage == BRIDGE_PRIMING;
	if (local->state == SESSION_CONNECTED) {
		if (!local->connack.session_present)
			exchange_forget(&lane->exchange.up);
		lane->receive_max = local->connack.receive_max;
		if (local->connack.packet_bytes_max != 0)
			lane->packet_bytes_max = local->connack.packet_bytes_max;
		bridge_subscribe_local(lane->bridge, lane->asker, local, is_priming);
	}
	if (local->state != SESSION_READY)
		return;
	if (is_priming) {
		lane->is_primed = true;
		exchange_close(&lane->exchange);
		lane->stage = BRIDGE_AWAY;
		return;
	}
	lane->stage = BRIDGE_BRIDGED;
	lane->connected_ms = now_ms;
	lane->exchange.counts.connections++;
	log_write(LOG_INFO, "bridge %s: connected to %s in version %s", lane->bridge->name, lane->bridge->url,
		  lane->exchange.remote.version == MQTT_VERSION_5 ? "5" : "3.1.1");
	lane->says_when_well = false;
}

/* ---- the broker's side ---- */

static void bridge_lane_greet(struct bridge_lane *lane, uint64_t now_ms)
{
	char id[MQTT_BRIDGE_TEXT_BYTES_MAX + ITEM_NAME_BYTES_MAX];
	const struct mqtt_bridge *bridge = lane->bridge;
	size_t most = lane->packet_bytes_max;
	const struct session_peer broker = {
		.name = "the broker",
		.packet_bytes_max = most > BRIDGE_PACKET_BYTES_MAX ? most : BRIDGE_PACKET_BYTES_MAX,
		.streams = &lane->dial.streams,
		.stream = lane->dial.stream,
	};
	bool is_5 = lane->speech == BRIDGE_SPEAKS_5;
	if (bridge->client_id[0] != '\0')
		snprintf(id, sizeof(id), "%s", bridge->client_id);
	else
		snprintf(id, sizeof(id), "%.120s-%s", lane->node[0] != '\0' ? lane->node : "roost", bridge->name);
	const struct mqtt_connect connect = {
		.client_id = slice_string(id),
		.user_name = slice_string(bridge->user),
		.has_user_name = bridge->user[0] != '\0',
		.password = slice_of(lane->dial.password, lane->dial.password_bytes),
		.has_password = lane->dial.password != NULL,
		.version = is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1,
		.is_bridge = lane->speech == BRIDGE_SPEAKS_3_1_1_AS_BRIDGE,
		.clean_start = bridge->is_clean,
		.session_expiry_s = is_5 && !bridge->is_clean ? bridge->session_expiry_s : 0,
		.keepalive_s = (uint16_t)bridge->keepalive_s,
		.receive_max = lane->receive_max,
		.packet_bytes_max = lane->packet_bytes_max,
		.request_problem_info = true,
	};
	session_link_open_to(&lane->exchange.remote, lane->dial.fd, &broker, &connect);
	lane->stage = BRIDGE_GREETING;
	lane->until_ms = now_ms + BRIDGE_GREETING_MS;
	lane->heard_ms = lane->said_ms = now_ms;
}

static void bridge_lane_end_dial(struct bridge_lane *lane, uint64_t now_ms)
{
	if (upstream_dial_end(&lane->dial))
		bridge_lane_greet(lane, now_ms);
	else
		bridge_lane_go_away(lane, lane->dial.fault, now_ms);
}

static bool is_version_refused(const struct session_link *remote)
{
	return remote->version == MQTT_VERSION_5 ? remote->refused == MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION
						 : remote->refused == RETURN_CODE_VERSION;
}

/* The broker has ended the connection instead of greeting. One that does not know the version may say so; or it ends
 * the connection, or says so in the words of another version. */
static void try_other_speech(struct bridge_lane *lane)
{
	const struct session_link *remote = &lane->exchange.remote;
	bool is_last = lane->bridge->protocol == BRIDGE_PROTOCOL_5 || lane->speech + 1 == BRIDGE_SPEECHES;
	bool in_words = is_version_refused(remote);
	bool is_other_fault = remote->refused != 0 && !in_words;
	lane->silences = in_words || is_other_fault ? 0 : lane->silences + 1;
	if (is_other_fault || (!in_words && lane->silences < SILENCES_MAX))
		return;
	lane->silences = 0;
	if (is_last) {
		lane->speech = lane->settled;
		return;
	}
	lane->speech = (enum bridge_speech)(lane->speech + 1);
	if (in_words)
		lane->settled = lane->speech;
	pause_clear(&lane->pause);
}

static void tend_greeting(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	if (exchange->remote.state != SESSION_CONNECTED)
		return;
	lane->silences = 0;
	if (!exchange->remote.connack.session_present)
		exchange_forget(&exchange->down);
	bridge_subscribe_remote(lane->bridge, &exchange->remote);
	if (!open_local(lane, inflight_of(lane), now_ms))
		return;
	/* From here on: the first that the session has to say may be the end of a message at QoS 2. */
	exchange->is_open = true;
	lane->stage = BRIDGE_OPENING;
}

/* The broker may ask for another one [3.2.2.3.14]. 0: none. */
static uint64_t keepalive_ms(const struct bridge_lane *lane)
{
	const struct mqtt_connack *connack = &lane->exchange.remote.connack;
	uint32_t keepalive_s = connack->has_server_keepalive ? connack->server_keepalive_s : lane->bridge->keepalive_s;
	return keepalive_s * UINT64_C(1000);
}

/* A connection that looks alive and is not ends; one that is idle is kept. */
static void tend_keepalive(struct bridge_lane *lane, uint64_t now_ms)
{
	struct session_link *remote = &lane->exchange.remote;
	uint64_t period_ms = keepalive_ms(lane);
	if (period_ms == 0 || remote->state != SESSION_READY)
		return;
	uint64_t silent_ms = now_ms - lane->heard_ms, quiet_ms = now_ms - lane->said_ms;
	if (silent_ms >= period_ms + period_ms / 2) {
		bridge_lane_go_away(lane, "the broker does not answer", now_ms);
		return;
	}
	if (remote->pongs_due == 0 && (silent_ms >= period_ms || quiet_ms >= period_ms)) {
		session_link_ping(remote);
		lane->said_ms = now_ms;
	}
}

/* ---- a turn ---- */

static bool is_under_way(const struct bridge_lane *lane)
{
	return lane->stage == BRIDGE_PRIMING || lane->stage == BRIDGE_GREETING || lane->stage == BRIDGE_OPENING;
}

/* An operator may have ended the session meanwhile: then it takes nothing any more. */
static bool has_session(const struct bridge_lane *lane)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts facts;
	size_t size = item_client_id(MQTT_BRIDGE_CLIENT_PREFIX, lane->bridge->name, id);
	return session_asker_inspect(lane->asker, slice_of(id, size), NULL, &facts) != ERROR_NOT_FOUND;
}

static void tend_away(struct bridge_lane *lane, uint64_t now_ms)
{
	if (now_ms < lane->pause.until_ms)
		return;
	if (!lane->is_primed || !has_session(lane))
		prime(lane, now_ms);
	else if (upstream_dial_begin(&lane->dial))
		lane->stage = BRIDGE_DIALLING;
	else
		bridge_lane_go_away(lane, lane->dial.fault, now_ms);
}

static void read_local_side(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	if (!exchange_read_local(exchange))
		bridge_lane_go_away(lane, exchange->local.fault, now_ms);
}

static void read_remote_side(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	lane->heard_ms = now_ms;
	if (exchange_read_remote(exchange))
		return;
	if (lane->stage == BRIDGE_GREETING)
		try_other_speech(lane);
	bridge_lane_go_away(lane, exchange->remote.fault, now_ms);
}

/* What waited for the other side may have gone. */
static void read_stalled(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	if (exchange->local_stalled && exchange_wants_local(exchange))
		read_local_side(lane, now_ms);
	if (exchange->remote_stalled && exchange_wants_remote(exchange))
		read_remote_side(lane, now_ms);
}

void bridge_lane_tend(struct bridge_lane *lane, uint64_t now_ms)
{
	if (is_under_way(lane) && now_ms >= lane->until_ms)
		bridge_lane_go_away(lane,
				    lane->stage == BRIDGE_GREETING ? "the broker does not answer CONNECT"
								   : "the gateway does not answer",
				    now_ms);
	if (lane->stage == BRIDGE_DIALLING && upstream_dial_is_over(&lane->dial))
		bridge_lane_end_dial(lane, now_ms);
	if (lane->stage == BRIDGE_AWAY)
		tend_away(lane, now_ms);
	if (lane->stage == BRIDGE_GREETING)
		tend_greeting(lane, now_ms);
	if (lane->stage == BRIDGE_PRIMING || lane->stage == BRIDGE_OPENING)
		tend_local(lane, now_ms);
	if (lane->stage == BRIDGE_BRIDGED) {
		read_stalled(lane, now_ms);
		tend_keepalive(lane, now_ms);
	}
	bridge_lane_note_poison(lane, now_ms);
}

static uint64_t bridge_lane_sooner_ms(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

uint64_t bridge_lane_due_ms(const struct bridge_lane *lane)
{
	uint64_t period_ms = keepalive_ms(lane);
	if (lane->stage == BRIDGE_AWAY)
		return lane->pause.until_ms;
	if (is_under_way(lane))
		return lane->until_ms;
	if (lane->stage != BRIDGE_BRIDGED || period_ms == 0)
		return UINT64_MAX;
	if (lane->exchange.remote.pongs_due != 0)
		return lane->heard_ms + period_ms + period_ms / 2;
	return bridge_lane_sooner_ms(lane->heard_ms, lane->said_ms) + period_ms;
}

static struct pollfd poll_side(const struct session_link *link, bool is_wanted)
{
	int events = (is_wanted ? POLLIN : 0) | (link->is_blocked ? POLLOUT : 0);
	return (struct pollfd){.fd = link->fd, .events = (short)events};
}

void bridge_lane_poll(const struct bridge_lane *lane, struct pollfd polled[2])
{
	const struct exchange *exchange = &lane->exchange;
	polled[0] = poll_side(&exchange->local, exchange_wants_local(exchange));
	polled[1] = poll_side(&exchange->remote, exchange_wants_remote(exchange));
}

void bridge_lane_hear(struct bridge_lane *lane, const struct pollfd polled[2], uint64_t now_ms)
{
	const struct exchange *exchange = &lane->exchange;
	bool has_ended = ((polled[0].revents | polled[1].revents) & (POLLHUP | POLLERR)) != 0;
	/* Each may close both. */
	if (exchange->local.state != SESSION_CLOSED && (polled[0].revents & ~POLLOUT) != 0 &&
	    exchange_wants_local(exchange))
		read_local_side(lane, now_ms);
	if (exchange->remote.state != SESSION_CLOSED && (polled[1].revents & ~POLLOUT) != 0 &&
	    exchange_wants_remote(exchange))
		read_remote_side(lane, now_ms);
	/* Where one has ended, and what it has sent has no room: all of it comes again. */
	bool is_there = exchange->remote.state != SESSION_CLOSED || exchange->local.state != SESSION_CLOSED;
	bool was_read = exchange_wants_local(exchange) && exchange_wants_remote(exchange);
	if (has_ended && is_there && exchange->is_open && !was_read)
		bridge_lane_go_away(lane, "a connection was closed", now_ms);
}

void bridge_lane_flush(struct bridge_lane *lane, uint64_t now_ms)
{
	struct exchange *exchange = &lane->exchange;
	if (exchange->remote.state != SESSION_CLOSED && exchange->remote.out.size != 0) {
		lane->said_ms = now_ms;
		if (!session_link_flush(&exchange->remote)) {
			if (lane->stage == BRIDGE_GREETING)
				try_other_speech(lane);
			bridge_lane_go_away(lane, exchange->remote.fault, now_ms);
		}
	}
	if (exchange->local.state != SESSION_CLOSED && exchange->local.out.size != 0 &&
	    !session_link_flush(&exchange->local))
		bridge_lane_go_away(lane, exchange->local.fault, now_ms);
}

void bridge_lane_stop(struct bridge_lane *lane)
{
	upstream_dial_give_up(&lane->dial);
	if (lane->exchange.remote.state != SESSION_CLOSED)
		session_link_flush(&lane->exchange.remote);
}

/* ---- how it is doing ---- */

void bridge_lane_status(const struct bridge_lane *lane, uint64_t now_ms, struct bridge_status *status)
{
	bool is_connected = lane->stage == BRIDGE_BRIDGED;
	*status = (struct bridge_status){
		.state = is_connected      ? BRIDGE_WORKING
			 : lane->is_primed ? BRIDGE_WAITING
					   : BRIDGE_STARTING,
		.version = is_connected ? lane->exchange.remote.version : 0,
		.counts = lane->exchange.counts,
		.connected_s = is_connected ? (double)(now_ms - lane->connected_ms) / 1e3 : 0,
		.fault_age_s = lane->fault[0] != '\0' ? (double)(now_ms - lane->fault_ms) / 1e3 : 0,
	};
	snprintf(status->name, sizeof(status->name), "%s", lane->bridge->name);
	snprintf(status->url, sizeof(status->url), "%s", lane->bridge->url);
	snprintf(status->fault, sizeof(status->fault), "%s", lane->fault);
}
