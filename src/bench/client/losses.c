#include "bench/client/losses.h"

#include "base/check.h"
#include "base/error.h"
#include "mqtt/field/reason.h"

#include <stdio.h>
#include <string.h>

enum code_kind { CODE_NONE, CODE_ERRNO, CODE_ERROR, CODE_HTTP, CODE_RETURN_CODE, CODE_REASON };

#define NAME_BYTES 128u

_Static_assert(ERROR_COUNT <= LOSS_CODES, "and each error");
_Static_assert(LOSS_CODES > UINT8_MAX, "each reason code is counted by itself");

static const struct {
	const char *sentence;
	enum code_kind code;
} LOSSES[LOSS_COUNT] = {
#define X(kind, code, sentence) [LOSS_##kind] = {sentence, CODE_##code},
	LOSS_TABLE(X)
#undef X
};

void losses_add(struct losses *losses, enum loss kind, uint32_t code)
{
	CHECK(kind < LOSS_COUNT);
	losses->counts[kind][code < LOSS_CODES ? code : LOSS_CODES - 1]++;
}

void losses_merge(struct losses *into, const struct losses *from)
{
	for (uint32_t kind = 0; kind < LOSS_COUNT; kind++)
		for (uint32_t code = 0; code < LOSS_CODES; code++)
			into->counts[kind][code] += from->counts[kind][code];
}

uint64_t losses_total(const struct losses *losses)
{
	uint64_t total = 0;
	for (uint32_t kind = 0; kind < LOSS_COUNT; kind++)
		for (uint32_t code = 0; code < LOSS_CODES; code++)
			total += losses->counts[kind][code];
	return total;
}

/* [3.2.2.3 of 3.1.1] */
static const char *return_code_name(uint32_t code)
{
	static const char *const names[] = {
		"accepted",           "unacceptable protocol version", "identifier rejected",
		"server unavailable", "bad user name or password",     "not authorized"};
	return code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown return code";
}

/* room: for a name that has no static storage. */
static const char *code_name(enum code_kind kind, uint32_t code, uint8_t version, char room[NAME_BYTES])
{
	switch (kind) {
	case CODE_ERRNO:
		return strerror((int)code);
	case CODE_ERROR:
		snprintf(room, NAME_BYTES, "%s", error_sentence((enum error)code));
		/* Sentences about the peer are the server's, to whom it is the client. */
		if (strncmp(room, "client", 6) == 0)
			memcpy(room, "server", 6);
		return room;
	case CODE_HTTP:
		snprintf(room, NAME_BYTES, "%u", code > 0 ? code + 256 : 0);
		return room;
	case CODE_RETURN_CODE:
		return version < 5 ? return_code_name(code) : mqtt_reason_name((uint8_t)code);
	case CODE_REASON:
		return mqtt_reason_name((uint8_t)code);
	case CODE_NONE:
		break;
	}
	return NULL;
}

void losses_describe(const struct losses *losses, uint8_t version, char *out, size_t out_size)
{
	CHECK(out_size > 0);
	size_t used = 0;
	out[0] = '\0';
	for (uint32_t kind = 0; kind < LOSS_COUNT; kind++) {
		for (uint32_t code = 0; code < LOSS_CODES; code++) {
			char room[NAME_BYTES];
			uint32_t count = losses->counts[kind][code];
			if (count == 0 || used >= out_size)
				continue;
			const char *name = code_name(LOSSES[kind].code, code, version, room);
			int written =
				snprintf(out + used, out_size - used, "%s%u %s%s%s", used > 0 ? "; " : "", count,
					 LOSSES[kind].sentence, name != NULL ? ": " : "", name != NULL ? name : "");
			used += written > 0 ? (size_t)written : 0;
		}
	}
}
