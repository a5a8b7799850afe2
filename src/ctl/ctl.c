#include "ctl/ctl.h"

#include "base/check.h"
#include "cli/command.h"
#include "ctl/drain.h"
#include "ctl/http_client.h"
#include "ctl/show.h"
#include "ctl/upgrade.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_URL "http://127.0.0.1:9883"
#define TOKEN_BYTES_MAX 1100
/* Clients or revocations in one answer. */
#define LIMIT_MAX 1000
/* Of standard input; the rest is left unread. */
#define PAYLOAD_BYTES_MAX ((size_t)4 << 20)

struct settings {
	struct http_client client;
	struct ctl_drain drain;
	const char *token_file;
	const char *prefix;
	const char *state;
	uint32_t limit; /* 0: all */
	uint32_t qos;
	bool retain;
	bool json;
	bool no_headings;
	bool no_wait;
	char token[TOKEN_BYTES_MAX];
};

struct verb {
	const char *name;
	const char *arguments;
	const char *summary;
	int least; /* number of arguments */
	int most;
	int (*run)(struct settings *settings, char **arguments, int count);
};

/* ---- asking ---- */

/* What an answer without an error of the API's own is. A listener for TLS says so to whoever speaks HTTP in clear. */
static const char *fault_of(const struct http_answer *answer)
{
	return strstr(answer->text, "speaks TLS only") != NULL
		       ? "it speaks TLS there: the URL is to begin with https://"
		       : "the answer is not from Roost's admin side";
}

/* Asks, and shows the answer. Returns the exit status. */
static int ask(const struct settings *settings, const char *method, const char *path, const char *body,
	       void (*show)(const json_t *answer, FILE *out))
{
	CHECK(path[0] == '/');
	struct http_answer answer;
	if (!http_client_ask(&settings->client, method, path, body, &answer)) {
		free(answer.text);
		return CLI_EXIT_FAILED;
	}
	bool good = answer.status >= 200 && answer.status < 300;
	json_t *json = json_loadb(answer.text, answer.bytes, JSON_ALLOW_NUL, NULL);
	const char *error = json_string_value(json_object_get(json, "error"));
	if (settings->json)
		printf("%s\n", answer.text);
	else if (good && json != NULL)
		show(json, stdout);
	if (!good || json == NULL) {
		fprintf(stderr, "roost ctl: ");
		show_text(error != NULL ? error : fault_of(&answer), stderr);
		fprintf(stderr, " (status %ld)\n", answer.status);
	}
	bool was_json = json != NULL;
	json_decref(json);
	free(answer.text);
	return good && was_json ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* The same for a client's path. */
static int ask_client(const struct settings *settings, const char *method, const char *id, const char *rest,
		      void (*show)(const json_t *answer, FILE *out))
{
	char *path = NULL;
	char *escaped = http_client_escape(id);
	if (escaped == NULL || asprintf(&path, "/api/v1/clients/%s%s", escaped, rest) < 0)
		return CLI_EXIT_FAILED;
	int status = ask(settings, method, path, NULL, show);
	free(escaped);
	free(path);
	return status;
}

static int complain(const char *what, const char *fault)
{
	fprintf(stderr, "roost ctl: %s: %s; `roost ctl --help` says more\n", what, fault);
	return CLI_EXIT_USAGE;
}

/* ---- verbs ---- */

static int run_health(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/health", NULL, show_members);
}

static int run_ready(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/ready", NULL, show_members);
}

static int run_stats(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/stats", NULL, show_stats);
}

static int run_streams(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/rules", NULL, show_rules);
}

static int run_presence_table(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/presence-table", NULL, show_members);
}

static int run_consumers(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/consumers", NULL, show_consumers);
}

static int run_nodes(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/nodes", NULL, show_nodes);
}

static int run_forget_node(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 1);
	char *name = http_client_escape(arguments[0]);
	char *path = NULL;
	if (name == NULL || asprintf(&path, "/api/v1/nodes/%s", name) < 0)
		path = NULL;
	int status = path != NULL ? ask(settings, "DELETE", path, NULL, show_members) : CLI_EXIT_FAILED;
	free(path);
	free(name);
	return status;
}

