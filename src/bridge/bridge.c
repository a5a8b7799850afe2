#include "bridge/bridge.h"

#include "base/check.h"
#include "base/log.h"
#include "bridge/jwks_fetch.h"
#include "bridge/redis_revocations.h"

#include <stdlib.h>
#include <string.h>

struct bridge {
	/* One block per thread: counters have one writer. */
	struct counters redis_counters;
	struct counters jwks_counters;
	const struct settings *settings;
	struct redis_settings redis_settings;
	struct redis_revocations *redis;
	struct jwks_fetch *jwks;
};

static bool is_configured(const char *text)
{
	return text[0] != '\0';
}

/* The files are read at each connection; at the start they are to be good. */
static bool read_redis_tls(const struct access_settings *access, struct redis_settings *redis)
{
	bool given = is_configured(access->redis_ca_file) || is_configured(access->redis_tls_certificate) ||
		     is_configured(access->redis_tls_key) || is_configured(access->redis_tls_name);
	char fault[TLS_FAULT_BYTES_MAX];
	if (given && !redis->target.url.is_tls) {
		log_write(LOG_ERROR, "--redis-ca-file and --redis-tls-... are for a --redis that begins with "
				     "rediss://, rediss+cluster:// or rediss+sentinel://");
		return false;
	}
	if (is_configured(access->redis_tls_key) && !is_configured(access->redis_tls_certificate)) {
		log_write(LOG_ERROR, "--redis-tls-key is the key of a --redis-tls-certificate, and there is none");
		return false;
	}
	redis->target.tls = (struct redis_tls_settings){
		.on = redis->target.url.is_tls,
		.ca_file = access->redis_ca_file,
		.certificate = access->redis_tls_certificate,
		.key = access->redis_tls_key,
		.name = access->redis_tls_name,
	};
	struct tls_context *trial = redis->target.tls.on ? redis_tls_read(&redis->target.tls, fault) : NULL;
	if (redis->target.tls.on && trial == NULL) {
		log_write(LOG_ERROR, "--redis: %s", fault);
		return false;
	}
	tls_context_put(&trial);
	return true;
}

static bool read_settings(struct bridge *bridge)
{
	const struct access_settings *access = &bridge->settings->access;
	const char *why;
	char fault[REDIS_URL_FAULT_BYTES];
	if (is_configured(access->redis_url) &&
	    !redis_url_parse(access->redis_url, &bridge->redis_settings.target.url, fault)) {
		log_write(LOG_ERROR, "--redis: %s", fault); /* the URL may hold a password */
		return false;
	}
	if (!read_redis_tls(access, &bridge->redis_settings))
		return false;
	if (is_configured(access->token_jwks_url) && !jwks_url_check(access->token_jwks_url, &why)) {
		log_write(LOG_ERROR, "--token-jwks-url: %s %s", access->token_jwks_url, why);
		return false;
	}
	return true;
}

struct bridge *bridge_new(const struct settings *settings)
{
	struct bridge *bridge = aligned_alloc(_Alignof(struct bridge), sizeof(*bridge));
	if (bridge == NULL) {
		log_write(LOG_ERROR, "cannot start: out of memory");
		return NULL;
	}
	memset(bridge, 0, sizeof(*bridge));
	bridge->settings = settings;
	if (read_settings(bridge))
		return bridge;
	bridge_free(bridge);
	return NULL;
}

const struct redis_settings *bridge_redis(const struct bridge *bridge)
{
	return is_configured(bridge->settings->access.redis_url) ? &bridge->redis_settings : NULL;
}

bool bridge_start(struct bridge *bridge, struct gateway *gateway)
{
	const struct settings *settings = bridge->settings;
	struct access *access = gateway_access(gateway);
	bool good = true;
	CHECK(bridge->redis == NULL && bridge->jwks == NULL); /* bridge_start() is called once */
	if (is_configured(settings->access.redis_url)) {
		bridge->redis_settings.rescan_s = settings->access.redis_rescan_s;
		bridge->redis_settings.private_table = settings->private_tables;
		gateway_count_also(gateway, &bridge->redis_counters);
		bridge->redis = redis_revocations_start(&bridge->redis_settings, access, &bridge->redis_counters);
		good = bridge->redis != NULL;
	}
	if (good && is_configured(settings->access.token_jwks_url)) {
		struct jwks_settings jwks = {
			.url = settings->access.token_jwks_url,
			.ca_file = settings->access.token_jwks_ca_file,
			.refresh_s = settings->access.token_jwks_refresh_s,
			.cooldown_s = settings->access.token_jwks_cooldown_s,
			.private_table = settings->private_tables,
		};
		gateway_count_also(gateway, &bridge->jwks_counters);
		bridge->jwks = jwks_fetch_start(&jwks, access, &bridge->jwks_counters);
		good = bridge->jwks != NULL;
	}
	if (!good)
		log_write(LOG_ERROR, "cannot start the threads that speak to other servers");
	return good;
}

void bridge_stop(struct bridge *bridge)
{
	redis_revocations_stop(&bridge->redis);
	jwks_fetch_stop(&bridge->jwks);
}

void bridge_free(struct bridge *bridge)
{
	free(bridge);
}
