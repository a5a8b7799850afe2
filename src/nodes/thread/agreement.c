#include "nodes/thread/agreement.h"

#include "base/file.h"
#include "cluster/common/key.h"

#include <endian.h>
#include <stdlib.h>

/* As access/snapshot.c reads them, or more. */
#define FILE_BYTES_MAX ((size_t)64 << 20)

/* A hash of all that was added, in its order. */
struct mixing {
	struct hash_key key;
	uint64_t hash;
};

static void mix_bytes(struct mixing *mixing, struct slice bytes)
{
	uint64_t both[2] = {htole64(mixing->hash), htole64(hash_slice(&mixing->key, bytes))};
	mixing->hash = hash_slice(&mixing->key, slice_of(both, sizeof(both)));
}

static void mix_text(struct mixing *mixing, const char *text)
{
	mix_bytes(mixing, slice_string(text));
}

static void mix_number(struct mixing *mixing, uint64_t number)
{
	number = htole64(number);
	mix_bytes(mixing, slice_of(&number, sizeof(number)));
}

/* Its content; where it lies does not matter. Secrets too: their permissions are checked by those who use them. */
static void mix_file(struct mixing *mixing, const char *path)
{
	uint8_t *data = NULL;
	size_t size = 0;
	if (path[0] == '\0' || file_read(path, FILE_BYTES_MAX, FILE_PUBLIC, &data, &size) != NULL) {
		mix_bytes(mixing, slice_of(NULL, 0));
		return;
	}
	mix_bytes(mixing, slice_of(data, size));
	free(data);
}

static void mix_rules(struct mixing *mixing, const struct settings *settings)
{
	const struct access_settings *access = &settings->access;
	mix_file(mixing, access->rule_file);
	mix_text(mixing, access->client_id_pattern);
	mix_number(mixing, access->allow_by_default);
	mix_number(mixing, access->anonymous);
}

static void mix_keys(struct mixing *mixing, const struct settings *settings)
{
	const struct access_settings *access = &settings->access;
	mix_file(mixing, access->token_secret_file);
	mix_file(mixing, access->token_key_file);
	mix_file(mixing, access->token_jwks_file);
	const char *texts[] = {access->token_jwks_url,   access->token_issuer,
			       access->token_audience,   access->token_claim_client_id,
			       access->token_claim_user, access->token_claim_permissions};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		mix_text(mixing, texts[i]);
}

static void mix_passwords(struct mixing *mixing, const struct settings *settings)
{
	const struct access_settings *access = &settings->access;
	mix_file(mixing, access->password_file);
	mix_text(mixing, access->auth_redis);
	mix_text(mixing, access->auth_http);
}

/* What CONNACK says, and what ends sessions. */
static void mix_limits(struct mixing *mixing, const struct settings *settings)
{
	mix_number(mixing, settings->packet_bytes_max);
	mix_number(mixing, settings->receive_max);
	mix_number(mixing, settings->topic_alias_max);
	mix_number(mixing, settings->session_expiry_max_s);
	mix_number(mixing, settings->keepalive_max_s);
	mix_number(mixing, settings->client_id_bytes_max);
}

static void mix_retained(struct mixing *mixing, const struct settings *settings)
{
	mix_number(mixing, settings->retained_max);
	mix_number(mixing, settings->retained_bytes_max);
}

static void mix_delivery(struct mixing *mixing, const struct settings *settings)
{
	mix_number(mixing, settings->overlapping_one);
	mix_number(mixing, settings->payload_format_check);
	mix_number(mixing, settings->cluster.prefers_local);
	mix_number(mixing, settings->cluster.replicas);
}

void agreement_of(const struct settings *settings, struct agreement agreements[AGREEMENTS])
{
	static const struct {
		const char *name;
		void (*mix)(struct mixing *mixing, const struct settings *settings);
	} PARTS[AGREEMENTS] = {
		{"rules of access", mix_rules},    {"token keys", mix_keys},
		{"passwords", mix_passwords},      {"limits of clients", mix_limits},
		{"retained limits", mix_retained}, {"rules of delivery", mix_delivery},
	};
	struct mixing mixing = {.key = cluster_key(slice_string(settings->cluster.name), CLUSTER_KEY_AGREEMENT)};
	for (size_t i = 0; i < AGREEMENTS; i++) {
		mixing.hash = 0;
		PARTS[i].mix(&mixing, settings);
		agreements[i] = (struct agreement){.name = slice_string(PARTS[i].name), .hash = mixing.hash};
	}
}
