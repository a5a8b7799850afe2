/* What an outside authority is asked about a client, as text: the name of a key in Redis, or the body of an HTTP
 * request. The answer depends on the text and on nothing else, so the cache knows a question by a keyed hash of it.
 * Pure; any thread. */
#ifndef AUTH_OUTSIDE_QUESTION_H
#define AUTH_OUTSIDE_QUESTION_H

#include "base/slice.h"

/* What is known of the client. Texts without data are not there. */
struct outside_question {
	struct slice client_id;
	struct slice user_name;
	struct slice password;
	struct slice address;     /* without the port */
	struct slice transport;   /* "tcp", "tls", "ws", "wss", "unix" */
	struct slice certificate; /* the name in its certificate, where the listener takes one */
	uint8_t version;          /* of MQTT: 3, 4 or 5 */
};

/* ---- keys ---- */

enum outside_placeholder { OUTSIDE_KEY_OF_USER, OUTSIDE_KEY_OF_CLIENT };

/* Names of keys: "roost:user:{user}". Points into the text that it was read from. */
struct outside_key {
	struct slice before;
	struct slice after;
	enum outside_placeholder placeholder;
};

/* Exactly one {user} or {client}, and something in front of it, by which Redis tells of changes. Returns NULL, or what
 * is wrong, in static storage. */
const char *outside_key_read(struct outside_key *key, const char *text);

/* What stands for the placeholder; size 0: the client has none. */
struct slice outside_key_value(const struct outside_key *key, const struct outside_question *question);
/* The same of a key's name. False: it is none of these. */
bool outside_key_value_of(const struct outside_key *key, struct slice name, struct slice *value);

/* ---- texts ---- */

/* Both return the text's size, and write it if `room` is enough. */
size_t outside_key_write(const struct outside_key *key, struct slice value, uint8_t *out, size_t room);
/* One JSON object of client_id, username, password (password_base64 where it is not UTF-8), address, transport, version
 * and certificate, of which those that are not there are left out. */
size_t outside_json_write(const struct outside_question *question, uint8_t *out, size_t room);

#endif