static int run_hooks(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/hooks", NULL, show_hooks);
}

static int run_bridges(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "GET", "/api/v1/bridges", NULL, show_bridges);
}

static int run_reload(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	return ask(settings, "POST", "/api/v1/reload", NULL, show_members);
}

static int run_drain(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	settings->drain.waits = !settings->no_wait;
	settings->drain.json = settings->json;
	return ctl_drain(&settings->client, &settings->drain);
}

static int run_upgrade(struct settings *settings, char **arguments, int count)
{
	if (count != 0 && arguments[0][0] != '/')
		return complain("upgrade", "the path of the program is to be absolute");
	return ctl_upgrade(&settings->client, count != 0 ? arguments[0] : NULL, !settings->no_wait, settings->json);
}

static int run_inspect(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 1);
	return ask_client(settings, "GET", arguments[0], "", show_client);
}

static int run_disconnect(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 1);
	return ask_client(settings, "POST", arguments[0], "/disconnect", show_members);
}

static int run_end_session(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 1);
	return ask_client(settings, "DELETE", arguments[0], "", show_members);
}

/* Lists one page of clients, and makes *cursor that of the next page, or NULL. *left: how many more are wanted, 0: all.
 * A page may have fewer clients than that, or none at all, although more follow. */
static bool list_page(struct settings *settings, const char *prefix, long *left, char **cursor)
{
	CHECK(*left >= 0);
	char *path = NULL;
	struct http_answer answer;
	long limit = *left > 0 && *left < LIMIT_MAX ? *left : LIMIT_MAX;
	if (asprintf(&path, "/api/v1/clients?prefix=%s&state=%s&limit=%ld%s%s", prefix, settings->state, limit,
		     *cursor != NULL ? "&cursor=" : "", *cursor != NULL ? *cursor : "") < 0)
		return false;
	free(*cursor);
	*cursor = NULL;
	bool asked = http_client_ask(&settings->client, "GET", path, NULL, &answer);
	json_t *json = asked ? json_loadb(answer.text, answer.bytes, JSON_ALLOW_NUL, NULL) : NULL;
	bool good = asked && answer.status == 200 && json != NULL;
	const char *next = json_string_value(json_object_get(json, "next"));
	if (good && settings->json)
		printf("%s\n", answer.text);
	else if (good)
		show_clients(json, !settings->no_headings, stdout);
	else if (asked)
		fprintf(stderr, "roost ctl: %s\n", answer.text);
	long shown = (long)json_array_size(json_object_get(json, "clients"));
	settings->no_headings = settings->no_headings || shown != 0; /* once is enough */
	if (good && next != NULL && (*left == 0 || shown < *left))
		*cursor = strdup(next);
	*left -= *left > 0 ? shown : 0;
	json_decref(json);
	free(answer.text);
	free(path);
	return good;
}

static int run_clients(struct settings *settings, char **arguments, int count)
{
	char *cursor = NULL;
	char *prefix = http_client_escape(settings->prefix);
	long left = settings->limit;
	(void)arguments;
	(void)count;
	bool good = prefix != NULL;
	do {
		good = good && list_page(settings, prefix, &left, &cursor);
	} while (good && cursor != NULL);
	free(cursor);
	free(prefix);
	return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* Reads standard input; a null character follows the *size bytes. NULL: out of memory. The caller frees it. */
static char *read_payload(size_t *size)
{
	char *bytes = malloc(PAYLOAD_BYTES_MAX + 1);
	*size = bytes != NULL ? fread(bytes, 1, PAYLOAD_BYTES_MAX, stdin) : 0;
	if (bytes != NULL)
		bytes[*size] = '\0';
	return bytes;
}

/* NULL: out of memory. The caller frees it. */
static char *base64_of(const char *bytes, size_t size)
{
	size_t room = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_ORIGINAL);
	char *text = malloc(room);
	if (text != NULL)
		sodium_bin2base64(text, room, (const unsigned char *)bytes, size, sodium_base64_VARIANT_ORIGINAL);
	return text;
}

