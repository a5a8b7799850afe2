/* `roost token`: a token for development and tests. */
#include "tool/token.h"

#include "base/check.h"
#include "cli/command.h"
#include "tool/signer.h"
#include "tool/tool.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char COMMAND[] = "token";

static const char USAGE[] =
	"Usage: roost token (--key FILE | --secret-file FILE) [OPTION...]\n"
	"       roost token inspect [OPTION...] [TOKEN]\n"
	"       roost token keygen --alg ALG --private FILE [OPTION...]\n\n"
	"Writes a signed token to stdout, for a client's MQTT password. Meant for development: in production, tokens "
	"come\n"
	"from the service where users sign in.\n\n"
	"      --key FILE                 private key to sign with: JWK, JWK set with one key, or PEM\n"
	"      --secret-file FILE         HS256 secret to sign with; the file's content as it is\n"
	"      --alg ALG                  fail unless this is the key's algorithm; for scripts\n"
	"      --kid ID                   key id in the header (the key's own)\n"
	"      --sub USER, --user USER    \"sub\", from which the server takes the user name by default\n"
	"      --client-id ID             \"client_id\": valid for this client id only\n"
	"      --iss TEXT, --aud TEXT     issuer; audience\n"
	"      --jti ID                   token id, by which the token can be revoked (random)\n"
	"      --ttl SECONDS              time until it expires; 0: never (3600)\n"
	"      --allow-publish FILTER     allow publishing to these topics. This option and the next three may be\n"
	"      --allow-subscribe FILTER   repeated; a token with any of them allows nothing else\n"
	"      --deny-publish FILTER\n"
	"      --deny-subscribe FILTER\n"
	"      --claim NAME=JSON          any other claim; may be repeated\n"
	"      --help\n";

enum {
	OPTION_KEY = CLI_FIRST,
	OPTION_SECRET_FILE,
	OPTION_ALG,
	OPTION_KID,
	OPTION_SUB,
	OPTION_CLIENT_ID,
	OPTION_ISS,
	OPTION_AUD,
	OPTION_JTI,
	OPTION_TTL,
	OPTION_ALLOW_PUBLISH,
	OPTION_ALLOW_SUBSCRIBE,
	OPTION_DENY_PUBLISH,
	OPTION_DENY_SUBSCRIBE,
	OPTION_CLAIM,
};

static const struct option OPTIONS[] = {
	{"key", required_argument, NULL, OPTION_KEY},
	{"secret-file", required_argument, NULL, OPTION_SECRET_FILE},
	{"alg", required_argument, NULL, OPTION_ALG},
	{"kid", required_argument, NULL, OPTION_KID},
	{"sub", required_argument, NULL, OPTION_SUB},
	{"user", required_argument, NULL, OPTION_SUB},
	{"client-id", required_argument, NULL, OPTION_CLIENT_ID},
	{"iss", required_argument, NULL, OPTION_ISS},
	{"aud", required_argument, NULL, OPTION_AUD},
	{"jti", required_argument, NULL, OPTION_JTI},
	{"ttl", required_argument, NULL, OPTION_TTL},
	{"allow-publish", required_argument, NULL, OPTION_ALLOW_PUBLISH},
	{"allow-subscribe", required_argument, NULL, OPTION_ALLOW_SUBSCRIBE},
	{"deny-publish", required_argument, NULL, OPTION_DENY_PUBLISH},
	{"deny-subscribe", required_argument, NULL, OPTION_DENY_SUBSCRIBE},
	{"claim", required_argument, NULL, OPTION_CLAIM},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

#define TTL_S_DEFAULT 3600
#define TTL_S_MAX UINT64_C(3155760000) /* a hundred years */
#define TOKEN_ID_BYTES 16u

struct issue {
	const char *key_path;
	const char *secret_path;
	const char *algorithm;
	const char *id;
	uint64_t ttl_s;
	json_t *claims;
};

static bool set_text(json_t *object, const char *name, const char *text)
{
	json_t *value = json_string(text);
	if (value == NULL)
		return cli_complain(COMMAND, name, "the value is not UTF-8");
	CHECK(json_object_set_new(object, name, value) == 0);
	return true;
}

/* Adds to the list permissions.publish, or permissions.deny.publish, which is made if need be. */
static bool add_filter(struct issue *issue, bool deny, const char *action, const char *filter)
{
	json_t *permissions = json_object_get(issue->claims, "permissions");
	if (permissions == NULL)
		CHECK(json_object_set_new(issue->claims, "permissions", permissions = json_object()) == 0);
	json_t *lists = permissions;
	if (deny && (lists = json_object_get(permissions, "deny")) == NULL)
		CHECK(json_object_set_new(permissions, "deny", lists = json_object()) == 0);
	json_t *list = json_object_get(lists, action);
	if (list == NULL)
		CHECK(json_object_set_new(lists, action, list = json_array()) == 0);
	json_t *value = json_string(filter);
	if (value == NULL)
		return cli_complain(COMMAND, action, "the filter is not UTF-8");
	CHECK(json_array_append_new(list, value) == 0);
	return true;
}

/* NAME=JSON */
static bool add_claim(struct issue *issue, const char *text)
{
	const char *equals = strchr(text, '=');
	if (equals == NULL || equals == text)
		return cli_complain(COMMAND, "--claim", "NAME=JSON is required");
	json_error_t error;
	json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) {
		fprintf(stderr, "roost token: --claim %s: not JSON: %s (text needs quotes: %.*s='\"x\"')\n", text,
			error.text, (int)(equals - text), text);
		return false;
	}
	char *name = strndup(text, (size_t)(equals - text));
	bool set = name != NULL && json_object_set_new(issue->claims, name, value) == 0;
	free(name);
	return set || cli_complain(COMMAND, "--claim", "the name is not UTF-8");
}

