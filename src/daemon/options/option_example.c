#include "daemon/options/options.h"

#include "base/check.h"
#include "daemon/options/listener_options.h"

#include <ctype.h>
#include <string.h>

#define COMMENT_WIDTH 118u

/* Breaks the text into lines that begin with "# " and are at most COMMENT_WIDTH wide. */
static void print_comment(const char *text, FILE *out)
{
	size_t used = 0;
	while (*text != '\0') {
		size_t word = strcspn(text, " ");
		if (used == 0 || used + 1 + word > COMMENT_WIDTH) {
			fputs(used == 0 ? "# " : "\n# ", out);
			used = 2;
		} else {
			fputc(' ', out);
			used++;
		}
		fwrite(text, 1, word, out);
		used += word;
		text += word + strspn(text + word, " ");
	}
	fputc('\n', out);
}

static const char *example_marks(const struct option_spec *spec)
{
	if (option_is_of_listener(spec))
		return option_is_live(spec) ? " (live, listener)" : " (listener)";
	return option_is_live(spec) ? " (live)" : "";
}

/* The default has one listener, and no options of its own. */
static const char ENTRIES[] =
	"# An entry may be a mapping, with options of this listener alone, which go before those of all listeners:\n"
	"#   - url: tls://0.0.0.0:8883\n"
	"#     tls_certificate: /etc/letsencrypt/live/mqtt.example.org/fullchain.pem\n"
	"#     tls_key: /etc/letsencrypt/live/mqtt.example.org/privkey.pem\n"
	"#     tls_client_certificates: required\n"
	"#     tls_client_ca_file: /etc/roost/devices.pem\n"
	"#     tls_identity_as: client-id\n"
	"#   - url: wss://0.0.0.0:8084/mqtt\n"
	"#     websocket_origin: [https://app.example.org, https://www.example.org]\n"
	"#   - url: tcp://10.1.0.5:1883\n"
	"#     proxy_from: 10.1.0.0/24\n"
	"#   - url: unix:///run/roost/mqtt.sock\n"
	"#     unix_mode: 0660\n"
	"#     unix_group: mqtt\n";

/* They have no defaults: each is all that there is. */
static const char RULES[] = "\n# Rules that send publishes to streams of the Redis that `redis` names (live); "
			    "docs/BACKENDS.md says what they\n"
			    "# promise. Names and streams: {topic}, {topic.N} for its level N, {client}, {user}; {{ "
			    "and }} are braces. Fields:\n"
			    "# topic, payload, qos, client, user and time, where a rule has none; also retain, "
			    "properties and address. At qos 1\n"
			    "# a publish is acknowledged when the store has it, and stays there until Redis has it; at "
			    "qos 0 it may be lost.\n"
			    "# About how long a stream becomes: max_length entries, or max_age_s seconds.\n"
			    "#streams:\n"
			    "#  - name: telemetry\n"
			    "#    topics: [factory/+/telemetry/#, lab/#]\n"
			    "#    stream: telemetry:{topic.2}\n"
			    "#    max_length: 1000000\n"
			    "#  - name: alarms\n"
			    "#    topics: factory/+/alarm\n"
			    "#    stream: alarms\n"
			    "#    fields: [topic, payload, client, user, address, time, properties]\n"
			    "#    qos: 1\n"
			    "#    max_age_s: 604800\n";

static const char HOOKS[] =
	"\n# Hooks that post publishes to HTTP endpoints, as CloudEvents in batches (live); "
	"docs/BACKENDS.md says what they\n"
	"# promise, and how a receiver checks the signature. At qos 1 a publish is acknowledged when "
	"the store has it, and\n"
	"# stays there until the endpoint has answered with 2xx.\n"
	"#hooks:\n"
	"#  - name: alarms\n"
	"#    topics: [factory/+/alarm, $SYS/presence/#]\n"
	"#    url: https://example.org/roost\n"
	"#    secret_file: /etc/roost/alarms.secret\n"
	"#    headers: 'X-Tenant: 7'\n"
	"#    header_files: 'Authorization: /etc/roost/alarms.authorization'\n"
	"#    dead_letter_file: /var/lib/roost/alarms.dead.jsonl\n"
	"#    batch_messages: 100\n"
	"#    delay_ms: 10\n"
	"#    timeout_ms: 10000\n";

void options_print_example(FILE *out)
{
	struct options defaults = options_default();
	fputs("# Configuration of Roost: roost serve --config /etc/roost.yaml\n"
	      "#\n"
	      "# Every option, with its default; all may be omitted. Options on the command line take precedence over "
	      "these.\n"
	      "# Those marked (live) can be changed while Roost runs, by SIGHUP, POST /api/v1/reload or `roost ctl "
	      "reload`; the\n"
	      "# others need a restart. Those marked (listener) may also stand in an entry of listen, for that one "
	      "alone.\n",
	      out);
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		char text[1024];
		const char *help = option_help(spec);
		uint32_t least;
		uint32_t most;
		int size = snprintf(text, sizeof(text), "%c%s.%s", toupper((unsigned char)help[0]), help + 1,
				    example_marks(spec));
		CHECK(size > 0 && (size_t)size < sizeof(text));
		fputc('\n', out);
		print_comment(text, out);
		if (option_range(spec, &least, &most) && most != UINT32_MAX)
			fprintf(out, "# From %u to %u.\n", least, most);
		option_print_key(spec, out);
		bool list = option_is_list(spec);
		fputs(!list ? ": " : option_is_empty(spec, &defaults) ? ": []" : ":\n  - ", out);
		option_print_value(spec, &defaults, out);
		fputc('\n', out);
		if (spec == option_find("listen"))
			fputs(ENTRIES, out);
	}
	fputs(RULES, out);
	fputs(HOOKS, out);
}