static int run_publish(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 1 || count == 2);
	size_t size = count > 1 ? strlen(arguments[1]) : 0;
	char *read = count > 1 ? NULL : read_payload(&size);
	CHECK(settings->qos <= 2);
	char *payload = base64_of(read != NULL ? read : arguments[1], size);
	json_t *message = json_pack("{s:s, s:s, s:i, s:b}", "topic", arguments[0], "payload_base64", payload, "qos",
				    (int)settings->qos, "retain", settings->retain);
	char *body = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
	int status = CLI_EXIT_FAILED;
	if (body != NULL)
		status = ask(settings, "POST", "/api/v1/publish", body, show_members);
	else
		fputs("roost ctl: the topic is not UTF-8\n", stderr);
	json_decref(message);
	free(body);
	free(payload);
	free(read);
	return status;
}

static int run_publish_batch(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	size_t size;
	char *body = read_payload(&size);
	int status =
		body != NULL ? ask(settings, "POST", "/api/v1/publish/batch", body, show_members) : CLI_EXIT_FAILED;
	free(body);
	return status;
}

static void show_revocation_table(const json_t *answer, FILE *out)
{
	show_revocations(answer, true, out);
}

static void show_revocation_rows(const json_t *answer, FILE *out)
{
	show_revocations(answer, false, out);
}

static int run_revocations(struct settings *settings, char **arguments, int count)
{
	(void)arguments;
	(void)count;
	char path[64];
	snprintf(path, sizeof(path), "/api/v1/revocations?limit=%u",
		 settings->limit != 0 ? settings->limit : LIMIT_MAX);
	return ask(settings, "GET", path, NULL, settings->no_headings ? show_revocation_rows : show_revocation_table);
}

static int run_revoke(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 2 || count == 3);
	uint32_t seconds = 0; /* forever */
	if (count > 2 && !cli_u32("ctl revoke", "SECONDS", arguments[2], 1, UINT32_MAX, &seconds))
		return CLI_EXIT_USAGE;
	json_t *revocation = json_pack("{s:s, s:s, s:o}", "kind", arguments[0], "id", arguments[1], "seconds",
				       seconds != 0 ? json_integer(seconds) : json_null());
	char *body = revocation != NULL ? json_dumps(revocation, JSON_COMPACT) : NULL;
	json_decref(revocation);
	if (body == NULL)
		return complain("revoke", "KIND and ID must be UTF-8");
	int status = ask(settings, "POST", "/api/v1/revocations", body, show_members);
	free(body);
	return status;
}

static int run_lift(struct settings *settings, char **arguments, int count)
{
	CHECK(count == 2);
	char *path = NULL;
	char *kind = http_client_escape(arguments[0]);
	char *id = http_client_escape(arguments[1]);
	if (kind == NULL || id == NULL || asprintf(&path, "/api/v1/revocations/%s?kind=%s", id, kind) < 0)
		return CLI_EXIT_FAILED;
	int status = ask(settings, "DELETE", path, NULL, show_members);
	free(kind);
	free(id);
	free(path);
	return status;
}

