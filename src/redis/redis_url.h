/* Where Redis is, as a URL says it. User and password may contain %-escapes. Pure; any thread.
 *
 *	redis://[user:password@]host[:port][/database]
 *	redis+cluster://[user:password@]host[:port][,host[:port]...]           nodes of a cluster, from which it is
 *learned redis+sentinel://[user:password@]host[:port][,...]/master[/database]   Sentinels, and the name of what they
 *watch
 *		[?sentinel_user=U&sentinel_password=P]                         how the Sentinels themselves let one in
 *	rediss://, rediss+cluster://, rediss+sentinel://                       likewise for TLS
 *	unix://[user:password@]/path[?db=database] */
#ifndef REDIS_REDIS_URL_H
#define REDIS_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#define REDIS_URL_BYTES_MAX 1024u
#define REDIS_PORT_DEFAULT 6379u
#define REDIS_SENTINEL_PORT_DEFAULT 26379u
#define REDIS_TEXT_BYTES_MAX 256u
/* Servers that a URL names. */
#define REDIS_SEEDS_MAX 16u
#define REDIS_URL_FAULT_BYTES 256u
/* A host, a colon, a port and brackets. */
#define REDIS_PLACE_BYTES (REDIS_TEXT_BYTES_MAX + 10u)

enum redis_kind {
	REDIS_SINGLE,
	REDIS_CLUSTER,
	REDIS_SENTINEL,
};

/* A server. */
struct redis_place {
	char host[REDIS_TEXT_BYTES_MAX];
	uint16_t port; /* 0: host is the path of a socket */
};

struct redis_login {
	char user[REDIS_TEXT_BYTES_MAX];     /* "": the default one */
	char password[REDIS_TEXT_BYTES_MAX]; /* "": none */
};

struct redis_url {
	enum redis_kind kind;
	bool is_tls;
	uint32_t database;
	struct redis_login login;
	struct redis_login sentinel_login; /* to the Sentinels */
	char master[REDIS_TEXT_BYTES_MAX]; /* the name that Sentinels know it by */
	struct redis_place seeds[REDIS_SEEDS_MAX];
	uint32_t seed_count; /* 1 at least; 1 where it is REDIS_SINGLE */
};

/* On failure it returns false and writes a sentence, which names the server that is wrong and contains no password. */
bool redis_url_parse(const char *text, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES]);

bool redis_place_equal(const struct redis_place *one, const struct redis_place *other);
/* "host:port", "[::1]:port" or the path of a socket. Returns text. */
const char *redis_place_text(const struct redis_place *place, char text[REDIS_PLACE_BYTES]);

#endif