static bool take_option(void *context, int option, const char *text)
{
	struct issue *issue = context;
	switch (option) {
	case OPTION_KEY:
		issue->key_path = text;
		return true;
	case OPTION_SECRET_FILE:
		issue->secret_path = text;
		return true;
	case OPTION_ALG:
		issue->algorithm = text;
		return true;
	case OPTION_KID:
		issue->id = text;
		return true;
	case OPTION_SUB:
		return set_text(issue->claims, "sub", text);
	case OPTION_CLIENT_ID:
		return set_text(issue->claims, "client_id", text);
	case OPTION_ISS:
		return set_text(issue->claims, "iss", text);
	case OPTION_AUD:
		return set_text(issue->claims, "aud", text);
	case OPTION_JTI:
		return set_text(issue->claims, "jti", text);
	case OPTION_TTL:
		return cli_number(COMMAND, "--ttl", text, 0, TTL_S_MAX, &issue->ttl_s);
	case OPTION_ALLOW_PUBLISH:
	case OPTION_DENY_PUBLISH:
		return add_filter(issue, option == OPTION_DENY_PUBLISH, "publish", text);
	case OPTION_ALLOW_SUBSCRIBE:
	case OPTION_DENY_SUBSCRIBE:
		return add_filter(issue, option == OPTION_DENY_SUBSCRIBE, "subscribe", text);
	case OPTION_CLAIM:
		return add_claim(issue, text);
	}
	return false;
}

/* True: go on. False: *status is the exit status. */
static bool parse_options(int argc, char **argv, struct issue *issue, int *status)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .options = OPTIONS, .usage = USAGE, .take = take_option};
	if (!cli_parse(argc, argv, &CLI, issue, status))
		return false;
	return (issue->key_path == NULL) != (issue->secret_path == NULL) ||
	       cli_complain(COMMAND, "--key, --secret-file", "one of them is required");
}

static bool load_signer(const struct issue *issue, struct signer *signer)
{
	const char *path = issue->key_path != NULL ? issue->key_path : issue->secret_path;
	uint8_t *data;
	size_t size;
	struct fault fault;
	if (!tool_read(COMMAND, path, FILE_SECRET, &data, &size))
		return false;
	bool read = issue->key_path != NULL ? signer_read(signer, slice_of(data, size), &fault)
					    : signer_from_secret(signer, key_secret_trim(slice_of(data, size)), &fault);
	sodium_memzero(data, size);
	free(data);
	if (!read)
		return cli_complain(COMMAND, path, fault.text);
	if (issue->algorithm == NULL || strcmp(issue->algorithm, algorithm_name(signer->algorithm)) == 0)
		return true;
	cli_complain(COMMAND, path, "the key is for another algorithm than --alg names");
	signer_fini(signer);
	return false;
}

static void set_time(json_t *claims, const char *name, int64_t seconds)
{
	if (json_object_get(claims, name) == NULL)
		CHECK(json_object_set_new(claims, name, json_integer(seconds)) == 0);
}

/* Adds the claims that were not given: an id, and the times. */
static void complete_claims(struct issue *issue)
{
	if (json_object_get(issue->claims, "jti") == NULL) {
		uint8_t random[TOKEN_ID_BYTES];
		char id[2 * TOKEN_ID_BYTES + 1];
		randombytes_buf(random, sizeof(random));
		sodium_bin2hex(id, sizeof(id), random, sizeof(random));
		CHECK(json_object_set_new(issue->claims, "jti", json_string(id)) == 0);
	}
	int64_t now_s = (int64_t)time(NULL);
	set_time(issue->claims, "iat", now_s);
	if (issue->ttl_s != 0)
		set_time(issue->claims, "exp", now_s + (int64_t)issue->ttl_s);
}

static bool run(struct issue *issue)
{
	struct signer signer;
	if (!load_signer(issue, &signer))
		return false;
	bool fits = issue->id == NULL || strlen(issue->id) < sizeof(signer.id);
	if (fits && issue->id != NULL)
		strcpy(signer.id, issue->id);
	complete_claims(issue);
	char *payload = json_dumps(issue->claims, JSON_COMPACT | JSON_PRESERVE_ORDER);
	CHECK(payload != NULL);
	char *token = signer_sign(&signer, slice_string(payload));
	if (fits)
		puts(token);
	free(token);
	free(payload);
	signer_fini(&signer);
	return fits || cli_complain(COMMAND, "--kid", "it is longer than 256 bytes");
}

int token_issue_main(int argc, char **argv)
{
	struct issue issue = {.ttl_s = TTL_S_DEFAULT, .claims = json_object()};
	int status;
	CHECK(issue.claims != NULL && sodium_init() >= 0);
	if (parse_options(argc, argv, &issue, &status))
		status = run(&issue) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	json_decref(issue.claims);
	return status;
}