static const struct verb VERBS[] = {
	{"health", "", "whether every shard takes its turns", 0, 0, run_health},
	{"ready", "", "whether new clients are accepted", 0, 0, run_ready},
	{"stats", "", "figures of the whole gateway", 0, 0, run_stats},
	{"clients", "", "list clients and sessions, one per line", 0, 0, run_clients},
	{"inspect", "CLIENT", "show one client in detail", 1, 1, run_inspect},
	{"disconnect", "CLIENT", "end its connection", 1, 1, run_disconnect},
	{"end-session", "CLIENT", "end its session, and its connection", 1, 1, run_end_session},
	{"publish", "TOPIC [PAYLOAD]", "publish a message; the payload may come from standard input", 1, 2,
	 run_publish},
	{"publish-batch", "", "publish the {\"messages\": [...]} on standard input", 0, 0, run_publish_batch},
	{"revoke", "KIND ID [SECONDS]", "refuse a token (by its jti), user or client, and end its sessions", 2, 3,
	 run_revoke},
	{"lift", "KIND ID", "withdraw a revocation", 2, 2, run_lift},
	{"revocations", "", "list what is revoked, by this command and by the revocation file", 0, 0, run_revocations},
	{"streams", "", "how the rules are doing that send messages to Redis Streams", 0, 0, run_streams},
	{"presence-table", "", "how the table of connected clients is doing that is kept in Redis", 0, 0,
	 run_presence_table},
	{"consumers", "", "how the consumers are doing that read Redis Streams", 0, 0, run_consumers},
	{"hooks", "", "how the hooks are doing that post messages to HTTP endpoints", 0, 0, run_hooks},
	{"nodes", "", "how the other nodes of the cluster are doing, as this one sees it", 0, 0, run_nodes},
	{"forget-node", "NODE", "drop what waits for a node that is gone for good", 1, 1, run_forget_node},
	{"bridges", "", "how the bridges are doing that carry messages to and from other MQTT brokers", 0, 0,
	 run_bridges},
	{"reload", "", "read the configuration again", 0, 0, run_reload},
	{"drain", "", "end all clients evenly over a time, and take no new ones", 0, 0, run_drain},
	{"upgrade", "[PROGRAM]",
	 "replace the program under its clients, by what is where it was started from or by another one", 0, 1,
	 run_upgrade},
};

#define VERB_COUNT (sizeof(VERBS) / sizeof(VERBS[0]))

/* ---- the command line ---- */

static void print_help(FILE *out)
{
	fputs("Usage: roost ctl [OPTION...] COMMAND [ARGUMENT...]\n\nInspects and controls a running gateway through "
	      "its "
	      "admin side.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		char left[40];
		int size = snprintf(left, sizeof(left), "%s %s", VERBS[i].name, VERBS[i].arguments);
		CHECK((size_t)size < sizeof(left));
		fprintf(out, "  %-24s  %s\n", left, VERBS[i].summary);
	}
	fputs("\nOptions:\n"
	      "  --url URL\n        URL of the admin side (" DEFAULT_URL ")\n"
	      "  --token-file FILE\n        file with the token that the admin side requires\n"
	      "  --ca-file FILE\n        https: certificates to trust the server by, PEM, in place of the system's\n"
	      "  --certificate FILE\n        https: certificate to show to a server that asks for one, PEM\n"
	      "  --key FILE\n        its private key, if the certificate's file does not have it\n"
	      "  --insecure\n        https: trust any server: whoever is in between reads and changes what is said, "
	      "the "
	      "token too\n"
	      "  --json\n        print the answers as they are, for scripts; clients one page per line. Output without "
	      "this option\n"
	      "        is for people, and may change\n"
	      "  --no-headings\n        clients, revocations: omit the line of headings\n"
	      "  --prefix TEXT\n        clients: only those whose ids begin with TEXT\n"
	      "  --state STATE\n        clients: connected, offline or all (all)\n"
	      "  --limit N\n        clients, revocations: at most N, up to 1000; 0: all (0)\n"
	      "  --qos N\n        publish: 0, 1 or 2 (0)\n"
	      "  --retain\n        publish: retain the message for later subscribers\n"
	      "  --over SECONDS\n        drain: the time over which clients are ended, evenly (60)\n"
	      "  --grace SECONDS\n        drain: before that, `ready` says no and nothing else happens (5)\n"
	      "  --server-reference TEXT\n        drain: tell version 5 clients to use this other server\n"
	      "  --moved\n        drain: tell them that it is for good\n"
	      "  --cancel\n        drain: end the drain, and take new clients\n"
	      "  --no-wait\n        drain, upgrade: do not wait until it is over\n",
	      out);
}

static bool read_token(struct settings *settings)
{
	FILE *file = fopen(settings->token_file, "r");
	bool good = file != NULL && fgets(settings->token, sizeof(settings->token), file) != NULL;
	if (file == NULL)
		fprintf(stderr, "roost ctl: %s: %s\n", settings->token_file, strerror(errno));
	else
		fclose(file);
	settings->token[strcspn(settings->token, "\r\n")] = '\0';
	settings->client.token = settings->token;
	return good;
}

