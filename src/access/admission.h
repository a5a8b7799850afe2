/* What a gate hands to a shard together with a socket: the result of a CONNECT that was read, checked and accepted. On
 * the heap. The gate passes ownership along with the socket; the shard frees it. */
#ifndef ACCESS_ADMISSION_H
#define ACCESS_ADMISSION_H

#include "base/slice.h"
#include "net/stream.h"

#define ADMISSION_NEVER_S UINT32_MAX

struct admission {
	uint64_t hash;             /* of the client id */
	uint64_t token_hash;       /* of the token's id; 0: none */
	uint64_t user_hash;        /* of the user's name; 0: none */
	struct stream_carry carry; /* the part of its stream that is not the socket */
	uint32_t address;          /* place in access/addresses.h; 0: not counted; or ADDRESSES_INTERNAL */
	uint32_t packet_bytes_max; /* the client's Maximum Packet Size */
	uint32_t session_expiry_s; /* as granted; UINT32_MAX: never */
	uint32_t expires_in_s;     /* until its token expires; ADMISSION_NEVER_S: never */
	uint32_t will_delay_s;
	uint32_t rules_bytes; /* of the token's permissions */
	uint32_t will_bytes;  /* of the will as an encoded PUBLISH; 0: no will */
	uint32_t rest_bytes;  /* of input that followed CONNECT */
	uint16_t user_bytes;
	uint16_t token_bytes;     /* of the token's id */
	uint16_t keepalive_s;     /* as granted */
	uint16_t receive_max;     /* the client's Receive Maximum */
	uint16_t topic_alias_max; /* the client's Topic Alias Maximum */
	uint16_t id_bytes;
	uint8_t version; /* enum mqtt_version */
	bool is_bridge;
	bool is_unix;   /* it came through a unix socket */
	bool is_beyond; /* beyond the limit: it may only take over a connection (runtime/quota.h) */
	bool clean_start;
	bool assigned_id;
	bool expiry_changed;    /* granted other than requested: CONNACK says so */
	bool keepalive_changed; /* likewise */
	bool wants_response_info;
	bool has_principal;          /* it signed in, or rules are configured (state/principal.h) */
	bool has_rules;              /* the token lists permissions; the list may be empty */
	bool uses_auth;              /* it named an authentication method */
	_Alignas(4) uint8_t bytes[]; /* rules, client id, will, rest, user, token's id */
};

static inline struct slice admission_rules(const struct admission *admission)
{
	return slice_of(admission->has_rules ? admission->bytes : NULL, admission->rules_bytes);
}

static inline struct slice admission_id(const struct admission *admission)
{
	return slice_of(admission->bytes + admission->rules_bytes, admission->id_bytes);
}

static inline struct slice admission_will(const struct admission *admission)
{
	struct slice id = admission_id(admission);
	return slice_of(id.data + id.size, admission->will_bytes);
}

static inline struct slice admission_rest(const struct admission *admission)
{
	struct slice will = admission_will(admission);
	return slice_of(will.data + will.size, admission->rest_bytes);
}

static inline struct slice admission_user(const struct admission *admission)
{
	struct slice rest = admission_rest(admission);
	return slice_of(rest.data + rest.size, admission->user_bytes);
}

static inline struct slice admission_token(const struct admission *admission)
{
	struct slice user = admission_user(admission);
	return slice_of(user.data + user.size, admission->token_bytes);
}

/* The size of the struct and the bytes that follow it. */
static inline size_t admission_bytes(const struct admission *admission)
{
	struct slice last = admission_token(admission);
	return (size_t)(last.data + last.size - (const uint8_t *)admission);
}

#endif
