/* `roost token inspect`: what a token says, and what the server would say to it. */
#include "tool/token.h"

#include "auth/text/base64url.h"
#include "auth/token/token.h"
#include "base/check.h"
#include "cli/command.h"
#include "tool/tool.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char COMMAND[] = "token inspect";

static const char USAGE[] =
	"Usage: roost token inspect [OPTION...] [TOKEN]\n\n"
	"Shows the content of a token, which is an argument or the first line of stdin. With a key it also says "
	"whether\n"
	"the server would let a client in with the token, and if not, why; the exit status is 1 if it would not.\n\n"
	"      --key FILE           public key (PEM) or JWK set to verify the token with\n"
	"      --secret-file FILE   HS256 secret to verify it with; the file's content as it is\n"
	"      --iss TEXT           the issuer that the server requires\n"
	"      --aud TEXT           the server's audience\n"
	"      --user-claim NAME    claim from which the server takes the user name (sub)\n"
	"      --help\n";

enum { OPTION_KEY = CLI_FIRST, OPTION_SECRET_FILE, OPTION_ISS, OPTION_AUD, OPTION_USER_CLAIM };

static const struct option OPTIONS[] = {
	{"key", required_argument, NULL, OPTION_KEY},
	{"secret-file", required_argument, NULL, OPTION_SECRET_FILE},
	{"iss", required_argument, NULL, OPTION_ISS},
	{"aud", required_argument, NULL, OPTION_AUD},
	{"user-claim", required_argument, NULL, OPTION_USER_CLAIM},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

struct inspect {
	const char *key_path;
	const char *secret_path;
	struct claim_policy policy;
	char text[TOKEN_BYTES_MAX_MOST + 2];
};

/* Prints a part decoded and indented. False: it is not a JSON object, which is printed instead. */
static bool print_part(const char *title, struct slice part)
{
	uint8_t *decoded = malloc(BASE64URL_DECODED_BYTES_MAX(part.size));
	size_t size;
	CHECK(decoded != NULL);
	bool good = base64url_decode(part, decoded, &size);
	json_error_t error;
	json_t *json = good ? json_loadb((const char *)decoded, size, JSON_REJECT_DUPLICATES, &error) : NULL;
	if (json != NULL) {
		char *text = json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		CHECK(text != NULL);
		printf("%s %s\n", title, text);
		free(text);
	} else {
		printf("%s %s\n", title, good ? "is not a JSON object" : "is not base64url");
	}
	json_decref(json);
	free(decoded);
	return json != NULL;
}

/* Prints a time of the payload once more for people, in UTC. */
static void print_time(struct slice payload, const char *name, int64_t now_s)
{
	uint8_t *decoded = malloc(BASE64URL_DECODED_BYTES_MAX(payload.size));
	size_t size;
	CHECK(decoded != NULL);
	json_t *json = base64url_decode(payload, decoded, &size)
			       ? json_loadb((const char *)decoded, size, JSON_REJECT_DUPLICATES, NULL)
			       : NULL;
	const json_t *value = json_object_get(json, name);
	time_t seconds = (time_t)json_number_value(value);
	struct tm utc;
	char text[64];
	if (json_is_number(value) && gmtime_r(&seconds, &utc) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc) != 0)
		printf("%s: %s, %s %" PRId64 " s\n", name, text,
		       seconds > now_s ? "in" : "ago:", (int64_t)(seconds > now_s ? seconds - now_s : now_s - seconds));
	json_decref(json);
	free(decoded);
}

static bool add_key_file(struct key_set *keys, const char *path, struct slice text, struct fault *fault)
{
	struct jwks_result result;
	if (memmem(text.data, text.size, "-----BEGIN", 10) != NULL)
		return key_set_add_pem(keys, slice_of(NULL, 0), text, fault);
	if (!key_set_add_jwks(keys, text, &result, fault))
		return false;
	if (result.skipped != 0)
		fprintf(stderr, "roost %s: %s: key %u: %s\n", COMMAND, path, result.first_reason.line,
			result.first_reason.text);
	return result.added != 0 || fault_set(fault, 0, "it has no key with which tokens can be verified");
}