static bool take_option(void *context, int option, const char *text)
{
	struct settings *settings = context;
	switch (option) {
	case 'u':
		settings->client.url = text;
		return true;
	case 't':
		settings->token_file = text;
		return true;
	case 'a':
		settings->client.ca_file = text;
		return true;
	case 'c':
		settings->client.certificate = text;
		return true;
	case 'k':
		settings->client.key = text;
		return true;
	case 'i':
		return settings->client.insecure = true;
	case 'j':
		return settings->json = true;
	case 'n':
		return settings->no_headings = true;
	case 'p':
		settings->prefix = text;
		return true;
	case 's':
		settings->state = text;
		return strcmp(text, "all") == 0 || strcmp(text, "connected") == 0 || strcmp(text, "offline") == 0 ||
		       cli_complain("ctl", "--state", "must be connected, offline or all");
	case 'l':
		return cli_u32("ctl", "--limit", text, 0, LIMIT_MAX, &settings->limit);
	case 'q':
		return cli_u32("ctl", "--qos", text, 0, 2, &settings->qos);
	case 'r':
		return settings->retain = true;
	case 'w':
		return settings->no_wait = true;
	case 'o':
		return cli_u32("ctl", "--over", text, 1, 86400, &settings->drain.over_s);
	case 'g':
		return cli_u32("ctl", "--grace", text, 0, 3600, &settings->drain.grace_s);
	case 'f':
		settings->drain.server_reference = text;
		return true;
	case 'm':
		return settings->drain.moved = true;
	case 'x':
		return settings->drain.cancel = true;
	}
	return false;
}

static const struct option OPTIONS[] = {
	{"url", required_argument, NULL, 'u'},
	{"token-file", required_argument, NULL, 't'},
	{"ca-file", required_argument, NULL, 'a'},
	{"certificate", required_argument, NULL, 'c'},
	{"key", required_argument, NULL, 'k'},
	{"insecure", no_argument, NULL, 'i'},
	{"json", no_argument, NULL, 'j'},
	{"prefix", required_argument, NULL, 'p'},
	{"state", required_argument, NULL, 's'},
	{"limit", required_argument, NULL, 'l'},
	{"qos", required_argument, NULL, 'q'},
	{"retain", no_argument, NULL, 'r'},
	{"no-headings", no_argument, NULL, 'n'},
	{"no-wait", no_argument, NULL, 'w'},
	{"over", required_argument, NULL, 'o'},
	{"grace", required_argument, NULL, 'g'},
	{"server-reference", required_argument, NULL, 'f'},
	{"moved", no_argument, NULL, 'm'},
	{"cancel", no_argument, NULL, 'x'},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(VERBS[i].name, name) == 0)
			return &VERBS[i];
	}
	return NULL;
}

int ctl_main(int argc, char **argv)
{
	/* Words may also stand behind options: getopt moves them to the end. */
	static const struct cli_command CLI = {.name = "ctl",
					       .options = OPTIONS,
					       .print_usage = print_help,
					       .words_max = INT_MAX,
					       .take = take_option};
	struct settings settings = {
		.client = {.url = DEFAULT_URL}, .drain = {.grace_s = UINT32_MAX}, .prefix = "", .state = "all"};
	int status;
	if (!cli_parse(argc, argv, &CLI, &settings, &status))
		return status;
	if (optind == argc) {
		print_help(stderr);
		return CLI_EXIT_USAGE;
	}
	if (settings.client.key != NULL && settings.client.certificate == NULL)
		return complain("--key", "it is the key of a --certificate, and there is none");
	const struct verb *verb = find_verb(argv[optind]);
	if (verb == NULL)
		return complain(argv[optind], "there is no such command");
	int count = argc - optind - 1;
	if (count < verb->least || count > verb->most)
		return complain(verb->name, verb->most == 0 ? "it takes no arguments" : verb->arguments);
	if (settings.token_file != NULL && !read_token(&settings))
		return CLI_EXIT_USAGE;
	return verb->run(&settings, argv + optind + 1, count);
}
