/* What a gate hands to a shard together with a socket: a client whose CONNECT was read, checked and allowed in. On the
 * heap; the gate gives it away with the socket, the shard frees it. */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include "base/slice.h"

struct admission {
	uint64_t hash;             /* of the client id */
	uint32_t address;          /* its place in the addresses, 0: not counted */
	uint32_t packet_bytes_max; /* the client's */
	uint32_t session_expiry_s; /* as granted; UINT32_MAX: never */
	uint32_t will_delay_s;
	uint32_t will_bytes;      /* an encoded PUBLISH, 0: no will */
	uint32_t rest_bytes;      /* what the client sent behind its CONNECT */
	uint16_t keepalive_s;     /* as granted */
	uint16_t receive_max;     /* the client's */
	uint16_t topic_alias_max; /* the client's */
	uint16_t id_bytes;
	uint8_t version; /* enum mqtt_version */
	bool clean_start;
	bool assigned_id;
	bool expiry_changed;    /* granted otherwise than asked: the client is told */
	bool keepalive_changed; /* likewise */
	bool wants_response_info;
	uint8_t bytes[]; /* client id, will, rest */
};

static inline struct slice admission_id(const struct admission *admission)
{
	return slice_of(admission->bytes, admission->id_bytes);
}

static inline struct slice admission_will(const struct admission *admission)
{
	return slice_of(admission->bytes + admission->id_bytes, admission->will_bytes);
}

static inline struct slice admission_rest(const struct admission *admission)
{
	return slice_of(admission->bytes + admission->id_bytes + admission->will_bytes, admission->rest_bytes);
}

#endif