static bool load_keys(const struct inspect *inspect, struct key_set *keys)
{
	const char *path = inspect->key_path != NULL ? inspect->key_path : inspect->secret_path;
	uint8_t *data;
	size_t size;
	struct fault fault;
	if (!tool_read(COMMAND, path, inspect->key_path != NULL ? FILE_PUBLIC : FILE_SECRET, &data, &size))
		return false;
	struct slice content = slice_of(data, size);
	bool added = inspect->key_path != NULL
			     ? add_key_file(keys, path, content, &fault)
			     : key_set_add_secret(keys, slice_of(NULL, 0), key_secret_trim(content), &fault);
	sodium_memzero(data, size);
	free(data);
	return added || cli_complain(COMMAND, path, fault.text);
}

static bool judge(const struct inspect *inspect, int64_t now_s)
{
	struct key_set *keys = key_set_new();
	struct token_verifier *verifier = token_verifier_new(&inspect->policy, TOKEN_BYTES_MAX_MOST);
	struct token token;
	CHECK(keys != NULL && verifier != NULL);
	bool good = load_keys(inspect, keys);
	if (good) {
		token_verifier_use(verifier, keys);
		enum error error = token_verify(verifier, slice_string(inspect->text), now_s, &token);
		good = error == ERROR_OK;
		if (good)
			printf("the server would let it in, as user \"%.*s\"\n", (int)token.claims.user.size,
			       (const char *)token.claims.user.data);
		else
			printf("the server would refuse it: %s (%s)\n", error_sentence(error), error_name(error));
	}
	token_verifier_free(verifier);
	key_set_put(&keys);
	return good;
}

static bool run(const struct inspect *inspect)
{
	int64_t now_s = (int64_t)time(NULL);
	struct slice rest = slice_string(inspect->text);
	const uint8_t *first = memchr(rest.data, '.', rest.size);
	const uint8_t *second =
		first == NULL ? NULL : memchr(first + 1, '.', (size_t)(rest.data + rest.size - first - 1));
	if (second == NULL)
		return cli_complain(COMMAND, "the token", "it does not have three parts separated by dots");
	struct slice payload = slice_of(first + 1, (size_t)(second - first - 1));
	bool shown = print_part("header", slice_of(rest.data, (size_t)(first - rest.data)));
	shown = print_part("payload", payload) && shown;
	print_time(payload, "iat", now_s);
	print_time(payload, "nbf", now_s);
	print_time(payload, "exp", now_s);
	if (inspect->key_path == NULL && inspect->secret_path == NULL) {
		puts("not verified: no key was given");
		return shown;
	}
	return judge(inspect, now_s) && shown;
}

static bool read_token(struct inspect *inspect, const char *argument)
{
	const char *source = argument;
	if (argument == NULL) {
		source = fgets(inspect->text, sizeof(inspect->text), stdin);
		if (source == NULL)
			return cli_complain(COMMAND, "stdin", "a token is required");
	} else if (strlen(argument) <= TOKEN_BYTES_MAX_MOST) {
		memcpy(inspect->text, argument, strlen(argument) + 1);
	}
	inspect->text[strcspn(inspect->text, "\r\n")] = '\0';
	size_t size = strlen(inspect->text);
	return (size != 0 && size <= TOKEN_BYTES_MAX_MOST) ||
	       cli_complain(COMMAND, "the token", "it is empty or longer than 65535 bytes");
}

static bool take_option(void *context, int option, const char *text)
{
	struct inspect *inspect = context;
	switch (option) {
	case OPTION_KEY:
		inspect->key_path = text;
		return true;
	case OPTION_SECRET_FILE:
		inspect->secret_path = text;
		return true;
	case OPTION_ISS:
		inspect->policy.issuer = slice_string(text);
		return true;
	case OPTION_AUD:
		inspect->policy.audience = slice_string(text);
		return true;
	case OPTION_USER_CLAIM:
		inspect->policy.user = slice_string(text);
		return true;
	}
	return false;
}

/* True: go on. False: *status is the exit status. */
static bool parse_options(int argc, char **argv, struct inspect *inspect, int *status)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 1, .take = take_option};
	if (!cli_parse(argc, argv, &CLI, inspect, status))
		return false;
	return inspect->key_path == NULL || inspect->secret_path == NULL ||
	       cli_complain(COMMAND, "--key, --secret-file", "only one of them can be given");
}

int token_inspect_main(int argc, char **argv)
{
	struct inspect *inspect = calloc(1, sizeof(*inspect));
	int status;
	CHECK(inspect != NULL);
	inspect->policy = claim_policy_default();
	if (parse_options(argc, argv, inspect, &status))
		status = read_token(inspect, argv[optind]) && run(inspect) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	free(inspect);
	return status;
}
