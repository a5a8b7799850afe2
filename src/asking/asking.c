#include "asking/asking.h"

#include "access/authority.h"
#include "asking/http_sign_ins.h"
#include "asking/redis_users.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct asking {
	struct counters counters; /* of the thread */
	const struct settings *settings;
	const struct redis_settings *redis;
	struct redis_users *users;
	struct http_sign_ins *http;
};

static bool asking_is_set(const char *text)
{
	return text[0] != '\0';
}

static struct http_sign_in_settings http_settings_of(const struct settings *settings)
{
	return (struct http_sign_in_settings){
		.url = settings->access.auth_http,
		.ca_file = settings->access.auth_http_ca_file,
		.token_file = settings->access.auth_http_token_file,
		.secret_file = settings->access.auth_http_secret_file,
		.timeout_ms = settings->access.auth_http_timeout_ms,
		.private_table = settings->private_tables,
	};
}

/* A record's key says which node of a cluster has it, and each node tells of its own keys. */
static bool check_that_it_is_one_server(const struct settings *settings)
{
	char fault[REDIS_URL_FAULT_BYTES];
	struct redis_url url;
	if (!asking_is_set(settings->access.auth_redis) || !redis_url_parse(settings->access.redis_url, &url, fault) ||
	    url.kind != REDIS_CLUSTER)
		return true;
	log_write(LOG_ERROR,
		  "auth-redis: users are looked up in one server, or in the master that Sentinels name; redis "
		  "names a cluster");
	return false;
}

bool asking_check(const struct settings *settings)
{
	if (!check_that_it_is_one_server(settings))
		return false;
	struct http_sign_in_settings http = http_settings_of(settings);
	struct fault fault;
	if (!asking_is_set(http.url) || http_sign_ins_check(&http, &fault))
		return true;
	log_write(LOG_ERROR, "%s", fault.text);
	return false;
}

struct asking *asking_new(const struct settings *settings, const struct redis_settings *redis)
{
	struct asking *asking = aligned_alloc(_Alignof(struct asking), sizeof(*asking));
	if (asking == NULL)
		return NULL;
	memset(asking, 0, sizeof(*asking));
	asking->settings = settings;
	asking->redis = redis;
	return asking;
}

void asking_free(struct asking *asking)
{
	CHECK(asking == NULL || (asking->users == NULL && asking->http == NULL));
	free(asking);
}

/* An heir serves on: nobody is to wait for a thread that is not there. */
static void refuse_all(struct gateway *gateway)
{
	log_write(LOG_ERROR, "cannot start the thread that asks whom to let in");
	authority_set_away(gateway_authority(gateway), true, clock_now_ms());
}

bool asking_start(struct asking *asking, struct gateway *gateway)
{
	const struct settings *settings = asking->settings;
	if (gateway_authority(gateway) == NULL)
		return true;
	CHECK(asking->users == NULL && asking->http == NULL); /* it is started once */
	gateway_count_also(gateway, &asking->counters);
	if (asking_is_set(settings->access.auth_redis)) {
		struct redis_settings redis = *asking->redis;
		redis.private_table = settings->private_tables;
		asking->users = redis_users_start(&redis, gateway, &asking->counters);
	} else {
		struct http_sign_in_settings http = http_settings_of(settings);
		asking->http = http_sign_ins_start(&http, gateway, &asking->counters);
	}
	if (asking->users == NULL && asking->http == NULL)
		refuse_all(gateway);
	return asking->users != NULL || asking->http != NULL;
}

void asking_stop(struct asking *asking)
{
	redis_users_stop(&asking->users);
	http_sign_ins_stop(&asking->http);
}
